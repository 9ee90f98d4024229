#!/bin/sh
# Compares what ptxas said of the kernels with the table. usage: check_resources.sh TABLE PTXAS-OUTPUT...
table=$1
shift
cat "$@" | c++filt | awk -v table="$table" '
  function fail(text) { print "resources: " text; failed = 1 }
  BEGIN {
    while ((getline line < table) > 0) {
      if (line ~ /^#/ || line == "") continue
      split(line, field, " ")
      name = line
      sub(/^[^ ]+ +[^ ]+ +[^ ]+ +[^ ]+ +[^ ]+ +/, "", name)
      key = field[1] " " name
      registers[key] = field[2]; spills[key] = field[3]; shared[key] = field[4]
      listed[key] = 1
    }
  }
  /Compiling entry function/ {
    name = $0
    sub(/^[^\047]*\047/, "", name)
    arch = name
    sub(/\047 for \047.*/, "", name); sub(/.*\047 for \047/, "", arch); sub(/\047.*/, "", arch)
    sub(/^void /, "", name); gsub(/svdit::cuda::/, "", name); sub(/\(.*\)$/, "", name)
    key = arch " " name
  }
  /serialized|setmaxnreg ignored/ { fail($0) }
  /bytes spill stores/ { split($0, part, ", "); spilled = part[2] + part[3] }
  /Used [0-9]+ registers/ {
    used = $0; sub(/.*Used /, "", used); used += 0
    static = 0
    if (match($0, /[0-9]+ bytes smem/)) static = substr($0, RSTART, RLENGTH) + 0
    seen[key] = 1
    ++count
    if (!listed[key]) fail(key " is not in the table: " used " registers, " spilled " spilled, " static " shared")
    else {
      if (used > registers[key]) fail(key " takes " used " registers, the table says " registers[key])
      if (spilled > spills[key]) fail(key " spills " spilled " bytes, the table says " spills[key])
      if (static > shared[key]) fail(key " takes " static " bytes of shared memory, the table says " shared[key])
    }
  }
  END {
    for (key in listed) if (!seen[key]) fail(key " is in the table and was not compiled")
    if (count == 0) fail("ptxas said nothing")
    if (!failed) print "resources: " count " kernels as in the table, none spills"
    exit failed
  }'

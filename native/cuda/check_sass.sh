#!/bin/sh
# Reads the machine code of the kernels that multiply by warpgroup (compute capability 9.0), and fails where ptxas ordered
# it so that nothing overlaps, which no message tells (NOTES.md, "What ptxas did to it"). usage: check_sass.sh CUBIN...
#
# Needs no disassembler: readelf finds the code, od shows the 16 bytes of each instruction, and the few that matter are
# told by their bits. Where cuobjdump is (beside nvcc or on the PATH; CUOBJDUMP= none), both must read the same.

# Lines "function address what": product (the last of a group: product-end), wait-N (until N groups are left), ex2,
# branch (with its target), local (memory: a spill), give-registers, take-registers.
decode() {
  readelf -SW "$1" 2> /dev/null |
    sed -n 's/^ *\[ *[0-9]*\] \.text\.\([^ ]*\) *PROGBITS *[0-9a-f]* \([0-9a-f]*\) \([0-9a-f]*\) .*/\1 0x\2 0x\3/p' |
    while read -r function offset size; do
      od -An -v -t x4 -w16 -j $((offset)) -N $((size)) "$1" | awk -v function_name="$function" '
        function number(hex,   value, i) {
          for (i = 1; i <= length(hex); ++i) value = 16 * value + index("123456789abcdef", substr(hex, i, 1))
          return value
        }
        # Four words, the lowest first; the opcode is the lowest 9 bits.
        {
          opcode = number(substr($1, 6)) % 512
          address = 16 * (NR - 1)
          what = ""
          if (opcode >= 496 && opcode <= 499) what = substr($3, 3, 1) == "7" ? "product" : "product-end"
          else if (opcode == 453 && substr($3, 4, 1) == "1") what = "wait-" number(substr($3, 5, 2))
          else if (opcode == 264 && int(number(substr($3, 5)) / 1024) % 16 == 2) what = "ex2"
          else if (opcode == 387 || opcode == 391) what = "local"
          else if (opcode == 456) what = substr($3, 6, 1) == "5" ? "give-registers" : "take-registers"
          else if (opcode == 327) {
            ahead = number($2)
            ahead -= ahead % 4
            if (ahead >= 2 ^ 31) ahead -= 2 ^ 32
            what = "branch " address + 16 + ahead * 256 + number(substr($1, 3, 2)) * 4
          }
          if (what != "") print function_name, address, what
        }'
    done
}

# The same from cuobjdump.
disassemble() {
  "$cuobjdump" -sass "$1" | awk '
    function number(hex,   value, i) {
      for (i = 1; i <= length(hex); ++i) value = 16 * value + index("123456789abcdef", substr(hex, i, 1))
      return value
    }
    $1 == "Function" { name = $3 }
    !match($0, /^ +\/\*[0-9a-f]+\*\/ .*;/) { next }
    {
      line = substr($0, 1, RLENGTH - 1)
      address = line
      sub(/^ *\/\*/, "", address); sub(/\*.*/, "", address)
      sub(/^[^*]*\*[^*]*\*\/ */, "", line); sub(/^@!?U?P[0-9T]+ */, "", line); sub(/ +$/, "", line)
      what = ""
      if (line ~ /^[HQIB]GMMA/) what = line ~ /gsb0$/ ? "product-end" : "product"
      else if (line ~ /^WARPGROUP.DEPBAR/) { what = line; sub(/.*0x/, "", what); what = "wait-" number(what) }
      else if (line ~ /^MUFU.EX2/) what = "ex2"
      else if (line ~ /^(LDL|STL)/) what = "local"
      else if (line ~ /^USETMAXREG/) what = line ~ /DEALLOC/ ? "give-registers" : "take-registers"
      else if (line ~ /^BRA/) { what = line; sub(/.*0x/, "", what); what = "branch " number(what) }
      if (what != "") print name, number(address), what
    }'
}

# A main loop is the shortest stretch from a branch back to where it leads that has products and exponentials.
check() {
  c++filt | awk '
    function fail(text) { print "sass: " name ": " text; failed = 1 }
    function check_loop(   i, j, first, last, from, to, products, exponentials) {
      for (i = 1; i <= count; ++i) {
        if (what[i] != "branch" || target[i] > address[i]) continue
        products = exponentials = 0
        for (j = i; j >= 1 && address[j] >= target[i]; --j) {
          products += what[j] ~ /^product/
          exponentials += what[j] == "ex2"
        }
        if (products && exponentials && (!last || address[i] - target[i] < to - from)) {
          first = j + 1; last = i; from = target[i]; to = address[i]
        }
      }
      if (last) check_turn(first, last)
      else fail("no loop with products and exponentials")
    }
    # Twice around: the second turn begins with what the first left running. A wait that has products before and after it,
    # and no exponentials on either side, makes the second wait for the first.
    function check_turn(first, last,   turn, i, left, running, fresh, waited, idle, exponentials, serial) {
      for (turn = 1; turn <= 2; ++turn) {
        idle = exponentials = serial = 0
        for (i = first; i <= last; ++i) {
          if (what[i] ~ /^product/) { serial += waited; waited = 0; fresh = 1 }
          if (what[i] == "product-end") ++running
          if (what[i] ~ /^wait/) {
            left = substr(what[i], 6) + 0
            if (running > left) running = left
            waited = fresh
          }
          if (what[i] == "ex2") { ++exponentials; idle += running == 0; waited = fresh = 0 }
        }
      }
      if (serial) fail("in its main loop products wait for each other, at " serial " places")
      if (idle) fail(idle " of the " exponentials " exponentials of its main loop run while no product does")
    }
    function check_function() {
      if (!count || !(has["product"] || has["product-end"] || name ~ /^attention_/)) return
      ++kernels
      check_loop()
      if (has["local"]) fail("uses local memory (a spill) at " has["local"] " places")
      if (!has["give-registers"]) fail("its specialists give no registers")
      if (!has["take-registers"]) fail("its consumers take no registers")
    }
    {
      if (!match($0, / [0-9]+ [a-z0-9-]+( [0-9-]+)?$/)) { fail("not understood: " $0); next }
      next_name = substr($0, 1, RSTART - 1)
      split(substr($0, RSTART + 1), field, " ")
      if (next_name != function_name) {
        check_function()
        function_name = name = next_name
        sub(/^void /, "", name); gsub(/svdit::cuda::/, "", name); sub(/\(.*\)$/, "", name)
        count = 0
        split("", has)
      }
      ++count
      address[count] = field[1]; what[count] = field[2]; target[count] = field[3]
      ++has[field[2]]
    }
    END {
      check_function()
      name = "all"
      if (!kernels) fail("no kernel that multiplies by warpgroup")
      if (!failed) print "sass: in " kernels " kernels the exponentials run under products, none spills"
      exit failed
    }'
}

cuobjdump=${CUOBJDUMP-$(command -v cuobjdump)}
temp=$(mktemp -d) && trap 'rm -rf "$temp"' EXIT || exit 1
for cubin in "$@"; do
  decode "$cubin" > "$temp/one" || exit 1
  if test -x "$cuobjdump"; then
    disassemble "$cubin" | sort > "$temp/theirs"
    sort "$temp/one" | cmp -s - "$temp/theirs" || { echo "sass: $cubin reads otherwise in cuobjdump"; exit 1; }
  fi
  cat "$temp/one" >> "$temp/all"
done
check < "$temp/all"

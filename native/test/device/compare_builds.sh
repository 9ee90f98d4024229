#!/bin/bash
# Compares two builds of the library on this machine's GPU: their timing programs take turns, so that clocks and neighbours hit both
# alike, and a table says how much faster the second is at each piece of work, with the spread of each build's own runs beside it.
#
# usage: native/test/device/compare_builds.sh TIMING_A TIMING_B [CASE [ROUNDS]]
#   TIMING_A   a build's target/native/gpu/timing, as `make gpu-programs` leaves it; TIMING_B likewise
#   CASE       hunyuan (default), wan14b, cogvideox
#   ROUNDS     3 unless given: runs of each
# A difference below the spread is noise. One build under two settings: `timing` twice, behind scripts that set them.
# What each run printed lies in OUT (default out/gpu-compare).
set -u
[ $# -ge 2 ] || { sed -n '5,10s/^# \{0,1\}//p' "$0"; exit 2; }
a=$1 b=$2 case=${3:-hunyuan} rounds=${4:-3}
OUT=${OUT:-out/gpu-compare}
mkdir -p "$OUT"
rm -f "$OUT"/[ab]-*.jsonl
for ((round = 1; round <= rounds; ++round)); do
  for who in a b; do
    echo "round $round of $rounds: ${!who}" >&2
    timeout -k 10 90 "${!who}" --brief "$case" >"$OUT/$who-$round.jsonl" || { echo "${!who} failed" >&2; exit 1; }
  done
done
python3 "$(dirname "$0")/summary.py" --compare "$OUT"/[ab]-*.jsonl

#!/bin/bash
# Checks and times the CUDA backend on this machine's GPU. Needs nvcc 13 and make; python3 with PyTorch for the peers.
#
# usage: native/test/device/gpu_check.sh [STAGE ...]      (make gpu-check STAGES="...")
#   build      the library and the programs of this check; leave it out where they were carried there (`make gpu-programs` makes them)
#   golden     every primitive on the GPU, recorded; the simulator replays the record
#   correct    fixtures, random shapes, graph capture, streams, misuse
#   sanitize   compute-sanitizer memcheck, racecheck, initcheck on a small set
#   time:step  one step of a Wan-1.3B-sized model with random weights, as calls and as a graph; needs cuBLASLt 13
#   time:brief  the dense layer and one band of all three models, no peers: a first look, and what E4M3 brings
#   time:CASE  all modes at a model's geometry, PyTorch's peers beside them; CASE hunyuan, wan14b, cogvideox
# Without arguments, all. Each takes less than ten minutes, whatever hangs: its parts have limits of their own. What they wrote
# lies in OUT (default out/gpu-check), also of parts that were stopped. SVDIT_CUDA_KERNELS=sm80 or sm90 checks and times one family.
set -u
cd "$(dirname "$0")/../../.." || exit 1
OUT=${OUT:-out/gpu-check}
mkdir -p "$OUT"
declare -A result

# run SECONDS COMMAND...
run() {
  local code limit=$1
  shift
  timeout -k 10 "$limit" "$@"
  code=$?
  [ $code = 124 ] || [ $code = 137 ] && echo "stopped after $limit s: $*" >&2
  return $code
}

# What a test that was stopped had passed last: what follows it hangs.
last_passed() { echo "the last before it: $(grep '^ok' "$1" | tail -n 1)"; }

# Tests' output without the lines of what passed, but with their number now and then.
failures() { awk '/^ok/ { if (++passed % 50 == 0) { print passed " passed"; fflush() } next } { print; fflush() }'; }

# The families of attention kernels that the GPU runs (SVDIT_CUDA_KERNELS).
families=sm80
[ "$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | head -n 1)" = 9.0 ] && families='sm80 sm90'
families=${SVDIT_CUDA_KERNELS:-$families}

build() {
  run 560 make gpu-programs 2>&1 | tee "$OUT/build.log"
  return "${PIPESTATUS[0]}"
}

golden() {
  local test code=0
  rm -f "$OUT/golden.txt" "$OUT/golden_sm90.txt"
  for test in golden golden_sm90; do
    run 30 target/native/gpu/$test "$OUT/$test.txt" || code=1
  done
  # A section that fails is found, each in a process of its own, and left out of the record.
  if [ ! -e "$OUT/golden_sm90.txt" ] && [ "${families% sm90}" != "$families" ]; then
    local bad
    bad=$(seq 0 22 | xargs -P 6 -I{} sh -c 'timeout 30 target/native/gpu/golden_sm90 /dev/null {} >/dev/null 2>&1 || echo {}')
    echo "golden_sm90: sections that fail:" $bad
    [ "$(wc -w <<<"$bad")" = 1 ] && run 30 target/native/gpu/golden_sm90 "$OUT/golden_sm90.txt" "-$bad"
  fi
  for test in golden golden_sm90; do
    [ -e "$OUT/$test.txt" ] || continue
    if [ ! -x target/native/test/sim/${test}_test ]; then
      echo "the simulator was not built here: replay $OUT/$test.txt where it was (target/native/test/sim/${test}_test FILE)"
      continue
    fi
    run 60 target/native/test/sim/${test}_test "$OUT/$test.txt" | tee "$OUT/$test.log"
    [ "${PIPESTATUS[0]}" = 0 ] || code=1
  done
  return $code
}

# start NAME COMMAND...: in the background, its output and exit status in files.
start() {
  local name=$1
  shift
  { run 110 "$@" >"$OUT/correct-$name.log" 2>&1; echo $? >"$OUT/correct-$name.code"; } &
}

# All programs at once, each a process of its own: the references are computed on the host and take most of the time, and an
# error that ends one program's context leaves the others'.
correct() {
  local code=0 family shard name status
  rm -f "$OUT"/correct-*
  for family in $families; do
    for shard in 1 2 3 4; do
      SVDIT_CUDA_KERNELS=$family start "$family-$shard" target/native/gpu/gpu_test ${shard}9000 50
    done
  done
  for name in runtime ops sweep; do start $name "target/native/gpu/gpu_${name}_test"; done
  wait
  for name in "$OUT"/correct-*.code; do
    status=$(<"$name")
    name=${name%.code}
    [ "$status" = 0 ] || code=1
    echo "$(basename "$name"): exit $status, $(tail -n 1 "$name.log")"
    [ "$status" = 0 ] || failures <"$name.log" | grep -v '^      relative' | head -n 25
    [ "$status" -gt 123 ] && last_passed "$name.log"
  done
  return $code
}

sanitize() {
  command -v compute-sanitizer >/dev/null || { echo 'skipped: compute-sanitizer is not installed'; return 77; }
  local tool code family log worst=77 limit=$((570 / 3 / $(wc -w <<<"$families")))
  for family in $families; do
    for tool in memcheck racecheck initcheck; do
      log="$OUT/$tool-$family.log"
      SVDIT_CUDA_KERNELS=$family timeout -k 10 $limit compute-sanitizer --tool "$tool" --error-exitcode 9 \
        target/native/gpu/gpu_test --small >"$log" 2>&1
      code=$?
      if grep -qi 'not supported\|Unable to find\|Internal Sanitizer Error' "$log"; then
        echo "$tool $family: skipped: refused ($(grep -im 1 'not supported\|Unable to find\|Internal Sanitizer Error' "$log"))"
      elif [ $code = 124 ]; then
        echo "$tool $family: not finished in $limit s"
      elif [ $code = 0 ]; then
        echo "$tool $family: $(grep 'ERROR SUMMARY\|RACECHECK SUMMARY' "$log" | tail -n 1)"
        [ $worst = 77 ] && worst=0
      else
        echo "$tool $family: FAILED ($code), see $log"
        worst=1
      fi
    done
  done
  return $worst
}

state() {
  nvidia-smi --query-gpu=name,driver_version,clocks.sm,clocks.mem,power.draw,temperature.gpu --format=csv,noheader |
    sed "s/.*/{\"case\": \"$1\", \"who\": \"nvidia-smi\", \"what\": \"$2\", \"state\": \"&\"}/"
}

# Ours (the families of kernels and E4M3 taking turns), the peers, a few of ours again: what moves between the two is the
# machine. Clocks and power are written down twice a second meanwhile.
timing() {
  local file="$OUT/timing-$1.jsonl" clocks
  nvidia-smi --query-gpu=timestamp,clocks.sm,clocks.mem,power.draw,temperature.gpu,clocks_event_reasons.active --format=csv -lms 500 \
    >"$OUT/clocks-$1.csv" 2>&1 &
  clocks=$!
  {
    state "$1" before
    run 210 target/native/gpu/timing "$1" || echo "{\"case\": \"$1\", \"error\": \"timing failed\"}"
    state "$1" between
    run 250 python3 native/test/device/torch_peers.py "$1" 2>"$OUT/peers-$1.log" ||
      echo "{\"case\": \"$1\", \"error\": \"the peers did not finish, see peers-$1.log\"}"
    run 70 target/native/gpu/timing --brief "$1" || echo "{\"case\": \"$1\", \"error\": \"timing failed\"}"
    state "$1" after
  } | tee "$file"
  kill $clocks 2>/dev/null
  python3 native/test/device/summary.py "$file"
  ! grep -q 'timing failed' "$file"
}

brief() {
  local file="$OUT/timing-brief.jsonl"
  {
    state brief before
    run 300 target/native/gpu/timing --brief || echo '{"case": "brief", "error": "timing failed"}'
    state brief after
  } | tee "$file"
  python3 native/test/device/summary.py "$file"
  ! grep -q 'timing failed' "$file"
}

step() {
  local file="$OUT/timing-step.jsonl"
  {
    state step before
    run 500 target/native/gpu/model_timing || echo '{"case": "step", "error": "timing failed"}'
    state step after
  } | tee "$file"
  ! grep -q 'timing failed' "$file"
}

stages=("$@")
[ $# -eq 0 ] && stages=(build golden correct sanitize time:brief time:step time:hunyuan time:wan14b time:cogvideox)
failed=0
for stage in "${stages[@]}"; do
  echo "== $stage"
  case $stage in
    build | golden | correct | sanitize) "$stage" ;;
    time:step) step ;;
    time:brief) brief ;;
    time:*) timing "${stage#time:}" ;;
    *) echo "no such stage"; false ;;
  esac
  code=$?
  case $code in
    0) result[$stage]=ok ;;
    77) result[$stage]=skipped ;;
    *) result[$stage]=FAILED; failed=1 ;;
  esac
done
echo "== summary"
for stage in "${stages[@]}"; do echo "$stage: ${result[$stage]}"; done
exit $failed

#!/bin/bash
# Checks the Java face of the CUDA backend on this machine's GPU, without a JDK and without Maven: the JUnit tests tagged
# "cuda" against libsvdit.so, then what a call takes over the C launch (at most 1 microsecond, and no garbage).
#
# usage: native/test/device/gpu_check_java.sh PACK.tgz LIBRARY CALL_LOOP      (make gpu-check-java)
#   PACK.tgz   made by `make gpu-java-pack` where there is a JDK
#   LIBRARY    libsvdit.so, or libsvdit-sim.so to try the check itself
#   CALL_LOOP  libcall-loop.so, built from native/test/device/call_loop.cpp
# What it wrote lies in OUT (default out/gpu-check). Takes a few minutes, less than ten whatever hangs.
set -u
pack=$1
library=$(readlink -f "$2")
[ -f "$library" ] || { echo "$2: no such library; \`make native\` builds libsvdit.so, \`make sim-library\` libsvdit-sim.so"; exit 1; }
loop=$(readlink -f "$3")
OUT=${OUT:-out/gpu-check}
mkdir -p "$OUT"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tar -C "$work" -xzf "$pack" || exit 1
home="$work/gpu-java"
java=("$home/runtime/bin/java" --enable-native-access=ALL-UNNAMED -Xmx3g "-Dsvdit.library=$library"
  -cp "$home/tests:$home/classes:$home/jars/*")
failed=0

echo '== tests'
timeout -k 10 440 "${java[@]}" org.junit.platform.console.ConsoleLauncher execute --scan-class-path="$home/tests" \
  --include-tag=cuda --disable-banner --disable-ansi-colors --details=tree >"$OUT/java-tests.log" 2>&1 || failed=1
tail -n 14 "$OUT/java-tests.log"
grep -q '\[ *0 tests successful' "$OUT/java-tests.log" && failed=1

echo '== overhead of a call'
# The simulated device, where that is tried, runs nothing meanwhile.
SVDIT_SIM=idle=1 timeout -k 10 120 "${java[@]}" io.github.sparsevdit.CallOverhead "$loop" | tee "$OUT/java-overhead.jsonl"
[ "${PIPESTATUS[0]}" -eq 0 ] || { echo 'failed, or took more than 1000 ns, or made garbage'; failed=1; }
exit $failed

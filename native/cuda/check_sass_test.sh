#!/bin/bash
# Plants what check_sass.sh must notice in copies of the kernel's source, compiles a kernel of 16 bits or of e4m3 from each
# and fails unless the check does, in the right words. usage: check_sass_test.sh NVCC FLAG...
nvcc=$1
shift
flags=("$@")
temp=$(mktemp -d) && trap 'rm -rf "$temp"' EXIT || exit 1

# plant NAME SHAPE FILE SED-SCRIPT WORDS...: what the check says must have all the words.
plant() {
  local folder=$temp/$1 name=$1 shape=$2 file=$3 script=$4
  shift 4
  mkdir -p "$folder/cuda/kernels"
  sed -E "$script" "native/cuda/kernels/$file" > "$folder/cuda/kernels/$file"
  if cmp -s "native/cuda/kernels/$file" "$folder/cuda/kernels/$file"; then
    echo "sass test: $name: $file has no place to plant it"
    return 1
  fi
  cat > "$folder/kernel_sm90.cu" << KERNEL
#include "cuda/kernels/attention_sm90.cuh"
using namespace svdit::cuda;
template __global__ void svdit::cuda::attention_sm90<$shape>(const __grid_constant__ AttentionParams,
                                                             const __grid_constant__ $shape::Source);
KERNEL
  "$nvcc" -I "$folder" "${flags[@]}" -cubin "$folder/kernel_sm90.cu" -o "$folder/kernel.cubin" 2> "$folder/nvcc" ||
    { cat "$folder/nvcc"; return 1; }
  if CUOBJDUMP= native/cuda/check_sass.sh "$folder/kernel.cubin" > "$folder/says"; then
    echo "sass test: $name: not noticed"
    return 1
  fi
  local words
  for words in "$@"; do
    if ! grep -qF "$words" "$folder/says"; then
      echo "sass test: $name: not told '$words', but:"
      cat "$folder/says"
      return 1
    fi
  done
}

bf16='ShapeSm90<Bf16Sm90, 128, 128>'
e4m3='ShapeE4m3<128, 128>'
jobs=()
begin() { plant "$@" & jobs+=($!); }
begin wait-not-held "$bf16" consumer_sm90.cuh 's/wgmma_wait_after<0>\(.*\);/wgmma_wait<0>();/' \
  'exponentials of its main loop run while no product does'
begin wait-not-held-e4m3 "$e4m3" consumer_sm90.cuh 's/wgmma_wait_after<0>\(.*\);/wgmma_wait<0>();/' \
  'exponentials of its main loop run while no product does'
begin wait-for-both "$bf16" consumer_sm90.cuh 's/wgmma_wait<1>/wgmma_wait<0>/' \
  'exponentials of its main loop run while no product does'
begin output-touched "$bf16" consumer_sm90.cuh '/weigh\(note/s/$/ arithmetic.rescale();/' \
  'in its main loop products wait for each other'
begin nothing-taken "$bf16" attention_sm90.cuh '/take_registers/d' \
  'its consumers take no registers' 'uses local memory'
failed=
for job in "${jobs[@]}"; do wait "$job" || failed=1; done
test -z "$failed" && echo "sass test: ${#jobs[@]} passed, 0 failed"

// Compiled with: -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mf16c
// Compiled with: -Wno-uninitialized -Wno-maybe-uninitialized
// (gcc 12 warns of its own headers' _mm512_undefined: PR 105593.)
#define SVDIT_LANES 16
#define SVDIT_ROW_KERNELS kRowKernelsAvx512
#include "cpu/ops/ops_rows_impl.h"

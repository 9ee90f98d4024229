// Compiled with: -mavx2 -mfma -mf16c
#define SVDIT_LANES 8
#define SVDIT_ROW_KERNELS kRowKernelsAvx2
#include "cpu/ops/ops_rows_impl.h"

#define SVDIT_LANES 16
#define SVDIT_ROW_KERNELS kRowKernelsAvx512
#include "cpu/ops_rows_impl.h"

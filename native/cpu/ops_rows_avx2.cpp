#define SVDIT_LANES 8
#define SVDIT_ROW_KERNELS kRowKernelsAvx2
#include "cpu/ops_rows_impl.h"

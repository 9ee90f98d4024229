#define SVDIT_LANES 4
#define SVDIT_ROW_KERNELS kRowKernelsPortable
#include "cpu/ops/ops_rows_impl.h"

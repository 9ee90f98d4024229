// What api/operations.cpp asks of a backend that computes a denoiser's other operations. Entry
// points check arguments against svdit.h before they call. Failures are thrown as Error
// (base/error.h).
#ifndef SVDIT_OPERATIONS_H
#define SVDIT_OPERATIONS_H

#include "svdit.h"

namespace svdit {

class Operations {
 public:
  virtual ~Operations() = default;

  // Throws INVALID_ARGUMENT where there is one already, UNAVAILABLE where path cannot be used.
  virtual void open_matmul_library(const char *path) = 0;

  virtual void linear(const svdit_linear_args &args, svdit_stream stream) = 0;

  // group_columns is explicit, never 0.
  virtual void norm(const svdit_norm_args &args, svdit_stream stream) = 0;
  virtual void rope(const svdit_rope_args &args, svdit_stream stream) = 0;
  virtual void residual(const svdit_residual_args &args, svdit_stream stream) = 0;

  // Two operations one after the other, unless a backend does both at once. What one hands to the
  // other has been checked.
  virtual void residual_norm(const svdit_residual_args &first, const svdit_norm_args &second,
                             svdit_stream stream) {
    residual(first, stream);
    norm(second, stream);
  }
  virtual void norm_rope(const svdit_norm_args &first, const svdit_rope_args &second,
                         svdit_stream stream) {
    norm(first, stream);
    rope(second, stream);
  }

  virtual void convert(const svdit_convert_args &args, svdit_stream stream) = 0;

  virtual void conv(const svdit_conv_args &args, svdit_stream stream) = 0;
  virtual void group_norm(const svdit_group_norm_args &args, svdit_stream stream) = 0;
  virtual void spread(const svdit_spread_args &args, svdit_stream stream) = 0;

  virtual void softmax(const svdit_softmax_args &args, svdit_stream stream) = 0;
  virtual void multiply(const svdit_multiply_args &args, svdit_stream stream) = 0;
  virtual void transpose(const svdit_transpose_args &args, svdit_stream stream) = 0;
};

}  // namespace svdit

#endif

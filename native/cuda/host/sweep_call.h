// From a sweep's arguments to what the kernel is given and back. Plain C++: the runtime uses it
// with device memory, the simulator with its own.
#ifndef SVDIT_CUDA_SWEEP_CALL_H
#define SVDIT_CUDA_SWEEP_CALL_H

#include <cstdint>
#include <vector>

#include "cuda/kernels/sweep_params.h"
#include "plan/plan.h"
#include "svdit.h"

namespace svdit::cuda {

// What one svdit_sweep is: inputs() to the workspace, one launch, results() from it. The workspace
// holds inputs, results and the kernel's scratch memory.
class SweepCall {
 public:
  // resident is how many blocks of the kernel the device runs at once. Throws Error for addresses
  // and strides that are no multiples of 16 bytes and for sizes the kernel cannot count.
  SweepCall(const Plan &plan, const svdit_sweep_args &args, int32_t resident);

  uint64_t workspace_bytes() const { return end_; }

  // The rest needs args' workspace, and throws Error where it is not a multiple of 16.

  // To be copied to the begin of the workspace.
  std::vector<char> inputs() const;
  SweepParams params() const;
  int32_t blocks() const { return blocks_; }

  // To be copied to the caller's arrays.
  struct Result {
    void *to;
    const void *from;
    uint64_t bytes;
  };
  std::vector<Result> results() const;

 private:
  // Where an array lies in the workspace.
  struct Place {
    uint64_t begin, bytes;
  };
  Place place(uint64_t elements, uint64_t element_bytes);
  template <class T>
  T *at(const Place &place) const;

  const Plan &plan_;
  const svdit_sweep_args &args_;
  int32_t heads_, blocks_, words_, video_tiles_;
  int64_t scratch_bytes_, tile_sums_;
  uint64_t end_ = 0;
  Place counter_, query_blocks_, stops_, first_, first_offsets_, listed_, text_valid_, stored_,
      gram_;
  uint64_t inputs_end_;
  Place error_, norm_, reference_, mass_, scratch_;
};

}  // namespace svdit::cuda

#endif

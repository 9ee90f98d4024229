// Argument checks of svdit_attention and svdit_sweep.
#ifndef SVDIT_API_CHECK_H
#define SVDIT_API_CHECK_H

#include <vector>

#include "backend.h"
#include "svdit.h"

namespace svdit {

// Return the arguments with their defaults filled in (scale, ranges), or throw Error
// INVALID_ARGUMENT. What an attention's text_valid points to is not looked at: on CUDA it is device
// memory.
svdit_attention_args check_attention(const svdit_plan &plan, const svdit_attention_args *args);
svdit_sweep_args check_sweep(const svdit_plan &plan, const svdit_sweep_args *args);

// Throws Error INVALID_ARGUMENT where args, which has passed check_sweep, brings too little.
void check_sweep_workspace(const svdit_plan &plan, const svdit_sweep_args &args);

// A call's own copy of text_valid in host memory. Each row's number is read once and then checked,
// because another thread may write there meanwhile, and what is out of range reads out of bounds.
class TextValid {
 public:
  // Throws Error INVALID_ARGUMENT for a number out of range; std::bad_alloc.
  TextValid(const Plan &plan, const int32_t *text_valid, int32_t batch);
  TextValid(const TextValid &) = delete;
  TextValid &operator=(const TextValid &) = delete;

  // [batch], or NULL where text_valid was; as long as this lives.
  const int32_t *data() const { return data_; }

 private:
  static constexpr int32_t kUsual = 64;  // rows that take no memory from the heap
  int32_t few_[kUsual];
  std::vector<int32_t> many_;
  int32_t *data_ = nullptr;
};

}  // namespace svdit

#endif

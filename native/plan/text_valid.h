// How many of a call's text keys are valid, batch row by batch row.
#ifndef SVDIT_PLAN_TEXT_VALID_H
#define SVDIT_PLAN_TEXT_VALID_H

#include <cstdint>
#include <vector>

#include "plan/plan.h"

namespace svdit {

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

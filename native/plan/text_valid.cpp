#include "plan/text_valid.h"

#include "base/error.h"

namespace svdit {

TextValid::TextValid(const Plan &plan, const int32_t *text_valid, int32_t batch) {
  if (text_valid == nullptr) return;
  if (batch > kUsual) many_.resize(batch);
  data_ = batch > kUsual ? many_.data() : few_;
  const int32_t most = plan.layout.key_text;
  for (int32_t row = 0; row < batch; ++row) {
    const int32_t valid = __atomic_load_n(&text_valid[row], __ATOMIC_RELAXED);
    if (valid < 0 || valid > most) {
      fail(SVDIT_INVALID_ARGUMENT, "text_valid[%d] is %d, expected 0 to %d", row, valid, most);
    }
    data_[row] = valid;
  }
}

}  // namespace svdit

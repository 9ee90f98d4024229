#include "cpu/attention/scratch.h"

#include <cstdlib>
#include <new>

namespace svdit {

void ScratchPool::Free::operator()(Scratch *scratch) const { std::free(scratch); }

ScratchPool::Owned ScratchPool::make() {
  const size_t bytes = (sizeof(Scratch) + 4095) / 4096 * 4096;
  auto *scratch = static_cast<Scratch *>(std::aligned_alloc(4096, bytes));
  if (scratch == nullptr) throw std::bad_alloc();
  return Owned(scratch);
}

ScratchPool::ScratchPool(int workers) {
  for (int i = 0; i < workers; ++i) workers_.push_back(make());
  give_back(take());
}

Scratch *ScratchPool::take() {
  std::lock_guard<std::mutex> lock(mutex_);
  if (idle_.empty()) {
    idle_.reserve(callers_.size() + 1);
    callers_.push_back(make());
    return callers_.back().get();
  }
  Scratch *scratch = idle_.back();
  idle_.pop_back();
  return scratch;
}

void ScratchPool::give_back(Scratch *scratch) {
  std::lock_guard<std::mutex> lock(mutex_);
  idle_.push_back(scratch);
}

}  // namespace svdit

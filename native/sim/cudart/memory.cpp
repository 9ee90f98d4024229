#include "sim/cudart/memory.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <new>

namespace svdit::sim {
namespace {

constexpr std::size_t kPage = 4096;
constexpr std::size_t kRange = std::size_t{1} << 38;  // addresses, not memory
constexpr int kPoison = 0xff;                         // NaN in BF16, FP16 and FP32

std::size_t pages(std::size_t bytes) { return (bytes + kPage - 1) / kPage * kPage; }

// The allocation of a map that a range lies in, or the map's end.
template <class Map>
auto holder(const Map &allocations, std::uintptr_t begin, std::size_t bytes) {
  auto after = allocations.upper_bound(begin);
  if (after == allocations.begin()) return allocations.end();
  --after;
  return begin + bytes <= after->first + after->second ? after : allocations.end();
}

}  // namespace

DeviceMemory::DeviceMemory() {
  void *range =
      mmap(nullptr, kRange, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (range == MAP_FAILED) throw std::bad_alloc();
  begin_ = next_ = reinterpret_cast<std::uintptr_t>(range);
  end_ = begin_ + kRange;
}

void *DeviceMemory::allocate(std::size_t bytes, std::size_t limit) {
  const std::lock_guard lock(mutex_);
  if (bytes > limit || used_ + bytes > limit) return nullptr;
  const std::size_t room = pages(bytes);
  if (next_ + room + kPage > end_) return nullptr;
  void *address = reinterpret_cast<void *>(next_);
  if (mprotect(address, room, PROT_READ | PROT_WRITE) != 0) return nullptr;
  std::memset(address, kPoison, room);
  if (open_ == 0) mprotect(address, room, PROT_NONE);
  allocations_[next_] = bytes;
  next_ += room + kPage;
  used_ += bytes;
  return address;
}

bool DeviceMemory::release(void *address) {
  const std::lock_guard lock(mutex_);
  const auto found = allocations_.find(reinterpret_cast<std::uintptr_t>(address));
  if (found == allocations_.end()) return false;
  madvise(address, pages(found->second), MADV_DONTNEED);
  mprotect(address, pages(found->second), PROT_NONE);
  used_ -= found->second;
  allocations_.erase(found);
  return true;
}

std::size_t DeviceMemory::used() const {
  const std::lock_guard lock(mutex_);
  return used_;
}

DeviceMemory::Place DeviceMemory::place(const void *address, std::size_t bytes) const {
  const auto begin = reinterpret_cast<std::uintptr_t>(address);
  if (begin + bytes <= begin_ || begin >= end_) return Place::kPageable;
  const std::lock_guard lock(mutex_);
  return holder(allocations_, begin, bytes) == allocations_.end() ? Place::kOutside
                                                                  : Place::kDevice;
}

void DeviceMemory::protect(int rights) const {
  for (const auto &[address, bytes] : allocations_) {
    mprotect(reinterpret_cast<void *>(address), pages(bytes), rights);
  }
}

DeviceMemory::Open::Open(DeviceMemory &memory) : memory_(memory) {
  const std::lock_guard lock(memory.mutex_);
  if (memory.open_++ == 0) memory.protect(PROT_READ | PROT_WRITE);
}

DeviceMemory::Open::~Open() {
  const std::lock_guard lock(memory_.mutex_);
  if (--memory_.open_ == 0) memory_.protect(PROT_NONE);
}

void *PinnedMemory::allocate(std::size_t bytes) {
  void *address = std::aligned_alloc(kPage, pages(bytes));
  if (address == nullptr) return nullptr;
  std::memset(address, kPoison, bytes);
  const std::lock_guard lock(mutex_);
  allocations_[reinterpret_cast<std::uintptr_t>(address)] = bytes;
  return address;
}

bool PinnedMemory::release(void *address) {
  const std::lock_guard lock(mutex_);
  const auto found = allocations_.find(reinterpret_cast<std::uintptr_t>(address));
  if (found == allocations_.end()) return false;
  std::memset(address, kPoison, found->second);
  std::free(address);
  allocations_.erase(found);
  return true;
}

bool PinnedMemory::holds(const void *address, std::size_t bytes) const {
  const std::lock_guard lock(mutex_);
  return holder(allocations_, reinterpret_cast<std::uintptr_t>(address), bytes) !=
         allocations_.end();
}

}  // namespace svdit::sim

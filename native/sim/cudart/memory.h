// The simulated device's memory: an address range that the host cannot touch while no device work
// runs, filled with a pattern that shows, and known allocation by allocation.
#ifndef SVDIT_SIM_CUDART_MEMORY_H
#define SVDIT_SIM_CUDART_MEMORY_H

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>

namespace svdit::sim {

// Thread-safe. Addresses are never given twice, and a page that is in no allocation is never open:
// work that runs after its memory was freed, or that strays past the end of its page, faults.
class DeviceMemory {
 public:
  DeviceMemory();

  // nullptr where more than limit bytes would be in use. The new memory holds NaN in any type.
  void *allocate(std::size_t bytes, std::size_t limit);
  bool release(void *address);  // false: not the begin of an allocation
  std::size_t used() const;

  enum class Place { kPageable, kDevice, kOutside };
  // Where a range lies: in one allocation, partly in the device's range but not in one, or neither.
  Place place(const void *address, std::size_t bytes) const;

  // While one of these lives, the allocations can be read and written.
  class Open {
   public:
    explicit Open(DeviceMemory &memory);
    ~Open();
    Open(const Open &) = delete;
    Open &operator=(const Open &) = delete;

   private:
    DeviceMemory &memory_;
  };

 private:
  void protect(int rights) const;

  mutable std::mutex mutex_;
  std::uintptr_t begin_, next_, end_;
  std::map<std::uintptr_t, std::size_t> allocations_;
  std::size_t used_ = 0;
  int open_ = 0;
};

// Page-locked host memory, so that copies can tell it from other host memory. Thread-safe.
class PinnedMemory {
 public:
  void *allocate(std::size_t bytes);
  bool release(void *address);
  bool holds(const void *address, std::size_t bytes) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::uintptr_t, std::size_t> allocations_;
};

}  // namespace svdit::sim

#endif

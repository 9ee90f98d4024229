// A CUDA block's shared memory with a record, per 4-byte word, of who wrote it and who read it, and
// when. From the record it tells, whatever the schedule was, that a read or a write was not ordered
// by a barrier after what it depends on; that a word was never written; that an asynchronous copy
// into it was not waited for.
//
// Time is kept as vector clocks. A warp's clock rises at every synchronisation it takes part in;
// known[w] is the last time of warp w that is known to lie before anything the warp does now.
// Threads of one warp are ordered by __syncwarp and barriers too, so a warp knows its own past only
// up to its last synchronisation.
#ifndef SVDIT_SIM_SHARED_MEMORY_H
#define SVDIT_SIM_SHARED_MEMORY_H

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace svdit::sim {

struct WarpClock {
  std::uint32_t now = 1;
  std::vector<std::uint32_t> known;  // per warp; known[self] = now - 1
};

// Who touches memory. lane < 0: the whole warp at once (a collective instruction).
struct Access {
  int warp;
  int lane;
  const WarpClock *clock;
};

class SharedMemory {
 public:
  // Addresses start here, so that a kernel which takes them to start at 0 is found out.
  static constexpr std::uint32_t kBase = 0x400;

  SharedMemory(std::uint32_t bytes, int warps);

  std::uint32_t bytes() const { return bytes_; }

  // Both fault unless the range lies inside, is aligned to its size, and is ordered after what it
  // depends on.
  void read(const Access &access, std::uint32_t address, void *to, std::uint32_t count);
  void write(const Access &access, std::uint32_t address, const void *from, std::uint32_t count);

  // An asynchronous write: from begin to settle the range is poisoned; land brings the contents in
  // between.
  void begin(const Access &access, std::uint32_t address, std::uint32_t count);
  void land(std::uint32_t address, const void *from, std::uint32_t count);
  void settle(const Access &access, std::uint32_t address, std::uint32_t count);

 private:
  enum State : std::uint8_t { kNeverWritten, kPending, kWritten };
  struct Word {
    State state = kNeverWritten;
    std::int8_t writer_lane = -1;
    std::int16_t writer_warp = -1;
    std::uint32_t written = 0;
  };
  struct LastRead {
    std::uint32_t at = 0;
    std::int8_t lane = -1;  // kMany: by more than one lane
  };
  static constexpr std::int8_t kMany = -2;

  std::uint32_t check_range(std::uint32_t address, std::uint32_t count, const char *what) const;
  void check_overwrite(const Access &access, std::uint32_t word) const;

  std::uint32_t bytes_;
  int warps_;
  std::unique_ptr<std::byte[]> contents_;
  std::vector<Word> words_;
  std::vector<LastRead> reads_;  // [word][warp]
};

}  // namespace svdit::sim

#endif

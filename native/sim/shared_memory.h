// A CUDA block's shared memory with a record, per 4-byte word, of who wrote it and who read it, and
// when. From the record it tells, whatever the schedule was, that a read or a write was not ordered
// after what it depends on; that a word was never written; that an asynchronous copy into it was
// not waited for; that the asynchronous proxy reads what an ordinary store wrote without a proxy
// fence.
//
// Time is kept as vector clocks. Every actor has a component: the warps, and what works on memory
// by itself (see Actors). A warp's own clock rises at every synchronisation it takes part in;
// known[a] is the last time of actor a that is known to lie before anything the warp does now.
// Threads of one warp are ordered by __syncwarp and barriers too, so a warp knows its own past only
// up to its last synchronisation.
#ifndef SVDIT_SIM_SHARED_MEMORY_H
#define SVDIT_SIM_SHARED_MEMORY_H

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace svdit::sim {

// The components of a clock: the warps; the tensor cores of each warpgroup, whose time is the
// number of its last product; each warp's tensor stores, likewise; the copies of each mbarrier,
// whose time is the phase they belong to, counted from 1.
struct Actors {
  static constexpr int kMbarriers = 48;

  int warps;

  int warpgroups() const { return (warps + 3) / 4; }
  int tensor_cores(int warpgroup) const { return warps + warpgroup; }
  int stores(int warp) const { return warps + warpgroups() + warp; }
  int copies(int mbarrier) const { return 2 * warps + warpgroups() + mbarrier; }
  int count() const { return copies(kMbarriers); }
};

struct WarpClock {
  std::uint32_t now = 1;
  std::vector<std::uint32_t> known;  // per actor; known[self] < now
};

// Who touches memory. lane < 0: the whole warp at once (a collective instruction).
struct Access {
  int warp;
  int lane;
  const WarpClock *clock;
  const std::uint32_t *acquired = nullptr;  // what the lane knows beyond its warp; or NULL

  bool knows(int actor, std::uint32_t time) const {
    return clock->known[actor] >= time || (acquired != nullptr && acquired[actor] >= time);
  }
};

class SharedMemory {
 public:
  // Addresses start here, so that a kernel which takes them to start at 0 is found out. A multiple
  // of 1024, as the hardware's is for a kernel that asks for it.
  static constexpr std::uint32_t kBase = 0x400;

  SharedMemory(std::uint32_t bytes, Actors actors);

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

  // The asynchronous proxy. What an actor writes is there for who knows its `time`; what it reads
  // may be overwritten by who knows it. After begin_copy, land brings the contents.
  void begin_copy(const Access &access, int actor, std::uint32_t time, std::uint32_t address,
                  std::uint32_t count);
  void read_async(const Access &access, int actor, std::uint32_t time, std::uint32_t address,
                  void *to, std::uint32_t count);
  // The contents as they are, of a range that read_async was called for.
  void peek(std::uint32_t address, void *to, std::uint32_t count) const;
  // The calling lane's ordinary writes so far are there for the asynchronous proxy.
  void fence_proxy(const Access &access);

  // The 8 bytes of an mbarrier, which nothing else may touch until it is gone. use_mbarrier faults
  // unless the access, of the asynchronous proxy or not, is ordered after make_mbarrier.
  void make_mbarrier(const Access &access, std::uint32_t address);
  void use_mbarrier(const Access &access, std::uint32_t address, bool async) const;
  void remove_mbarrier(const Access &access, std::uint32_t address);
  void fence_mbarriers(const Access &access);

 private:
  enum State : std::uint8_t { kNeverWritten, kPending, kWritten, kMbarrier };
  struct Word {
    State state = kNeverWritten;
    std::int8_t lane = -1;
    std::int16_t actor = -1;
    std::uint32_t written = 0;
    std::uint32_t fences = 0;  // of the lane's proxy fences, those before the write
  };
  struct LastRead {
    std::uint32_t at = 0;
    std::int8_t lane = -1;  // kMany: by more than one lane
  };
  using Fences = std::vector<std::uint32_t>;  // the warp's time at each fence of a lane
  static constexpr std::int8_t kMany = -2;

  std::uint32_t check_range(std::uint32_t address, std::uint32_t count, const char *what) const;
  void check_readable(const Access &access, std::uint32_t word) const;
  void check_overwrite(const Access &access, std::uint32_t first, std::uint32_t end) const;
  bool fenced(const Access &access, const Word &word, const std::vector<Fences> &fences) const;
  Fences &fences_of(std::vector<Fences> &fences, const Access &access) const {
    return fences[access.warp * 32 + access.lane];
  }
  Word word_of(const Access &access, State state) const;
  LastRead *reads_of(int actor);

  std::uint32_t bytes_;
  Actors actors_;
  std::unique_ptr<std::byte[]> contents_;
  std::vector<Word> words_;
  std::vector<std::vector<LastRead>> reads_;  // [actor][word]; empty where the actor read nothing
  std::vector<int> readers_;
  std::vector<Fences> proxy_fences_, mbarrier_fences_;  // [lane]
};

}  // namespace svdit::sim

#endif

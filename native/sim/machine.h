// The simulated machine: blocks of warps of lanes, a lane being a CUDA thread on a fiber of its
// own.
//
// Several blocks are resident at once and the next warp to run is drawn at random, so a schedule is
// a seed. A lane runs until it meets a collective primitive (mma, ldmatrix, shuffle, barrier): the
// 32 lanes rendezvous there and the last one to arrive executes it for all. What asynchronous
// copies bring lands at random moments between their issue and the wait for them; what a
// warpgroup's products give, at the wait. A kernel that does what the hardware leaves undefined
// ends in a Fault that names the block, warp and lane.
//
// Not modelled: weak memory between blocks, register allocation, speed.
#ifndef SVDIT_SIM_MACHINE_H
#define SVDIT_SIM_MACHINE_H

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <source_location>
#include <string>
#include <vector>

#include "fault.h"
#include "fiber.h"
#include "mbarrier.h"
#include "shared_memory.h"
#include "tensor_copy.h"
#include "warpgroup.h"

namespace svdit::sim {

inline constexpr int kLanes = 32;
inline constexpr int kBarriers = 16;

using Site = std::source_location;  // where in the kernel's source a primitive stands

struct Block;
struct Warp;

// A primitive that all lanes of a warp execute together. execute sees the operands of all 32 lanes
// and tells whether the warp may go on; if not, it is woken later.
struct Collective {
  const char *name = nullptr;
  bool (*execute)(Warp &) = nullptr;
  Site site;
  bool aligned =
      true;  // .aligned: all lanes must execute the same instruction, not just the same primitive
};

struct AsyncCopy {
  std::uint32_t address;
  std::uint32_t bytes;  // that are copied; the rest of the 16 become zero
  const void *source;
  std::uint64_t group;
  bool landed;
};

struct Lane {
  enum State { kRunnable, kWaiting, kExited };

  void rendezvous(const Collective &collective, void *own_operands);
  Access access() const;
  void note_shared_access(const Site &site, std::uint32_t address, std::uint32_t bytes);

  void copy_async(std::uint32_t address, const void *source, std::uint32_t bytes);
  void copy_async_commit() { ++group; }
  void copy_async_wait(std::uint64_t newest_groups_left);
  void land_some(std::uint64_t coins);

  void wait_for(std::uint32_t mbarrier, std::uint32_t parity, const Site &site);
  void acquire(int actor, std::uint32_t time);
  void acquire(const std::vector<std::uint32_t> &known);

  Fiber *fiber = nullptr;
  Warp *warp = nullptr;
  int index = 0;
  State state = kRunnable;
  std::uint32_t accesses = 0;  // to shared memory since the warp's last collective
  std::uint64_t group = 0;
  std::vector<AsyncCopy> copies;
  std::uint64_t store_group = 0;
  std::vector<BoxStore> stores;
  // What this lane knows and its warp does not, until it is synchronised.
  bool has_acquired = false;
  std::vector<std::uint32_t> acquired;
  std::string waits_for;  // an mbarrier, in words
};

struct Warp {
  struct SharedAccess {
    std::uint32_t order;
    std::uint32_t line;
    std::uint32_t address;
    std::uint32_t bytes;
    int lane;
  };

  template <class T>
  T &operand(int lane) {
    return *static_cast<T *>(operands[lane]);
  }
  Access access() const { return {index, -1, &clock}; }
  void wake();
  void synchronised();  // what the warp's lanes did so far is ordered before what they do now
  void pool();          // the warp knows what each of its lanes knows
  void count_bank_conflicts();

  Block *block = nullptr;
  int index = 0;
  std::array<Lane, kLanes> lanes;
  std::array<void *, kLanes> operands{};
  Collective collective;
  int arrived = 0;
  int exited = 0;
  WarpClock clock;
  std::uint32_t touched = 0;  // lanes that touched shared memory since synchronised()
  std::uint32_t stores = 0;   // tensor stores so far
  std::vector<SharedAccess> log;
};

// What a launch did, for tests and for counting.
struct Report {
  std::uint64_t collectives = 0;
  std::uint64_t shared_wavefronts = 0;  // passes over the 32 banks that the shared accesses took
  std::uint64_t bank_conflicts = 0;  // of these, the ones a conflict-free layout would have saved
  std::uint64_t async_copies = 0;
  std::uint64_t tensor_copies = 0;
  std::uint64_t products = 0;  // of warpgroups
};

struct NamedBarrier {
  int expected = 0;  // threads; 0: nobody has arrived
  int arrived = 0;
  std::vector<std::uint32_t> joined;
  std::vector<Warp *> waiting;
};

struct Launch {
  int blocks = 1;
  int threads = 32;  // per block, a multiple of 32
  std::uint32_t shared_bytes = 0;
  std::uint64_t seed = 1;
  int resident = 2;  // blocks that run at once
  int registers =
      0;  // a thread's; 0: all that the multiprocessor has for a block of so many threads
};

class Machine;

struct Block {
  Block(Machine &machine, int index, const Launch &launch);
  Mbarrier &mbarrier(std::uint32_t address);
  void make_mbarrier(Lane &lane, std::uint32_t address, std::uint32_t arrivals);
  void remove_mbarrier(Lane &lane, std::uint32_t address);
  Warpgroup &warpgroup(const Warp &warp) { return warpgroups[warp.index / 4]; }
  // Returns whether the barrier is complete; if so, those who wait in it are awake.
  bool arrive(Warp &warp, int barrier, int threads, bool wait);
  bool finished() const;

  Machine &machine;
  int index;
  Actors actors;
  SharedMemory shared;
  std::vector<Warp> warps;
  std::array<NamedBarrier, kBarriers> barriers;
  std::deque<Mbarrier> mbarriers;
  std::vector<AsyncLoad> loads;  // under way
  std::deque<Warpgroup> warpgroups;
  RegisterPool registers;
};

// Runs kernel, which calls the __global__ function, on every thread of the launch. Throws Fault.
Report launch(const Launch &launch, const std::function<void()> &kernel);

// The lane that runs now; faults outside of a launch.
Lane &current();
int block_count();
std::uint64_t seed();
Report &report();
std::uint64_t random_bits();

// How many passes over the banks these accesses of one instruction take; bytes is each one's size.
int wavefronts(const std::uint32_t *addresses, int count, std::uint32_t bytes);

}  // namespace svdit::sim

#endif

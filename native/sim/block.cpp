// Warps and blocks: what their threads know of each other, and the barriers.
#include <algorithm>
#include <tuple>

#include "machine.h"

namespace svdit::sim {

// ---- warps ------------------------------------------------------------------------------------

void Warp::wake() {
  for (Lane &lane : lanes) lane.state = Lane::kRunnable;
}

void Warp::synchronised() {
  for (Lane &lane : lanes) {
    if (!lane.has_acquired) continue;
    for (std::size_t i = 0; i < clock.known.size(); ++i) {
      clock.known[i] = std::max(clock.known[i], lane.acquired[i]);
    }
    lane.has_acquired = false;
  }
  clock.known[index] = clock.now;
  ++clock.now;
  touched = 0;
}

void Warp::pool() {
  for (const Lane &lane : lanes) {
    if (!lane.has_acquired) return;
  }
  for (std::size_t i = 0; i < clock.known.size(); ++i) {
    std::uint32_t least = lanes[0].acquired[i];
    for (const Lane &lane : lanes) least = std::min(least, lane.acquired[i]);
    clock.known[i] = std::max(clock.known[i], least);
  }
}

int wavefronts(const std::uint32_t *addresses, int count, std::uint32_t bytes) {
  std::uint32_t words[kLanes * 4];
  int total = 0;
  for (int i = 0; i < count; ++i) {
    for (std::uint32_t j = 0; j < bytes; j += 4) words[total++] = addresses[i] / 4 + j / 4;
  }
  std::sort(words, words + total);
  int per_bank[32] = {};
  for (int i = 0; i < total; ++i) {
    if (i == 0 || words[i] != words[i - 1]) ++per_bank[words[i] % 32];
  }
  return *std::max_element(per_bank, per_bank + 32);
}

// The lanes' n-th accesses since the last collective, at the same line, are taken to be one
// instruction. It is served in parts of at most 128 bytes: all lanes' 4 bytes, or a quarter of the
// lanes' 16.
void Warp::count_bank_conflicts() {
  std::stable_sort(log.begin(), log.end(), [](const SharedAccess &a, const SharedAccess &b) {
    return std::tie(a.order, a.line, a.lane) < std::tie(b.order, b.line, b.lane);
  });
  for (std::size_t i = 0; i < log.size();) {
    const int lanes_a_part = std::max(1, static_cast<int>(128 / std::max(4u, log[i].bytes)));
    std::uint32_t addresses[kLanes];
    int count = 0;
    const std::size_t first = i;
    while (i < log.size() && count < kLanes && log[i].order == log[first].order &&
           log[i].line == log[first].line &&
           log[i].lane / lanes_a_part == log[first].lane / lanes_a_part) {
      addresses[count++] = log[i++].address;
    }
    const int passes = wavefronts(addresses, count, log[first].bytes);
    report().shared_wavefronts += passes;
    report().bank_conflicts += passes - 1;
  }
  log.clear();
  for (Lane &lane : lanes) lane.accesses = 0;
}

// ---- blocks -----------------------------------------------------------------------------------

namespace {
// Registers a thread can have where the multiprocessor's 64 Ki are for one block.
int most_registers(int threads) { return std::min(255, 65536 / threads / 8 * 8); }
}  // namespace

Block::Block(Machine &owner, int block_index, const Launch &launch)
    : machine(owner),
      index(block_index),
      actors{launch.threads / kLanes},
      shared(launch.shared_bytes, actors),
      warps(actors.warps),
      registers(actors.warps,
                launch.registers != 0 ? launch.registers : most_registers(launch.threads)) {
  for (int w = 0; w < actors.warps; ++w) {
    warps[w].block = this;
    warps[w].index = w;
    warps[w].clock.known.assign(actors.count(), 0);
    for (int l = 0; l < kLanes; ++l) {
      warps[w].lanes[l].warp = &warps[w];
      warps[w].lanes[l].index = l;
    }
  }
  for (int g = 0; g < actors.warpgroups(); ++g) warpgroups.emplace_back(*this, g);
}

Mbarrier &Block::mbarrier(std::uint32_t address) {
  for (Mbarrier &mbarrier : mbarriers) {
    if (mbarrier.address == address && !mbarrier.gone) return mbarrier;
  }
  fail("no mbarrier is at shared address 0x%x", address);
}

void Block::make_mbarrier(Lane &lane, std::uint32_t address, std::uint32_t arrivals) {
  if (arrivals == 0 || arrivals >= 1u << 20) fail("mbarrier_init for %u arrivals", arrivals);
  if (mbarriers.size() == Actors::kMbarriers) fail("more than %d mbarriers", Actors::kMbarriers);
  shared.make_mbarrier(lane.access(), address);
  Mbarrier mbarrier;
  mbarrier.address = address;
  mbarrier.actor = actors.copies(static_cast<int>(mbarriers.size()));
  mbarrier.count = mbarrier.pending = arrivals;
  mbarrier.arrivals.resize(warps.size());
  mbarrier.arriving.assign(actors.count(), 0);
  mbarrier.past.assign(actors.count(), 0);
  mbarriers.push_back(std::move(mbarrier));
}

void Block::remove_mbarrier(Lane &lane, std::uint32_t address) {
  Mbarrier &old = mbarrier(address);
  if (!old.waiting.empty() || old.copies != 0) {
    fail("mbarrier_invalidate of the mbarrier at 0x%x while it is waited for", address);
  }
  shared.remove_mbarrier(lane.access(), address);
  old.gone = true;
}

bool Block::finished() const {
  return std::all_of(warps.begin(), warps.end(), [](const Warp &w) { return w.exited == kLanes; });
}

bool Block::arrive(Warp &warp, int id, int threads, bool wait) {
  if (id < 0 || id >= kBarriers) fail("barrier %d: there are %d", id, kBarriers);
  NamedBarrier &barrier = barriers[id];
  if (barrier.expected == 0) {
    barrier.expected = threads;
    barrier.joined.assign(actors.count(), 0);
  } else if (barrier.expected != threads) {
    fail("barrier %d for %d threads: others wait in it for %d", id, threads, barrier.expected);
  }
  warp.synchronised();
  for (std::size_t w = 0; w < barrier.joined.size(); ++w) {
    barrier.joined[w] = std::max(barrier.joined[w], warp.clock.known[w]);
  }
  if (wait) barrier.waiting.push_back(&warp);
  barrier.arrived += kLanes;
  if (barrier.arrived > barrier.expected) {
    fail("barrier %d for %d threads: %d arrived", id, threads, barrier.arrived);
  }
  if (barrier.arrived < barrier.expected) return false;
  for (Warp *waiting : barrier.waiting) {
    for (std::size_t w = 0; w < barrier.joined.size(); ++w) {
      waiting->clock.known[w] = std::max(waiting->clock.known[w], barrier.joined[w]);
    }
    waiting->wake();
  }
  barrier = {};
  return true;
}

}  // namespace svdit::sim

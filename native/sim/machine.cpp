#include "machine.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <tuple>

namespace svdit::sim {

class Machine {
 public:
  Machine(const Launch &launch, const std::function<void()> &kernel)
      : launch_(launch), kernel_(kernel), random_(launch.seed * 0x9e3779b97f4a7c15u + 1) {}

  Report run();
  std::uint64_t random_bits() {  // splitmix64
    std::uint64_t z = random_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  const Launch &config() const { return launch_; }

  Report report;

 private:
  static void enter(void *lane);
  void admit();
  bool step();
  bool land_load();
  void run_warp(Warp &warp);
  [[noreturn]] void report_deadlock();

  const Launch &launch_;
  const std::function<void()> &kernel_;
  std::uint64_t random_;
  int next_block_ = 0;
  std::vector<std::unique_ptr<Block>> resident_;
  std::vector<std::unique_ptr<Fiber>> idle_fibers_;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::string fault_;
};

namespace {
thread_local Machine *machine = nullptr;
thread_local Lane *running = nullptr;

std::string place(const Lane &lane) {
  char text[96];
  std::snprintf(text, sizeof text, "block %d warp %d lane %d: ", lane.warp->block->index,
                lane.warp->index, lane.index);
  return text;
}

std::string describe(const Collective &collective) {
  const char *file = collective.site.file_name();
  if (const char *slash = std::strrchr(file, '/')) file = slash + 1;
  return std::string(collective.name) + " (" + file + ":" + std::to_string(collective.site.line()) +
         ")";
}

bool same(const Collective &a, const Collective &b) {
  if (a.execute != b.execute) return false;
  return !a.aligned || (a.site.line() == b.site.line() && a.site.column() == b.site.column());
}
}  // namespace

Lane &current() {
  if (running == nullptr) fail("a primitive was called outside of a launch");
  return *running;
}
int block_count() { return machine->config().blocks; }
Report &report() { return machine->report; }
std::uint64_t random_bits() { return machine->random_bits(); }
std::uint64_t seed() { return machine->config().seed; }

// ---- lanes ------------------------------------------------------------------------------------

Access Lane::access() const {
  return {warp->index, index, &warp->clock, has_acquired ? acquired.data() : nullptr};
}

void Lane::rendezvous(const Collective &collective, void *own_operands) {
  Warp &w = *warp;
  if (w.exited != 0) {
    fail("divergent: arrives at %s after %d lanes of its warp exited", describe(collective).c_str(),
         w.exited);
  }
  if (w.arrived == 0) {
    w.collective = collective;
  } else if (!same(w.collective, collective)) {
    fail("divergent: arrives at %s while %d lanes of its warp wait at %s",
         describe(collective).c_str(), w.arrived, describe(w.collective).c_str());
  }
  w.operands[index] = own_operands;
  state = kWaiting;
  if (++w.arrived == kLanes) {
    w.arrived = 0;
    w.count_bank_conflicts();
    w.pool();
    ++machine->report.collectives;
    if (collective.execute(w)) w.wake();
    if (state == kRunnable) return;
  }
  fiber->suspend();
}

void Lane::note_shared_access(const Site &site, std::uint32_t address, std::uint32_t bytes) {
  warp->log.push_back({accesses++, site.line(), address, bytes, index});
  warp->touched |= 1u << index;
}

void Lane::wait_for(std::uint32_t address, std::uint32_t parity, const Site &site) {
  Block &block = *warp->block;
  block.shared.use_mbarrier(access(), address, false);
  Mbarrier &mbarrier = block.mbarrier(address);
  if (parity > 1) fail("mbarrier_wait for parity %u", parity);
  while (!mbarrier.ended(parity)) {
    state = kWaiting;
    mbarrier.waiting.push_back(this);
    char text[128];
    std::snprintf(text, sizeof text, "lane %d waits for parity %u of the mbarrier at 0x%x", index,
                  parity, address);
    waits_for = describe({text, nullptr, site});
    fiber->suspend();
  }
  waits_for.clear();
  acquire(mbarrier.past);
}

void Lane::acquire(const std::vector<std::uint32_t> &known) {
  if (!has_acquired) {
    acquired = known;
  } else {
    for (std::size_t i = 0; i < known.size(); ++i) acquired[i] = std::max(acquired[i], known[i]);
  }
  has_acquired = true;
}

void Lane::acquire(int actor, std::uint32_t time) {
  if (!has_acquired) acquired.assign(warp->clock.known.size(), 0);
  acquired[actor] = std::max(acquired[actor], time);
  has_acquired = true;
}

void Lane::copy_async(std::uint32_t address, const void *source, std::uint32_t bytes) {
  if (bytes != 0 && reinterpret_cast<std::uintptr_t>(source) % 16 != 0) {
    fail("asynchronous copy from %p: misaligned", source);
  }
  warp->block->shared.begin(access(), address, 16);
  copies.push_back({address, bytes, source, group, false});
  ++machine->report.async_copies;
}

static void land(SharedMemory &shared, AsyncCopy &copy) {
  if (copy.landed) return;
  std::byte contents[16] = {};
  if (copy.bytes != 0) std::memcpy(contents, copy.source, copy.bytes);
  shared.land(copy.address, contents, 16);
  copy.landed = true;
}

void Lane::copy_async_wait(std::uint64_t newest_groups_left) {
  auto kept = copies.begin();
  for (AsyncCopy &copy : copies) {
    if (copy.group + newest_groups_left < group) {
      land(warp->block->shared, copy);
      warp->block->shared.settle(access(), copy.address, 16);
    } else {
      *kept++ = copy;
    }
  }
  copies.erase(kept, copies.end());
}

void Lane::land_some(std::uint64_t coins) {
  for (AsyncCopy &copy : copies) {
    if (coins & 1) land(warp->block->shared, copy);
    coins = (coins >> 1) | (coins << 63);
  }
}

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
    machine->report.shared_wavefronts += passes;
    machine->report.bank_conflicts += passes - 1;
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

// ---- the machine ------------------------------------------------------------------------------

void Machine::enter(void *argument) {
  Lane &lane = *static_cast<Lane *>(argument);
  try {
    machine->kernel_();
    if (!lane.copies.empty()) {
      fail("exits with %zu asynchronous copies it did not wait for", lane.copies.size());
    }
    finish_stores(lane);
    Warp &warp = *lane.warp;
    if (warp.arrived != 0) {
      fail("divergent: exits while %d lanes of its warp wait at %s", warp.arrived,
           describe(warp.collective).c_str());
    }
    if (++warp.exited == kLanes) {
      warp.count_bank_conflicts();
      warp.block->warpgroup(warp).check_left(warp);
    }
  } catch (const std::exception &error) {
    machine->fault_ = place(lane) + error.what();
  }
  lane.state = Lane::kExited;
  lane.fiber->suspend();
}

void Machine::admit() {
  while (static_cast<int>(resident_.size()) < launch_.resident && next_block_ < launch_.blocks) {
    resident_.push_back(std::make_unique<Block>(*this, next_block_++, launch_));
    for (Warp &warp : resident_.back()->warps) {
      for (Lane &lane : warp.lanes) {
        if (idle_fibers_.empty()) idle_fibers_.push_back(std::make_unique<Fiber>());
        lane.fiber = idle_fibers_.back().get();
        fibers_.push_back(std::move(idle_fibers_.back()));
        idle_fibers_.pop_back();
        lane.fiber->start(&Machine::enter, &lane);
      }
    }
  }
}

void Machine::run_warp(Warp &warp) {
  const std::uint64_t bits = random_bits();
  const int first = static_cast<int>(bits % kLanes);
  const int direction = (bits >> 8) & 1 ? 1 : kLanes - 1;
  for (int i = 0; i < kLanes; ++i) {
    Lane &lane = warp.lanes[(first + i * direction) % kLanes];
    if (lane.state != Lane::kRunnable) continue;
    running = &lane;
    lane.fiber->resume();
    running = nullptr;
    if (!fault_.empty()) throw Fault(fault_);
  }
}

// Runs one warp, drawn at random from those that can run; false where there is none.
bool Machine::step() {
  std::vector<Warp *> ready;
  for (auto &block : resident_) {
    for (Warp &warp : block->warps) {
      for (const Lane &lane : warp.lanes) {
        if (lane.state == Lane::kRunnable) {
          ready.push_back(&warp);
          break;
        }
      }
    }
  }
  const std::uint64_t bits = random_bits();
  Block &block = *resident_[(bits >> 8) % resident_.size()];
  if (ready.empty()) return land_load();
  Warp &warp = *ready[(bits >> 32) % ready.size()];
  if (bits & 1) {
    Lane &lane = block.warps[(bits >> 16) % block.warps.size()].lanes[(bits >> 24) % kLanes];
    const std::uint64_t coins = random_bits();
    lane.land_some(coins);
    land_some_stores(lane, coins);
    if ((bits & 2) && !block.loads.empty()) {
      sim::land_load(block, (coins >> 32) % block.loads.size());
    }
  }
  run_warp(warp);
  return true;
}

// Where all wait, a tensor copy that is under way arrives; false where there is none.
bool Machine::land_load() {
  std::vector<Block *> loading;
  for (auto &block : resident_) {
    if (!block->loads.empty()) loading.push_back(block.get());
  }
  if (loading.empty()) return false;
  const std::uint64_t bits = random_bits();
  Block &block = *loading[bits % loading.size()];
  sim::land_load(block, (bits >> 16) % block.loads.size());
  return true;
}

void Machine::report_deadlock() {
  std::string text = "deadlock:";
  for (auto &block : resident_) {
    for (Warp &warp : block->warps) {
      if (warp.exited == kLanes) continue;
      text +=
          " [block " + std::to_string(block->index) + " warp " + std::to_string(warp.index) + ": ";
      const auto waiting = std::find_if(warp.lanes.begin(), warp.lanes.end(),
                                        [](const Lane &lane) { return !lane.waits_for.empty(); });
      if (waiting != warp.lanes.end()) text += waiting->waits_for;
      if (waiting == warp.lanes.end() || warp.arrived != 0) {
        text += warp.arrived != 0 ? std::to_string(warp.arrived) + " lanes wait at " : "waits in ";
        text += describe(warp.collective);
      }
      text += "]";
    }
  }
  throw Fault(text);
}

Report Machine::run() {
  if (launch_.threads <= 0 || launch_.threads % kLanes != 0 || launch_.threads > 1024) {
    fail("launch with %d threads per block", launch_.threads);
  }
  admit();
  while (!resident_.empty()) {
    if (!step()) {
      if (std::none_of(resident_.begin(), resident_.end(), [](auto &b) { return b->finished(); })) {
        report_deadlock();
      }
    }
    for (std::size_t b = 0; b < resident_.size();) {
      Block &block = *resident_[b];
      if (!block.finished()) {
        ++b;
        continue;
      }
      if (!block.loads.empty()) {
        fail("block %d warp 0 lane 0: ends while %zu tensor copies into it are under way",
             block.index, block.loads.size());
      }
      for (const Warpgroup &warpgroup : block.warpgroups) warpgroup.check_end();
      for (Warp &warp : block.warps) {
        for (Lane &lane : warp.lanes) {
          const auto owner = std::find_if(fibers_.begin(), fibers_.end(), [&](const auto &fiber) {
            return fiber.get() == lane.fiber;
          });
          idle_fibers_.push_back(std::move(*owner));
          fibers_.erase(owner);
        }
      }
      resident_.erase(resident_.begin() + static_cast<std::ptrdiff_t>(b));
      admit();
    }
  }
  return report;
}

Report launch(const Launch &launch, const std::function<void()> &kernel) {
  if (machine != nullptr) fail("a launch inside of a launch");
  Machine own(launch, kernel);
  machine = &own;
  struct Leave {
    ~Leave() { machine = nullptr, running = nullptr; }
  } leave;
  return own.run();
}

}  // namespace svdit::sim

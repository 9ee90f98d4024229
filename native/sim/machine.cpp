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

// A tensor copy arrives. What is wrong then is its lane's fault.
static void arrive(Block &block, std::size_t load) {
  const Lane &lane = *block.loads[load].lane;
  try {
    sim::land_load(block, load);
  } catch (const Fault &fault) {
    throw Fault(place(lane) + fault.what());
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
      arrive(block, (coins >> 32) % block.loads.size());
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
  arrive(block, (bits >> 16) % block.loads.size());
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

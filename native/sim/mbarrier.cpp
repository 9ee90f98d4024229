#include "mbarrier.h"

#include <algorithm>

#include "machine.h"

namespace svdit::sim {

namespace {
constexpr std::int64_t kMostBytes = (1 << 20) - 1;  // what the hardware's counter holds

void join(std::vector<std::uint32_t> &known, const std::vector<std::uint32_t> &more) {
  for (std::size_t i = 0; i < known.size(); ++i) known[i] = std::max(known[i], more[i]);
}
}  // namespace

void Mbarrier::arrive(Lane &lane) {
  if (pending == 0)
    fail("more than %u arrivals at the mbarrier at 0x%x in one phase", count, address);
  Warp &warp = *lane.warp;
  Arrivals &own = arrivals[warp.index];
  own.lanes |= 1u << lane.index;
  own.touched |= warp.touched;
  own.latest = warp.clock.now++;
  own.synchronised = std::max(own.synchronised, warp.clock.known[warp.index]);
  join(arriving, warp.clock.known);
  if (lane.has_acquired) join(arriving, lane.acquired);
  --pending;
  end_phase_if_complete();
}

void Mbarrier::expect(std::uint32_t more) {
  bytes += more;
  if (bytes > kMostBytes)
    fail("the mbarrier at 0x%x expects %lld bytes", address, (long long)bytes);
}

void Mbarrier::copied(std::uint32_t fewer) {
  bytes -= fewer;
  --copies;
  end_phase_if_complete();
}

void Mbarrier::end_phase_if_complete() {
  if (pending != 0 || bytes != 0) return;
  if (copies != 0) {
    fail(
        "phase %u of the mbarrier at 0x%x ends while %d of its copies are under way: it expected "
        "too few bytes",
        phase, address, copies);
  }
  for (std::size_t w = 0; w < arrivals.size(); ++w) {
    const Arrivals &own = arrivals[w];
    if (own.lanes == 0) continue;
    const bool all = (own.touched & ~own.lanes) == 0;
    arriving[w] = std::max(arriving[w], all ? own.latest : own.synchronised);
    arrivals[w] = {};
  }
  join(past, arriving);
  past[actor] = ++phase;
  pending = count;
  for (Lane *lane : waiting) lane->state = Lane::kRunnable;
  waiting.clear();
}

std::string Mbarrier::state() const {
  return "phase " + std::to_string(phase) + ", " + std::to_string(pending) + " of " +
         std::to_string(count) + " arrivals and " + std::to_string(bytes) + " bytes missing";
}

}  // namespace svdit::sim

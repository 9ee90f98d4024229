// mbarriers as the PTX ISA describes them: a phase ends when its pending arrivals and its count of
// bytes under way are both zero. Who has seen the end of a phase knows all that those who arrived
// knew, and that the phase's copies are there.
#ifndef SVDIT_SIM_MBARRIER_H
#define SVDIT_SIM_MBARRIER_H

#include <cstdint>
#include <string>
#include <vector>

namespace svdit::sim {

struct Lane;

struct Mbarrier {
  // Of one warp, in the phase that is under way. What its lanes did is ordered after the phase if
  // all those that touched shared memory since the warp was last synchronised have arrived; else
  // only what lay before that.
  struct Arrivals {
    std::uint32_t lanes = 0;    // that arrived
    std::uint32_t touched = 0;  // lanes that touched shared memory before an arrival
    std::uint32_t latest = 0;   // the warp's time at the last arrival
    std::uint32_t synchronised = 0;
  };

  void arrive(Lane &lane);
  void expect(std::uint32_t bytes);
  void copied(std::uint32_t bytes);
  bool ended(std::uint32_t parity) const { return (phase & 1) != parity; }
  std::string state() const;

  std::uint32_t address;
  int actor;  // its copies, in a clock
  std::uint32_t count;
  std::uint32_t pending;
  std::int64_t bytes = 0;  // expected and not copied yet
  std::uint32_t phase = 0;
  int copies = 0;  // under way
  bool gone = false;
  std::vector<Arrivals> arrivals;  // per warp
  std::vector<std::uint32_t> arriving,
      past;  // knowledge: of those who arrived; of phases that ended
  std::vector<Lane *> waiting;

 private:
  void end_phase_if_complete();
};

}  // namespace svdit::sim

#endif

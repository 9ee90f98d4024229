// Where the source of a kernel synchronises, and what comes of a kernel in which one of these
// places is left out. For tests: whatever the kernel needs, the simulator must miss.
#ifndef SVDIT_SIM_PLACES_H
#define SVDIT_SIM_PLACES_H

#include <compare>
#include <cstdint>
#include <set>
#include <source_location>
#include <string>
#include <string_view>

namespace svdit::sim {

// A primitive that orders things (a barrier, a wait, a fence, an arrival) and does nothing else.
struct Place {
  Place(const char *primitive, const std::source_location &site);
  std::string text() const;  // "barrier (attention_sm80.cuh:94)"
  auto operator<=>(const Place &) const = default;

  std::uint32_t line, column;
  std::string_view file, primitive;
};

// As long as it lives, notes the places that launches come to, and leaves out the one it was given.
// One at a time.
class Places {
 public:
  explicit Places(const Place *left_out = nullptr);
  ~Places();
  Places(const Places &) = delete;
  Places &operator=(const Places &) = delete;

  const std::set<Place> &found() const { return found_; }

 private:
  friend bool left_out(const char *primitive, const std::source_location &site);
  const Place *left_out_;
  std::set<Place> found_;
};

// For primitives: whether not to do what is asked for there.
bool left_out(const char *primitive, const std::source_location &site);

}  // namespace svdit::sim

#endif

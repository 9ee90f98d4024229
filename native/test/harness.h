// What every native test shares: cases that report one line each, and a summary as the last line.
#ifndef SVDIT_TEST_HARNESS_H
#define SVDIT_TEST_HARNESS_H

#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <mutex>
#include <string>
#include <utility>

#include "svdit.h"

namespace svdit::test {

class Report {
 public:
  // A failed expectation of the running case; from any thread.
  __attribute__((format(printf, 2, 3))) void fail(const char *format, ...) {
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    const std::lock_guard lock(mutex_);
    failures_ += "\n    ";
    failures_ += text;
  }

  // Runs one case: body(), then a line.
  template <class Body>
  void run(const std::string &name, Body &&body) {
    failures_.clear();
    body();
    (failures_.empty() ? passed_ : failed_)++;
    std::printf("%s %s%s\n", failures_.empty() ? "ok  " : "FAIL", name.c_str(), failures_.c_str());
    std::fflush(stdout);
  }

  // Prints the summary; what main returns.
  int finish() const {
    std::printf("%d passed, %d failed\n", passed_, failed_);
    return failed_ == 0 && passed_ > 0 ? 0 : 1;
  }

 private:
  std::mutex mutex_;
  std::string failures_;
  int passed_ = 0, failed_ = 0;
};

inline Report report;

#define EXPECT(condition, ...)                                                 \
  do {                                                                         \
    if (!(condition)) {                                                        \
      ::svdit::test::report.fail("%s:%d: %s", __FILE__, __LINE__, #condition); \
      __VA_OPT__(::svdit::test::report.fail(__VA_ARGS__);)                     \
    }                                                                          \
  } while (0)

// A svdit_error ready to be handed in.
inline svdit_error new_error() {
  svdit_error error{};
  error.struct_bytes = sizeof error;
  return error;
}

// Expects call(svdit_error *) to return status with a message that holds every one of words.
template <class Call, class... Words>
void expect_status(svdit_status status, Call &&call, Words... words) {
  svdit_error error = new_error();
  const svdit_status got = call(&error);
  if (got != status) report.fail("status %d, expected %d; message: %s", got, status, error.message);
  for (const std::string &word : {std::string(words)...}) {
    if (std::string(error.message).find(word) == std::string::npos) {
      report.fail("message '%s' does not name '%s'", error.message, word.c_str());
    }
  }
}
template <class Call>
void expect_ok(Call &&call) {
  svdit_error error = new_error();
  const svdit_status got = call(&error);
  if (got != SVDIT_OK) report.fail("status %d, expected OK; message: %s", got, error.message);
}

// Deterministic numbers from a printed seed.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15u + 1) {}
  uint64_t bits() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return state_ * 0x2545F4914F6CDD1Du;
  }
  // low .. high, both included.
  int64_t between(int64_t low, int64_t high) {
    return low + (int64_t)(bits() % (uint64_t)(high - low + 1));
  }
  bool chance(double p) { return (bits() >> 11) * 0x1p-53 < p; }
  // Roughly normal: mean 0, variance 1.
  float normal() {
    double sum = 0;
    for (int i = 0; i < 12; ++i) sum += (bits() >> 11) * 0x1p-53;
    return (float)(sum - 6);
  }

 private:
  uint64_t state_;
};

}  // namespace svdit::test

#endif

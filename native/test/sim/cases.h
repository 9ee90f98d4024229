// One line per case, the sum at the end; a case is a function that throws, with what was wrong.
#ifndef SVDIT_TEST_SIM_CASES_H
#define SVDIT_TEST_SIM_CASES_H

#include <cstdarg>
#include <cstdio>
#include <functional>
#include <stdexcept>
#include <string>

namespace svdit::test {

class Cases {
 public:
  void run(const std::string &name, const std::function<void()> &body) {
    try {
      body();
      std::printf("ok    %s\n", name.c_str());
      ++passed_;
    } catch (const std::exception &error) {
      std::printf("FAIL  %s: %s\n", name.c_str(), error.what());
      ++failed_;
    }
    std::fflush(stdout);
  }
  int finish() const {
    std::printf("%d passed, %d failed\n", passed_, failed_);
    return failed_ == 0 && passed_ > 0 ? 0 : 1;
  }

 private:
  int passed_ = 0, failed_ = 0;
};

__attribute__((format(printf, 2, 3))) inline void check(bool good, const char *format, ...) {
  if (good) return;
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  throw std::runtime_error(text);
}

}  // namespace svdit::test

#endif

// How the native code fails inside: an exception that carries a status and a message. It never
// crosses the ABI; the entry points turn it into the status and the caller's svdit_error (see
// api/guard.h).
#ifndef SVDIT_ERROR_H
#define SVDIT_ERROR_H

#include <cstdarg>
#include <cstdio>
#include <exception>

#include "svdit.h"

namespace svdit {

class Error : public std::exception {
 public:
  Error(svdit_status status, const char *format, va_list arguments) : status_(status) {
    std::vsnprintf(message_, sizeof message_, format, arguments);
  }
  svdit_status status() const { return status_; }
  const char *what() const noexcept override { return message_; }

 private:
  svdit_status status_;
  char message_[sizeof(svdit_error::message)];
};

// Throws Error. Messages name the offending value and what was expected.
[[noreturn]] __attribute__((format(printf, 2, 3))) inline void fail(svdit_status status,
                                                                    const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  Error error(status, format, arguments);
  va_end(arguments);
  throw error;
}

}  // namespace svdit

#endif

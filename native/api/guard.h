// The edge of the ABI: what every entry point does around its work.
#ifndef SVDIT_API_GUARD_H
#define SVDIT_API_GUARD_H

#include <cstddef>
#include <new>

#include "base/error.h"
#include "svdit.h"

namespace svdit {

// Writes message into error (which may be NULL), cut to fit, and returns status.
svdit_status report(svdit_status status, const char *message, svdit_error *error) noexcept;

// Runs body and turns whatever it throws into a status and a message: no C++ exception crosses the
// ABI.
template <class Body>
svdit_status guarded(svdit_error *error, Body &&body) noexcept {
  if (error != nullptr && error->struct_bytes != sizeof(svdit_error)) {
    return report(SVDIT_INVALID_ARGUMENT, "svdit_error.struct_bytes is not this library's", error);
  }
  try {
    body();
    return SVDIT_OK;
  } catch (const Error &e) {
    return report(e.status(), e.what(), error);
  } catch (const std::bad_alloc &) {
    return report(SVDIT_OUT_OF_MEMORY, "host memory ran out", error);
  } catch (const std::exception &e) {
    return report(SVDIT_INTERNAL, e.what(), error);
  } catch (...) {
    return report(SVDIT_INTERNAL, "an exception of an unknown kind", error);
  }
}

// Throws INVALID_ARGUMENT if a pointer that must be given is NULL.
inline void require(const void *pointer, const char *name) {
  if (pointer == nullptr) fail(SVDIT_INVALID_ARGUMENT, "%s is NULL", name);
}

// Throws INVALID_ARGUMENT unless s was set up by a caller compiled with the same header.
template <class Struct>
void require_struct(const Struct *s, const char *name) {
  require(s, name);
  if (s->struct_bytes != sizeof(Struct)) {
    fail(SVDIT_INVALID_ARGUMENT, "%s.struct_bytes is %u, this library's is %zu", name,
         s->struct_bytes, sizeof(Struct));
  }
}

// Throws INVALID_ARGUMENT if a reserved field is not 0.
template <size_t n>
void require_zero(const uint64_t (&reserved)[n], uint64_t other, const char *name) {
  for (uint64_t r : reserved) other |= r;
  if (other != 0) fail(SVDIT_INVALID_ARGUMENT, "%s has a reserved field that is not 0", name);
}

}  // namespace svdit

#endif

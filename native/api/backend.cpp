// Backends, their memory and streams.
#include "backend/backend.h"

#include <cstdlib>
#include <cstring>

#include "api/guard.h"

using namespace svdit;

namespace {

void check_options(const svdit_backend_options *options) {
  require_struct(options, "svdit_backend_options");
  require_zero(options->reserved, options->reserved0, "svdit_backend_options");
  if (options->kind > SVDIT_BACKEND_CUDA) {
    fail(SVDIT_INVALID_ARGUMENT, "kind is %u, expected 0 (CPU) or 1 (CUDA)", options->kind);
  }
  const bool cpu = options->kind == SVDIT_BACKEND_CPU;
  if (options->device < 0 || (cpu && options->device != 0)) {
    fail(SVDIT_INVALID_ARGUMENT, "device is %d, expected %s", options->device,
         cpu ? "0 for the CPU" : "0 or more");
  }
  if (options->threads < 0 || options->threads > 4096 || (!cpu && options->threads != 0)) {
    fail(SVDIT_INVALID_ARGUMENT, "threads is %d, expected %s", options->threads,
         cpu ? "0 (as many as are allowed) to 4096" : "0 for CUDA");
  }
  if (!cpu && options->cpu_tier != 0) {
    fail(SVDIT_INVALID_ARGUMENT, "cpu_tier is %u, expected 0 for CUDA", options->cpu_tier);
  }
}

#if !SVDIT_WITH_CUDA
[[noreturn]] void no_cuda() {
  fail(SVDIT_UNAVAILABLE,
       "the CUDA backend is not built into this library (it was built without nvcc)");
}
#endif

void check_memory_kind(uint32_t kind) {
  if (kind > SVDIT_MEMORY_HOST) {
    fail(SVDIT_INVALID_ARGUMENT, "kind is %u, expected 0 (DEVICE) or 1 (HOST)", kind);
  }
}

uint64_t allocated(svdit_backend &backend, uint32_t kind) {
  const std::lock_guard lock(backend.allocations_mutex);
  uint64_t sum = 0;
  for (const auto &[address, bytes] : backend.allocations[kind]) sum += bytes;
  return sum;
}

}  // namespace

svdit_status svdit_backend_probe(const svdit_backend_options *options, svdit_backend_info *info,
                                 svdit_error *error) {
  return guarded(error, [&] {
    check_options(options);
    require_struct(info, "svdit_backend_info");
    std::memset(info, 0, sizeof *info);
    info->struct_bytes = sizeof *info;
    info->kind = options->kind;
    info->device = options->device;
    if (options->kind == SVDIT_BACKEND_CPU) return probe_cpu(*options, *info);
#if SVDIT_WITH_CUDA
    probe_cuda(*options, *info);
#else
    no_cuda();
#endif
  });
}

svdit_status svdit_backend_open(const svdit_backend_options *options, svdit_backend **backend,
                                svdit_error *error) {
  return guarded(error, [&] {
    check_options(options);
    require(backend, "backend");
    if (options->kind == SVDIT_BACKEND_CPU) {
      *backend = open_cpu(*options).release();
      return;
    }
#if SVDIT_WITH_CUDA
    *backend = open_cuda(*options).release();
#else
    no_cuda();
#endif
  });
}

void svdit_backend_close(svdit_backend *backend) { delete backend; }

svdit_status svdit_backend_describe(const svdit_backend *handle, svdit_backend_info *info,
                                    svdit_error *error) {
  return guarded(error, [&] {
    require(handle, "backend");
    auto *const backend = const_cast<svdit_backend *>(handle);  // to lock its books
    require_struct(info, "svdit_backend_info");
    svdit_backend_info now{};
    now.struct_bytes = sizeof now;
    backend->describe(now);
    now.memory_used_bytes = allocated(*backend, SVDIT_MEMORY_DEVICE);
    now.memory_host_bytes = allocated(*backend, SVDIT_MEMORY_HOST);
    *info = now;
  });
}

svdit_status svdit_memory_allocate(svdit_backend *backend, uint32_t kind, uint64_t bytes,
                                   void **address, svdit_error *error) {
  return guarded(error, [&] {
    require(backend, "backend");
    require(address, "address");
    check_memory_kind(kind);
    if (bytes == 0) fail(SVDIT_INVALID_ARGUMENT, "bytes is 0, expected 1 or more");
    void *const memory = backend->allocate(kind, bytes);
    try {
      const std::lock_guard lock(backend->allocations_mutex);
      backend->allocations[kind][memory] = bytes;
    } catch (...) {  // no memory for the entry
      backend->release(kind, memory);
      throw;
    }
    *address = memory;
  });
}

svdit_status svdit_memory_free(svdit_backend *backend, uint32_t kind, void *address,
                               svdit_error *error) {
  return guarded(error, [&] {
    require(backend, "backend");
    check_memory_kind(kind);
    if (address == nullptr) return;
    {
      const std::lock_guard lock(backend->allocations_mutex);
      backend->allocations[kind].erase(address);  // before the address can be given again
    }
    backend->release(kind, address);
  });
}

svdit_status svdit_memory_copy(svdit_backend *backend, void *to, const void *from, uint64_t bytes,
                               svdit_stream stream, svdit_error *error) {
  return guarded(error, [&] {
    require(backend, "backend");
    if (bytes == 0) return;
    require(to, "to");
    require(from, "from");
    const uint64_t t = (uint64_t)(uintptr_t)to, f = (uint64_t)(uintptr_t)from;
    if (t + bytes < t || f + bytes < f) {
      fail(SVDIT_INVALID_ARGUMENT, "bytes is %llu, more than there is address space",
           (unsigned long long)bytes);
    }
    if (t < f + bytes && f < t + bytes) {
      fail(SVDIT_INVALID_ARGUMENT, "the ranges of %llu bytes at %p and %p overlap",
           (unsigned long long)bytes, to, from);
    }
    backend->copy(to, from, bytes, stream);
  });
}

svdit_status svdit_stream_create(svdit_backend *backend, svdit_stream *stream, svdit_error *error) {
  return guarded(error, [&] {
    require(backend, "backend");
    require(stream, "stream");
    *stream = backend->create_stream();
  });
}

svdit_status svdit_stream_destroy(svdit_backend *backend, svdit_stream stream, svdit_error *error) {
  return guarded(error, [&] {
    require(backend, "backend");
    backend->destroy_stream(stream);
  });
}

svdit_status svdit_stream_synchronize(svdit_backend *backend, svdit_stream stream,
                                      svdit_error *error) {
  return guarded(error, [&] {
    require(backend, "backend");
    backend->synchronize(stream);
  });
}

// oneDNN's C API as the CPU backend uses it, and what keeps its objects. Included by the files that
// run products and convolutions.
#ifndef SVDIT_CPU_OPS_DNNL_H_
#define SVDIT_CPU_OPS_DNNL_H_

#include <dlfcn.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "cpu/ops/ops_onednn.h"
#include "svdit.h"

namespace svdit::cpu {

// The part of oneDNN's C API that is used, by its own names and values (oneDNN 3, dnnl.h).
enum { kCpu = 1, kInOrder = 1, kUserScratchpad = 1, kStrictMath = 0, kQueryImplementation = 8 };
enum { kWeightDescription = 131, kScratchpadDescription = 136, kGeluTanh = 43, kSwish = 44 };
enum { kAnyLayout = 1, kInference = 96, kDirect = 1 };
enum { kArgX = 1, kArgY = 17, kArgWeight = 33, kArgBias = 41, kArgScratchpad = 80 };
struct Argument {
  int index;
  void *memory;
};
struct Version {
  int major, minor, patch;  // what follows is not read
};

inline constexpr size_t kScratchAlignment = 64;

inline int data_type(int32_t element_type) {
  return element_type == SVDIT_FP16 ? 1 : element_type == SVDIT_BF16 ? 2 : 3;
}

// Owns something that oneDNN made, until release().
class Made {
 public:
  using Destroy = int (*)(void *);
  explicit Made(Destroy destroy) : destroy_(destroy) {}
  Made(const Made &) = delete;
  Made &operator=(const Made &) = delete;
  ~Made() {
    if (made_ != nullptr) destroy_(made_);
  }
  void **out() { return &made_; }
  void *get() const { return made_; }
  void *release() {
    void *made = made_;
    made_ = nullptr;
    return made;
  }

 private:
  Destroy destroy_;
  void *made_ = nullptr;
};

inline const char *status_name(int status) {
  static const char *const names[] = {"success",
                                      "out of memory",
                                      "invalid arguments",
                                      "unimplemented",
                                      "last implementation reached",
                                      "run-time error"};
  return status >= 0 && status < 6 ? names[status] : "unknown status";
}

struct MatmulLibrary::Functions {
  void *handle = nullptr;
  const Version *(*version)();
  int (*engine_create)(void **, int, size_t);
  int (*engine_destroy)(void *);
  int (*stream_create)(void **, void *, unsigned);
  int (*stream_destroy)(void *);
  int (*stream_wait)(void *);
  int (*description_create)(void **, int, const int64_t *, int, const int64_t *);
  int (*description_destroy)(void *);
  size_t (*description_size)(const void *);
  int (*attributes_create)(void **);
  int (*attributes_destroy)(void *);
  int (*attributes_scratchpad)(void *, int);
  int (*attributes_math)(void *, int);
  int (*attributes_post_ops)(void *, const void *);
  int (*post_ops_create)(void **);
  int (*post_ops_destroy)(void *);
  int (*post_ops_eltwise)(void *, int, float, float);
  int (*matmul_create)(void **, void *, const void *, const void *, const void *, const void *,
                       const void *);
  int (*plan_destroy)(void *);
  const void *(*plan_description)(const void *, int, int);
  int (*plan_query)(const void *, int, int, void *);
  int (*primitive_create)(void **, const void *);
  int (*primitive_destroy)(void *);
  int (*primitive_execute)(const void *, void *, int, const Argument *);
  int (*memory_create)(void **, const void *, void *, void *);
  int (*memory_destroy)(void *);
  // Of convolutions; absent until find_convolutions().
  int (*description_create_tagged)(void **, int, const int64_t *, int, int) = nullptr;
  int (*convolution_create)(void **, void *, int, int, const void *, const void *, const void *,
                            const void *, const int64_t *, const int64_t *, const int64_t *,
                            const int64_t *, const void *) = nullptr;
  int (*description_equal)(const void *, const void *) = nullptr;
  int (*reorder_create)(void **, const void *, void *, const void *, void *, const void *) = nullptr;
  // Of the OpenMP runtime that oneDNN brings along; absent where it was built for another one.
  int (*openmp_get_threads)() = nullptr;
  void (*openmp_set_threads)(int) = nullptr;

  template <typename F>
  bool find(F &function, const char *name, std::string *reason) {
    function = reinterpret_cast<F>(dlsym(handle, name));
    if (function == nullptr) *reason = std::string("it has no function ") + name;
    return function != nullptr;
  }

  bool find_all(std::string *reason) {
    openmp_get_threads = reinterpret_cast<int (*)()>(dlsym(handle, "omp_get_max_threads"));
    openmp_set_threads = reinterpret_cast<void (*)(int)>(dlsym(handle, "omp_set_num_threads"));
    return find(version, "dnnl_version", reason) &&
           find(engine_create, "dnnl_engine_create", reason) &&
           find(engine_destroy, "dnnl_engine_destroy", reason) &&
           find(stream_create, "dnnl_stream_create", reason) &&
           find(stream_destroy, "dnnl_stream_destroy", reason) &&
           find(stream_wait, "dnnl_stream_wait", reason) &&
           find(description_create, "dnnl_memory_desc_create_with_strides", reason) &&
           find(description_destroy, "dnnl_memory_desc_destroy", reason) &&
           find(description_size, "dnnl_memory_desc_get_size", reason) &&
           find(attributes_create, "dnnl_primitive_attr_create", reason) &&
           find(attributes_destroy, "dnnl_primitive_attr_destroy", reason) &&
           find(attributes_scratchpad, "dnnl_primitive_attr_set_scratchpad_mode", reason) &&
           find(attributes_math, "dnnl_primitive_attr_set_fpmath_mode", reason) &&
           find(attributes_post_ops, "dnnl_primitive_attr_set_post_ops", reason) &&
           find(post_ops_create, "dnnl_post_ops_create", reason) &&
           find(post_ops_destroy, "dnnl_post_ops_destroy", reason) &&
           find(post_ops_eltwise, "dnnl_post_ops_append_eltwise", reason) &&
           find(matmul_create, "dnnl_matmul_primitive_desc_create", reason) &&
           find(plan_destroy, "dnnl_primitive_desc_destroy", reason) &&
           find(plan_description, "dnnl_primitive_desc_query_md", reason) &&
           find(plan_query, "dnnl_primitive_desc_query", reason) &&
           find(primitive_create, "dnnl_primitive_create", reason) &&
           find(primitive_destroy, "dnnl_primitive_destroy", reason) &&
           find(primitive_execute, "dnnl_primitive_execute", reason) &&
           find(memory_create, "dnnl_memory_create", reason) &&
           find(memory_destroy, "dnnl_memory_destroy", reason);
  }

  bool find_convolutions(std::string *reason) {
    return find(description_create_tagged, "dnnl_memory_desc_create_with_tag", reason) &&
           find(description_equal, "dnnl_memory_desc_equal", reason) &&
           find(reorder_create, "dnnl_reorder_primitive_desc_create", reason) &&
           find(convolution_create, "dnnl_convolution_forward_primitive_desc_create", reason);
  }
};

// What one thread needs while it runs a product.
struct MatmulLibrary::Context {
  Made stream;
  std::unique_ptr<std::byte[]> scratch;
  size_t scratch_bytes = 0;
  explicit Context(Functions *functions) : stream(functions->stream_destroy) {}
  void *scratch_of(size_t bytes) {
    if (scratch_bytes < bytes) {
      scratch.reset(new std::byte[bytes + kScratchAlignment]);
      scratch_bytes = bytes;
    }
    const auto address = reinterpret_cast<uintptr_t>(scratch.get());
    return reinterpret_cast<void *>((address + kScratchAlignment - 1) / kScratchAlignment *
                                    kScratchAlignment);
  }
};

// Makes OpenMP run on the calling thread alone while it lives, and leaves the thread's setting as
// it was.
class OneThread {
 public:
  OneThread(int (*get)(), void (*set)(int)) : set_(get != nullptr ? set : nullptr) {
    if (set_ == nullptr) return;
    before_ = get();
    if (before_ != 1) set_(1);
  }
  OneThread(const OneThread &) = delete;
  OneThread &operator=(const OneThread &) = delete;
  ~OneThread() {
    if (set_ != nullptr && before_ != 1) set_(before_);
  }

 private:
  void (*set_)(int);
  int before_ = 1;
};

}  // namespace svdit::cpu

#endif  // SVDIT_CPU_OPS_DNNL_H_

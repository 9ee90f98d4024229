#include "cpu/ops/ops_onednn.h"

#include <dlfcn.h>
#include <stdlib.h>

#include <cstring>

#include "svdit.h"

namespace svdit::cpu {
namespace {

// The part of oneDNN's C API that is used, by its own names and values (oneDNN 3, dnnl.h).
enum { kCpu = 1, kInOrder = 1, kUserScratchpad = 1, kStrictMath = 0, kQueryImplementation = 8 };
enum { kScratchpadDescription = 136, kGeluTanh = 43, kSwish = 44 };
enum { kArgX = 1, kArgY = 17, kArgWeight = 33, kArgBias = 41, kArgScratchpad = 80 };
struct Argument {
  int index;
  void *memory;
};
struct Version {
  int major, minor, patch;  // what follows is not read
};

constexpr size_t kProductsKept = 256;
constexpr size_t kScratchAlignment = 64;

int data_type(int32_t element_type) {
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

const char *status_name(int status) {
  static const char *const names[] = {"success",
                                      "out of memory",
                                      "invalid arguments",
                                      "unimplemented",
                                      "last implementation reached",
                                      "run-time error"};
  return status >= 0 && status < 6 ? names[status] : "unknown status";
}

}  // namespace

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
};

// A compiled product and the layouts of its operands.
struct MatmulLibrary::Product {
  Functions *f;
  Made x, weight, bias, y, primitive;
  const void *scratchpad = nullptr;  // owned by plan
  Made plan;
  size_t scratchpad_bytes = 0;
  std::string implementation;
  explicit Product(Functions *functions)
      : f(functions),
        x(f->description_destroy),
        weight(f->description_destroy),
        bias(f->description_destroy),
        y(f->description_destroy),
        primitive(f->primitive_destroy),
        plan(f->plan_destroy) {}
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

namespace {

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

}  // namespace

MatmulLibrary::MatmulLibrary() : functions_(new Functions) {}

std::unique_ptr<MatmulLibrary> MatmulLibrary::open(const char *path, std::string *reason) {
  std::unique_ptr<MatmulLibrary> library(new MatmulLibrary);
  Functions &f = *library->functions_;
  f.handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (f.handle == nullptr) {
    *reason = dlerror();
    return nullptr;
  }
  if (!f.find_all(reason)) return nullptr;
  if (f.version()->major != 3) {
    *reason = "it is oneDNN " + library->version() + ", and oneDNN 3 is needed";
    return nullptr;
  }
  const int status = f.engine_create(&library->engine_, kCpu, 0);
  if (status != 0) {
    *reason = std::string("oneDNN made no CPU engine: ") + status_name(status);
    return nullptr;
  }
  std::string refused;
  const ProductShape probe = {64, 64, 64, 64, 64, 64, SVDIT_BF16, -1, SVDIT_BF16, 0};
  const std::shared_ptr<Product> product = library->compile(probe, &refused);
  library->fast_bf16_ = product != nullptr && product->implementation.rfind("ref", 0) != 0;
  return library;
}

MatmulLibrary::~MatmulLibrary() {
  cache_.clear();
  recent_.clear();
  idle_.clear();
  if (engine_ != nullptr) functions_->engine_destroy(engine_);
  // The shared object stays mapped: OpenMP's threads may still be in it.
}

std::string MatmulLibrary::version() const {
  const Version &v = *functions_->version();
  return std::to_string(v.major) + "." + std::to_string(v.minor) + "." + std::to_string(v.patch);
}

size_t MatmulLibrary::ShapeHash::operator()(const ProductShape &s) const {
  uint64_t hash = 0;
  for (int64_t value : {s.m, s.n, s.k, s.x_stride, s.weight_stride, s.y_stride,
                        static_cast<int64_t>(s.type * 64 + (s.bias_type + 1) * 16 + s.y_type * 4),
                        static_cast<int64_t>(s.activation)}) {
    hash = (hash ^ static_cast<uint64_t>(value)) * 0x9e3779b97f4a7c15u;
    hash ^= hash >> 29;
  }
  return hash;
}

std::shared_ptr<MatmulLibrary::Product> MatmulLibrary::compile(const ProductShape &s,
                                                               std::string *reason) {
  Functions &f = *functions_;
  const OneThread one_thread(f.openmp_get_threads, f.openmp_set_threads);
  auto product = std::make_shared<Product>(&f);
  int status = 0;
  auto matrix = [&](Made &made, int64_t rows, int64_t columns, int64_t row_stride,
                    int64_t column_stride, int32_t type) {
    const int64_t extent[] = {rows, columns}, strides[] = {row_stride, column_stride};
    if (status == 0) status = f.description_create(made.out(), 2, extent, data_type(type), strides);
  };
  matrix(product->x, s.m, s.k, s.x_stride, 1, s.type);
  matrix(product->weight, s.k, s.n, 1, s.weight_stride, s.type);
  matrix(product->y, s.m, s.n, s.y_stride, 1, s.y_type);
  if (s.bias_type >= 0) matrix(product->bias, 1, s.n, s.n, 1, s.bias_type);

  Made attributes(f.attributes_destroy), post_ops(f.post_ops_destroy);
  if (status == 0) status = f.attributes_create(attributes.out());
  if (status == 0) status = f.attributes_scratchpad(attributes.get(), kUserScratchpad);
  if (status == 0) status = f.attributes_math(attributes.get(), kStrictMath);
  if (s.activation != SVDIT_ACTIVATION_NONE) {
    const int kind = s.activation == SVDIT_ACTIVATION_SILU ? kSwish : kGeluTanh;
    if (status == 0) status = f.post_ops_create(post_ops.out());
    if (status == 0)
      status = f.post_ops_eltwise(post_ops.get(), kind, /*alpha=*/1.0f, /*beta=*/0.0f);
    if (status == 0) status = f.attributes_post_ops(attributes.get(), post_ops.get());
  }
  if (status == 0) {
    status = f.matmul_create(product->plan.out(), engine_, product->x.get(), product->weight.get(),
                             product->bias.get(), product->y.get(), attributes.get());
  }
  if (status == 0) status = f.primitive_create(product->primitive.out(), product->plan.get());
  if (status != 0) {
    *reason = std::string("oneDNN refused the product: ") + status_name(status);
    return nullptr;
  }
  product->scratchpad = f.plan_description(product->plan.get(), kScratchpadDescription, 0);
  product->scratchpad_bytes =
      product->scratchpad == nullptr ? 0 : f.description_size(product->scratchpad);
  const char *implementation = nullptr;
  f.plan_query(product->plan.get(), kQueryImplementation, 0, &implementation);
  if (implementation != nullptr) product->implementation = implementation;
  return product;
}

std::shared_ptr<MatmulLibrary::Product> MatmulLibrary::product(const ProductShape &shape,
                                                               std::string *reason) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = cache_.find(shape);
    if (found != cache_.end()) {
      recent_.splice(recent_.begin(), recent_, found->second);
      return found->second->second;
    }
  }
  // Compiled without the lock: two threads may both compile a new shape, and the first one's is
  // kept.
  std::shared_ptr<Product> made = compile(shape, reason);
  if (made == nullptr) return nullptr;
  const std::lock_guard lock(mutex_);
  const auto found = cache_.find(shape);
  if (found != cache_.end()) return found->second->second;
  recent_.emplace_front(shape, made);
  try {
    cache_.emplace(shape, recent_.begin());
  } catch (...) {
    recent_.pop_front();
    throw;
  }
  if (recent_.size() > kProductsKept) {
    cache_.erase(recent_.back().first);
    recent_.pop_back();
  }
  return made;
}

std::unique_ptr<MatmulLibrary::Context> MatmulLibrary::borrow() {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      std::unique_ptr<Context> context = std::move(idle_.back());
      idle_.pop_back();
      return context;
    }
  }
  auto context = std::make_unique<Context>(functions_.get());
  if (functions_->stream_create(context->stream.out(), engine_, kInOrder) != 0) return nullptr;
  return context;
}

void MatmulLibrary::give_back(std::unique_ptr<Context> context) {
  const std::lock_guard lock(mutex_);
  idle_.push_back(std::move(context));
}

std::string MatmulLibrary::run(const ProductShape &shape, const void *x, const void *weight,
                               const void *bias, void *y) {
  Functions &f = *functions_;
  std::string reason;
  const std::shared_ptr<Product> p = product(shape, &reason);
  if (p == nullptr) return reason;
  std::unique_ptr<Context> context = borrow();
  if (context == nullptr) return "oneDNN made no stream";

  const OneThread one_thread(f.openmp_get_threads, f.openmp_set_threads);
  Made x_memory(f.memory_destroy), weight_memory(f.memory_destroy), bias_memory(f.memory_destroy);
  Made y_memory(f.memory_destroy), scratch_memory(f.memory_destroy);
  Argument arguments[5];
  int count = 0;
  int status = 0;
  auto pass = [&](int index, Made &memory, const void *description, const void *data) {
    if (status != 0) return;
    status = f.memory_create(memory.out(), description, engine_, const_cast<void *>(data));
    arguments[count++] = {index, memory.get()};
  };
  pass(kArgX, x_memory, p->x.get(), x);
  pass(kArgWeight, weight_memory, p->weight.get(), weight);
  pass(kArgY, y_memory, p->y.get(), y);
  if (shape.bias_type >= 0) pass(kArgBias, bias_memory, p->bias.get(), bias);
  if (p->scratchpad_bytes > 0) {
    pass(kArgScratchpad, scratch_memory, p->scratchpad, context->scratch_of(p->scratchpad_bytes));
  }
  if (status == 0) {
    status = f.primitive_execute(p->primitive.get(), context->stream.get(), count, arguments);
  }
  if (status == 0) status = f.stream_wait(context->stream.get());
  give_back(std::move(context));
  return status == 0 ? "" : std::string("oneDNN failed in the product: ") + status_name(status);
}

}  // namespace svdit::cpu

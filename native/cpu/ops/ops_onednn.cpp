#include "cpu/ops/ops_onednn.h"

#include <dlfcn.h>
#include <stdlib.h>

#include <cstring>

#include "cpu/ops/dnnl.h"

namespace svdit::cpu {
namespace {

constexpr size_t kProductsKept = 256;

}  // namespace

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

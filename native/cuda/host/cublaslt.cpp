#include "cuda/host/cublaslt.h"

#include <dlfcn.h>

#include <cinttypes>
#include <cstdlib>
#include <utility>
#include <vector>

#include "base/error.h"

namespace svdit::cuda {
namespace {

// The part of cuBLASLt's C API that is used, by its own values (cublasLt.h, library_types.h of CUDA
// 13).
enum { kSuccess = 0, kAllocationFailed = 3, kMappingError = 11, kExecutionFailed = 13 };
enum { kInternalError = 14, kNotSupported = 15 };
enum { kReal32 = 0, kReal16 = 2, kRealBf16 = 14 };
enum { kCompute32 = 68 };  // CUBLAS_COMPUTE_32F: fp32 products are never TF32
enum { kTransposed = 1 };
enum { kDescTransposeA = 3, kDescEpilogue = 7, kDescBiasPointer = 8 };
enum { kEpilogueNone = 1, kEpilogueBias = 4, kEpilogueGelu = 32, kEpilogueGeluBias = 36 };
enum { kPreferWorkspace = 1, kPreferAlignmentA = 5 };  // B, C, D: 6, 7, 8

struct Algorithm {
  uint64_t data[8];
};
struct Heuristic {
  Algorithm algorithm;
  size_t workspace_bytes;
  int status;
  float waves;
  int reserved[4];
};
constexpr int kCandidates = 8;

int data_type(uint32_t element_type) {
  return element_type == SVDIT_FP16 ? kReal16 : element_type == SVDIT_BF16 ? kRealBf16 : kReal32;
}

// Where "" looks, one after the other.
std::vector<std::string> places() {
  std::vector<std::string> found = {"libcublasLt.so.13"};
  for (const char *variable : {"CUDA_HOME", "CUDA_PATH"}) {
    if (const char *home = std::getenv(variable); home != nullptr && *home != '\0')
      found.push_back(std::string(home) + "/lib64/libcublasLt.so.13");
  }
  found.push_back("/usr/local/cuda-13/lib64/libcublasLt.so.13");
  found.push_back("/usr/local/cuda/lib64/libcublasLt.so.13");
  return found;
}

// The largest power of two up to 256 that divides an address.
uint32_t alignment(const void *address) {
  uint32_t bytes = 256;
  while (reinterpret_cast<uintptr_t>(address) % bytes != 0) bytes /= 2;
  return bytes;
}

}  // namespace

struct CublasLt::Functions {
  void *library = nullptr;
  size_t (*version)();
  int (*create)(void **);
  int (*destroy)(void *);
  int (*desc_create)(void **, int compute, int scale);
  int (*desc_destroy)(void *);
  int (*desc_set)(void *, int, const void *, size_t);
  int (*layout_create)(void **, int type, uint64_t rows, uint64_t columns, int64_t stride);
  int (*layout_destroy)(void *);
  int (*preference_create)(void **);
  int (*preference_destroy)(void *);
  int (*preference_set)(void *, int, const void *, size_t);
  int (*heuristic)(void *, void *, void *, void *, void *, void *, void *, int, Heuristic *, int *);
  int (*matmul)(void *, void *, const void *alpha, const void *a, void *, const void *b, void *,
                const void *beta, const void *c, void *, void *d, void *, const Algorithm *,
                void *workspace, size_t, void *stream);
  const char *(*status_text)(int);

  // Opens one place; otherwise says why not.
  std::string open(const std::string &path) {
    library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) return dlerror();
    std::string missing;
    const auto find = [&](auto &function, const char *name) {
      function =
          reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, name));
      if (function == nullptr && missing.empty()) missing = name;
    };
    find(version, "cublasLtGetVersion");
    find(create, "cublasLtCreate");
    find(destroy, "cublasLtDestroy");
    find(desc_create, "cublasLtMatmulDescCreate");
    find(desc_destroy, "cublasLtMatmulDescDestroy");
    find(desc_set, "cublasLtMatmulDescSetAttribute");
    find(layout_create, "cublasLtMatrixLayoutCreate");
    find(layout_destroy, "cublasLtMatrixLayoutDestroy");
    find(preference_create, "cublasLtMatmulPreferenceCreate");
    find(preference_destroy, "cublasLtMatmulPreferenceDestroy");
    find(preference_set, "cublasLtMatmulPreferenceSetAttribute");
    find(heuristic, "cublasLtMatmulAlgoGetHeuristic");
    find(matmul, "cublasLtMatmul");
    find(status_text, "cublasLtGetStatusString");
    if (!missing.empty()) return path + ": it has no function " + missing;
    if (version() / 10000 != 13) {
      return path + ": it is cuBLASLt " + std::to_string(version() / 10000) +
             ", and cuBLASLt 13 is needed";
    }
    return {};
  }
};

// A product as the library is told of it, and the algorithm it chose.
struct CublasLt::Product {
  explicit Product(const Functions &functions) : f(functions) {}
  ~Product() {
    if (desc != nullptr) f.desc_destroy(desc);
    for (void *layout : {weight, x, y}) {
      if (layout != nullptr) f.layout_destroy(layout);
    }
  }
  Product(const Product &) = delete;
  Product &operator=(const Product &) = delete;

  const Functions &f;
  void *desc = nullptr, *weight = nullptr, *x = nullptr, *y = nullptr;
  Algorithm algorithm{};
  Done epilogue{};
};

CublasLt::CublasLt() : functions_(new Functions) {}

std::unique_ptr<CublasLt> CublasLt::open(const char *path) {
  std::unique_ptr<CublasLt> opened(new CublasLt);
  std::string reasons;
  for (const std::string &place : *path == '\0' ? places() : std::vector<std::string>{path}) {
    const std::string reason = opened->functions_->open(place);
    if (reason.empty()) {
      const int status = opened->functions_->create(&opened->handle_);
      if (status == kSuccess) return opened;
      reasons = place + ": cublasLtCreate: " + opened->functions_->status_text(status);
      break;
    }
    reasons += (reasons.empty() ? "" : "; ") + reason;
  }
  fail(SVDIT_UNAVAILABLE, "no cuBLASLt 13, which multiplies matrices on CUDA: %s", reasons.c_str());
}

CublasLt::~CublasLt() {
  products_.clear();
  if (handle_ != nullptr) functions_->destroy(handle_);
  // The shared object stays mapped: it has registered code with the driver.
}

std::string CublasLt::version() const {
  const size_t v = functions_->version();
  return std::to_string(v / 10000) + "." + std::to_string(v / 100 % 100) + "." +
         std::to_string(v % 100);
}

CublasLt::Done CublasLt::product(const svdit_linear_args &args, void *workspace,
                                 uint64_t workspace_bytes, void *stream) {
  const bool any = args.bias.data != nullptr;
  const bool bias = any && args.bias.element_type == args.y.element_type;
  const bool gelu = args.activation == SVDIT_ACTIVATION_GELU_TANH && bias == any;
  const ProductShape shape = {args.x.rows,
                              args.weight.rows,
                              args.x.columns,
                              args.x.row_stride,
                              args.weight.row_stride,
                              args.y.row_stride,
                              args.x.element_type,
                              args.y.element_type,
                              bias,
                              gelu,
                              alignment(args.x.data),
                              alignment(args.weight.data),
                              alignment(args.y.data),
                              bias ? alignment(args.bias.data) : 0,
                              workspace_bytes};
  const float one = 1, zero = 0;
  const std::lock_guard lock(mutex_);
  const Product &p = product_of(shape, args.bias.data);
  if (p.epilogue.bias) {
    check(functions_->desc_set(p.desc, kDescBiasPointer, &args.bias.data, sizeof args.bias.data),
          shape);
  }
  check(functions_->matmul(handle_, p.desc, &one, args.weight.data, p.weight, args.x.data, p.x,
                           &zero, args.y.data, p.y, args.y.data, p.y, &p.algorithm, workspace,
                           workspace_bytes, stream),
        shape);
  return p.epilogue;
}

CublasLt::Product &CublasLt::product_of(const ProductShape &shape, const void *bias) {
  std::unique_ptr<Product> &product = products_[shape];
  if (product == nullptr) {
    try {
      product = choose(shape, bias);
    } catch (...) {
      products_.erase(shape);
      throw;
    }
  }
  return *product;
}

std::unique_ptr<CublasLt::Product> CublasLt::choose(const ProductShape &shape, const void *bias) {
  auto product = choose(shape, {shape.bias, shape.gelu}, bias);
  if (product == nullptr && (shape.bias || shape.gelu)) product = choose(shape, {}, bias);
  if (product == nullptr) check(kNotSupported, shape);
  return product;
}

// With that epilogue; NULL where the library has no algorithm for it.
//
// cuBLASLt's matrices lie column after column. So a row-major matrix is the transpose of one of
// its own: y^T [outputs, rows] = weight x^T, where only weight needs to be transposed back.
std::unique_ptr<CublasLt::Product> CublasLt::choose(const ProductShape &shape, Done done,
                                                    const void *bias) {
  const Functions &f = *functions_;
  auto product = std::make_unique<Product>(f);
  product->epilogue = done;
  const int type = data_type(shape.type);
  check(f.desc_create(&product->desc, kCompute32, kReal32), shape);
  const int transposed = kTransposed;
  check(f.desc_set(product->desc, kDescTransposeA, &transposed, sizeof transposed), shape);
  const int epilogue = done.gelu ? (done.bias ? kEpilogueGeluBias : kEpilogueGelu)
                                 : (done.bias ? kEpilogueBias : kEpilogueNone);
  check(f.desc_set(product->desc, kDescEpilogue, &epilogue, sizeof epilogue), shape);
  // Its alignment is looked at when the algorithm is chosen.
  if (done.bias) check(f.desc_set(product->desc, kDescBiasPointer, &bias, sizeof bias), shape);
  const auto layout = [&](void **made, int of, int64_t rows, int64_t columns, int64_t stride) {
    check(f.layout_create(made, of, static_cast<uint64_t>(rows), static_cast<uint64_t>(columns),
                          columns == 1 && stride < rows ? rows : stride),
          shape);
  };
  layout(&product->weight, type, shape.inputs, shape.outputs, shape.weight_stride);
  layout(&product->x, type, shape.inputs, shape.rows, shape.x_stride);
  layout(&product->y, data_type(shape.y_type), shape.outputs, shape.rows, shape.y_stride);

  struct Preference {
    const Functions &f;
    void *made = nullptr;
    ~Preference() {
      if (made != nullptr) f.preference_destroy(made);
    }
  } preference{f};
  check(f.preference_create(&preference.made), shape);
  check(f.preference_set(preference.made, kPreferWorkspace, &shape.workspace_bytes,
                         sizeof shape.workspace_bytes),
        shape);
  const uint32_t alignments[] = {shape.weight_alignment, shape.x_alignment, shape.y_alignment,
                                 shape.y_alignment};
  for (int i = 0; i < 4; ++i) {
    check(f.preference_set(preference.made, kPreferAlignmentA + i, &alignments[i],
                           sizeof alignments[i]),
          shape);
  }
  Heuristic candidates[kCandidates] = {};
  int count = 0;
  const int found = f.heuristic(handle_, product->desc, product->weight, product->x, product->y,
                                product->y, preference.made, kCandidates, candidates, &count);
  if (found == kNotSupported) return nullptr;
  check(found, shape);
  for (int i = 0; i < count; ++i) {  // best first
    if (candidates[i].status != kSuccess) continue;
    product->algorithm = candidates[i].algorithm;
    return product;
  }
  return nullptr;
}

void CublasLt::check(int status, const ProductShape &shape) const {
  if (status == kSuccess) return;
  const svdit_status ours =
      status == kNotSupported       ? SVDIT_UNSUPPORTED
      : status == kAllocationFailed ? SVDIT_OUT_OF_MEMORY
      : status == kMappingError || status == kExecutionFailed || status == kInternalError
          ? SVDIT_DEVICE_ERROR
          : SVDIT_INTERNAL;
  fail(ours,
       "cuBLASLt %s, product of [%" PRId64 ", %" PRId64 "] and [%" PRId64 ", %" PRId64
       "]^T: %s (status %d)",
       version().c_str(), shape.rows, shape.inputs, shape.outputs, shape.inputs,
       functions_->status_text(status), status);
}

size_t CublasLt::ShapeHash::operator()(const ProductShape &s) const {
  uint64_t hash = 0;
  for (uint64_t value : {(uint64_t)s.rows, (uint64_t)s.outputs, (uint64_t)s.inputs,
                         (uint64_t)s.x_stride, (uint64_t)s.weight_stride, (uint64_t)s.y_stride,
                         (uint64_t)(s.type * 32 + s.y_type * 8 + s.bias * 2 + s.gelu),
                         (uint64_t)s.x_alignment << 48 | (uint64_t)s.weight_alignment << 32 |
                             (uint64_t)s.y_alignment << 16 | s.bias_alignment,
                         s.workspace_bytes}) {
    hash = (hash ^ value) * 0x9e3779b97f4a7c15u;
    hash ^= hash >> 29;
  }
  return hash;
}

}  // namespace svdit::cuda

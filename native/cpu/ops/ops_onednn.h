// Matrix products by oneDNN 3, found at run time.
//
// The library is opened by path and used through its C API only; the few entry points and constants
// it takes are declared in ops_onednn.cpp. Each product runs on the calling thread alone: the CPU
// backend spreads the parts of a large one over its own pool, so no second set of threads competes
// with it.
#ifndef SVDIT_CPU_OPS_ONEDNN_H_
#define SVDIT_CPU_OPS_ONEDNN_H_

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

namespace svdit::cpu {

// What oneDNN compiles a product for: y [m, n] = activation(x [m, k] weight [n, k]^T + bias [n]).
// Types are SVDIT_* codes, strides are between rows, in elements; bias_type -1 = no bias.
struct ProductShape {
  int64_t m, n, k;
  int64_t x_stride, weight_stride, y_stride;
  int32_t type, bias_type, y_type;
  uint32_t activation;
  bool operator==(const ProductShape &) const = default;
};

// One opened oneDNN library with its compiled products. Thread-safe.
class MatmulLibrary {
 public:
  // Opens the shared object at path. On failure returns nullptr and says why in *reason.
  static std::unique_ptr<MatmulLibrary> open(const char *path, std::string *reason);
  ~MatmulLibrary();

  // Computes the product on this thread. Returns an empty string, or what oneDNN refused.
  std::string run(const ProductShape &shape, const void *x, const void *weight, const void *bias,
                  void *y);

  // Whether this processor has instructions for products of bf16 numbers that oneDNN uses; without
  // them it would fall back to a loop hundreds of times slower.
  bool fast_bf16() const { return fast_bf16_; }

  // "3.8.1"
  std::string version() const;

 private:
  struct Functions;
  struct Product;
  struct Context;
  struct ShapeHash {
    size_t operator()(const ProductShape &shape) const;
  };
  using Order = std::list<std::pair<ProductShape, std::shared_ptr<Product>>>;

  MatmulLibrary();
  std::shared_ptr<Product> product(const ProductShape &shape, std::string *reason);
  std::shared_ptr<Product> compile(const ProductShape &shape, std::string *reason);
  std::unique_ptr<Context> borrow();
  void give_back(std::unique_ptr<Context> context);

  std::unique_ptr<Functions> functions_;
  void *engine_ = nullptr;
  std::mutex mutex_;
  Order recent_;  // most recently used first
  std::unordered_map<ProductShape, Order::iterator, ShapeHash> cache_;
  std::vector<std::unique_ptr<Context>> idle_;
  bool fast_bf16_ = false;  // found out by open()
};

}  // namespace svdit::cpu

#endif  // SVDIT_CPU_OPS_ONEDNN_H_

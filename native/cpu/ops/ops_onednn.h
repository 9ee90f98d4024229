// Matrix products by oneDNN 3, found at run time.
//
// The library is opened by path and used through its C API only; the few entry points and constants
// it takes are declared in ops_onednn.cpp. Each product runs on the calling thread alone: the CPU
// backend spreads the parts of a large one over its own pool, so no second set of threads competes
// with it.
#ifndef SVDIT_CPU_OPS_ONEDNN_H_
#define SVDIT_CPU_OPS_ONEDNN_H_

#include <compare>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
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

// What oneDNN compiles a convolution for: a picture x [rows, columns, inputs] without padding, y
// [rows', columns', outputs] of all places of a kernel, both without gaps. Types are SVDIT_* codes;
// the weights are of x's, a bias is FP32.
struct ConvShape {
  int64_t rows, columns, inputs, outputs;
  int64_t kernel_rows, kernel_columns, stride_rows, stride_columns;
  int32_t type, y_type;
  bool bias;
  auto operator<=>(const ConvShape &) const = default;
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

  // What laid-out weights of the convolution take; 0 where oneDNN refused, which *reason says.
  size_t weight_bytes(const ConvShape &shape, std::string *reason);

  // Whether both take the same laid-out weights. Neither was refused.
  bool same_weights(const ConvShape &a, const ConvShape &b);

  // Lays weights [outputs, kernel_rows, kernel_columns, inputs] out as convolve wants them. Like
  // the next one it returns an empty string, or what oneDNN refused.
  std::string lay_out(const ConvShape &shape, const void *weight, void *laid_out);

  // The convolution, on this thread.
  std::string convolve(const ConvShape &shape, const void *x, const void *laid_out,
                       const float *bias, void *y);

  // Whether this processor has instructions for products of bf16 numbers that oneDNN uses; without
  // them it would fall back to a loop hundreds of times slower.
  bool fast_bf16() const { return fast_bf16_; }

  // "3.8.1"
  std::string version() const;

 private:
  struct Functions;
  struct Product;
  struct Convolution;
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
  std::shared_ptr<Convolution> convolution(const ConvShape &shape, std::string *reason);
  std::shared_ptr<Convolution> compile(const ConvShape &shape, std::string *reason);

  std::unique_ptr<Functions> functions_;
  void *engine_ = nullptr;
  std::mutex mutex_;
  Order recent_;  // most recently used first
  std::unordered_map<ProductShape, Order::iterator, ShapeHash> cache_;
  std::vector<std::unique_ptr<Context>> idle_;
  std::map<ConvShape, std::shared_ptr<Convolution>> convolutions_;
  bool fast_bf16_ = false;  // found out by open()
};

}  // namespace svdit::cpu

#endif  // SVDIT_CPU_OPS_ONEDNN_H_

// Matrix products by cuBLASLt 13, found at run time.
//
// The library is opened by path and used through its C API only; the few entry points and constants
// it takes are declared in cublaslt.cpp, so that neither its header nor its link library is needed.
#ifndef SVDIT_CUDA_CUBLASLT_H
#define SVDIT_CUDA_CUBLASLT_H

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "svdit.h"

namespace svdit::cuda {

// What an algorithm is chosen for: y [rows, outputs] = gelu(x [rows, inputs] weight [outputs,
// inputs]^T + bias). Strides are between rows, in elements; alignments are of the addresses, in
// bytes.
struct ProductShape {
  int64_t rows, outputs, inputs;
  int64_t x_stride, weight_stride, y_stride;
  uint32_t type, y_type;  // SVDIT_*; a bias is of y's type
  bool bias, gelu;
  uint32_t x_alignment, weight_alignment, y_alignment, bias_alignment;
  uint64_t workspace_bytes;
  bool operator==(const ProductShape &) const = default;
};

// One opened library with a handle for one device. Thread-safe.
class CublasLt {
 public:
  // Opens the shared object at path, with the device current; "" looks for libcublasLt.so.13 where
  // the loader and CUDA's installers put it. Throws Error UNAVAILABLE with what is missing.
  static std::unique_ptr<CublasLt> open(const char *path);
  ~CublasLt();
  CublasLt(const CublasLt &) = delete;
  CublasLt &operator=(const CublasLt &) = delete;

  // What the library did beside the product; the rest is the caller's.
  struct Done {
    bool bias, gelu;
  };

  // Gives the product to stream (a cudaStream_t), with the bias and GELU the library can do itself:
  // a bias of y's type, GELU after it, and neither where it has no algorithm that does both. The
  // algorithm is looked up at the first product of a shape; nothing is allocated after.
  Done product(const svdit_linear_args &args, void *workspace, uint64_t workspace_bytes,
               void *stream);

  std::string version() const;  // "13.0.2"

 private:
  struct Functions;
  struct Product;
  struct ShapeHash {
    size_t operator()(const ProductShape &shape) const;
  };

  CublasLt();
  Product &product_of(const ProductShape &shape, const void *bias);
  std::unique_ptr<Product> choose(const ProductShape &shape, const void *bias);
  std::unique_ptr<Product> choose(const ProductShape &shape, Done done, const void *bias);
  void check(int status, const ProductShape &shape) const;

  std::unique_ptr<Functions> functions_;
  void *handle_ = nullptr;
  std::mutex mutex_;  // of products_, and of the bias that a product's description holds
  std::unordered_map<ProductShape, std::unique_ptr<Product>, ShapeHash> products_;
};

}  // namespace svdit::cuda

#endif

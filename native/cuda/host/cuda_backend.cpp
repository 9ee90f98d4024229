// The CUDA backend: memory and streams of one device, and plans for it.
#include <mutex>

#include "backend/backend.h"
#include "base/error.h"
#include "cuda/host/cuda_ops.h"
#include "cuda/host/cuda_plan.h"
#include "cuda/host/cuda_streams.h"
#include "cuda/host/device.h"

namespace svdit {
namespace {

using cuda::check;
using cuda::OnDevice;

class CudaBackend : public svdit_backend {
 public:
  explicit CudaBackend(const svdit_backend_options &options)
      : device_(options.device), streams_(options.device) {
    cuda::probe_device(device_, info_);
    const OnDevice on(device_);
    check(cudaStreamCreateWithFlags(&upload_, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
  }
  ~CudaBackend() override {
    try {
      const OnDevice on(device_);
      cudaStreamDestroy(upload_);
    } catch (const Error &) {
      // The context is lost, and the stream with it.
    }
  }

  void describe(svdit_backend_info &info) const override {
    const uint32_t struct_bytes = info.struct_bytes;
    info = info_;
    info.struct_bytes = struct_bytes;
    info.kind = SVDIT_BACKEND_CUDA;
    info.device = device_;
    const OnDevice on(device_);
    size_t available = 0, total = 0;
    check(cudaMemGetInfo(&available, &total), "cudaMemGetInfo");
    info.memory_free_bytes = available;
  }

  void *allocate(uint32_t kind, uint64_t bytes) override {
    const OnDevice on(device_);
    void *address = nullptr;
    if (kind == SVDIT_MEMORY_DEVICE) {
      check(cudaMalloc(&address, bytes), "allocating device memory");
    } else {
      check(cudaMallocHost(&address, bytes), "allocating pinned host memory");
    }
    return address;
  }

  void release(uint32_t kind, void *address) override {
    const OnDevice on(device_);
    wait_for_default_stream();
    if (kind == SVDIT_MEMORY_DEVICE) {
      check(cudaFree(address), "cudaFree");
    } else {
      check(cudaFreeHost(address), "cudaFreeHost");
    }
  }

  void copy(void *to, const void *from, uint64_t bytes, svdit_stream stream) override {
    const OnDevice on(device_, stream);
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, static_cast<cudaStream_t>(stream)),
          "copying");
  }

  // Ordered with the legacy default stream (NULL), so that mixing the two is safe. So no work may
  // be given to that one while such a stream is captured: OnDevice sees to it.
  svdit_stream create_stream() override {
    const OnDevice on(device_);
    cudaStream_t stream = nullptr;
    check(cudaStreamCreate(&stream), "cudaStreamCreate");
    return stream;
  }

  void destroy_stream(svdit_stream stream) override {
    if (stream == nullptr) return;
    const OnDevice on(device_);
    check(cudaStreamDestroy(static_cast<cudaStream_t>(stream)), "cudaStreamDestroy");
  }

  void synchronize(svdit_stream stream) override {
    const OnDevice on(device_, stream);
    check(cudaStreamSynchronize(static_cast<cudaStream_t>(stream)), "waiting for the stream");
  }

  svdit_streams *streams() override { return &streams_; }

  std::unique_ptr<svdit_plan> compile(Plan &&plan) override {
    return std::make_unique<cuda::CudaPlan>(std::move(plan), device_, info_, upload_);
  }

  svdit::Operations *operations() override {
    std::call_once(operations_once_, [this] {
      operations_ = std::make_unique<cuda::CudaOperations>(device_, info_.multiprocessors);
    });
    return operations_.get();
  }

 private:
  // And so for all streams ordered with it; unless one of these is captured, when nobody may. Not
  // for the device: that would break the capture of any other stream of it, which another library
  // may have begun, and nobody can ask for.
  void wait_for_default_stream() const {
    cuda::Captures &captures = cuda::Captures::of(device_);
    if (!captures.enter()) return;
    cudaError_t waited = cudaSuccess;
    if (!cuda::default_stream_barred()) {
      cudaEvent_t reached = nullptr;
      waited = cudaEventCreateWithFlags(&reached, cudaEventDisableTiming);
      if (waited == cudaSuccess) waited = cudaEventRecord(reached, cudaStreamLegacy);
      if (waited == cudaSuccess) waited = cudaEventSynchronize(reached);
      if (reached != nullptr) cudaEventDestroy(reached);
    }
    captures.leave();
    check(waited, "waiting for the device's streams before freeing");
  }

  const int device_;
  cudaStream_t upload_ = nullptr;  // ordered with no other, so that it disturbs no capture
  cuda::CudaStreams streams_;
  svdit_backend_info info_{};
  std::once_flag operations_once_;
  std::unique_ptr<cuda::CudaOperations> operations_;
};

}  // namespace

void probe_cuda(const svdit_backend_options &options, svdit_backend_info &info) {
  cuda::probe_device(options.device, info);
}

std::unique_ptr<svdit_backend> open_cuda(const svdit_backend_options &options) {
  return std::make_unique<CudaBackend>(options);
}

}  // namespace svdit

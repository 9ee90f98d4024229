#include "cuda/host/cuda_streams.h"

#include "base/error.h"
#include "cuda/host/device.h"

namespace svdit::cuda {
namespace {

cudaEvent_t event_of(svdit_event event) { return static_cast<cudaEvent_t>(event); }
cudaStream_t stream_of(svdit_stream stream) { return static_cast<cudaStream_t>(stream); }

class CudaGraph : public svdit_graph {
 public:
  CudaGraph(cudaGraph_t graph, int device) : device_(device) {
    const cudaError_t made = cudaGraphInstantiate(&runnable_, graph, 0);
    cudaGraphDestroy(graph);
    check(made, "instantiating the graph");
  }
  ~CudaGraph() override {
    try {
      const OnDevice on(device_);
      cudaGraphExecDestroy(runnable_);
    } catch (const Error &) {
      // The context is lost, and the graph with it.
    }
  }
  void launch(svdit_stream stream) override {
    const OnDevice on(device_, stream);
    check(cudaGraphLaunch(runnable_, stream_of(stream)), "launching the graph");
  }

 private:
  const int device_;
  cudaGraphExec_t runnable_ = nullptr;
};

}  // namespace

svdit_event CudaStreams::create_event() {
  const OnDevice on(device_);
  cudaEvent_t event = nullptr;
  check(cudaEventCreate(&event), "cudaEventCreate");
  return event;
}

void CudaStreams::destroy_event(svdit_event event) {
  const OnDevice on(device_);
  check(cudaEventDestroy(event_of(event)), "cudaEventDestroy");
}

void CudaStreams::record(svdit_event event, svdit_stream stream) {
  const OnDevice on(device_, stream);
  check(cudaEventRecord(event_of(event), stream_of(stream)), "cudaEventRecord");
}

bool CudaStreams::done(svdit_event event) {
  const OnDevice on(device_);
  const cudaError_t code = cudaEventQuery(event_of(event));
  if (code != cudaErrorNotReady) check(code, "cudaEventQuery");
  cudaGetLastError();  // "not ready" is no error of the caller's
  return code == cudaSuccess;
}

void CudaStreams::synchronize_event(svdit_event event) {
  const OnDevice on(device_);
  check(cudaEventSynchronize(event_of(event)), "waiting for the event");
}

float CudaStreams::elapsed_ms(svdit_event begin, svdit_event end) {
  const OnDevice on(device_);
  float ms = 0;
  check(cudaEventElapsedTime(&ms, event_of(begin), event_of(end)), "cudaEventElapsedTime");
  return ms;
}

void CudaStreams::wait(svdit_stream stream, svdit_event event) {
  const OnDevice on(device_, stream);
  check(cudaStreamWaitEvent(stream_of(stream), event_of(event), 0), "cudaStreamWaitEvent");
}

// Relaxed: a virtual thread may end on another thread than it began on, and other threads go on
// allocating meanwhile.
void CudaStreams::begin_capture(svdit_stream stream) {
  const OnDevice on(device_);
  unsigned flags = 0;
  check(cudaStreamGetFlags(stream_of(stream), &flags), "cudaStreamGetFlags");
  Captures &captures = Captures::of(device_);
  const bool blocking = (flags & cudaStreamNonBlocking) == 0;  // another's harms no other stream
  const bool begun = blocking && captures.begin(stream_of(stream));  // so nobody comes in between
  const cudaError_t code = cudaStreamBeginCapture(stream_of(stream), cudaStreamCaptureModeRelaxed);
  if (code != cudaSuccess && begun) captures.end(stream_of(stream));
  check(code, "beginning to capture the stream");
}

std::unique_ptr<svdit_graph> CudaStreams::end_capture(svdit_stream stream, bool keep) {
  const OnDevice on(device_);
  cudaGraph_t graph = nullptr;
  const cudaError_t ended = cudaStreamEndCapture(stream_of(stream), &graph);
  Captures::of(device_).end(stream_of(stream));
  if (!keep) {
    if (graph != nullptr) cudaGraphDestroy(graph);
    cudaGetLastError();  // what broke the capture was reported where it happened
    return nullptr;
  }
  check(ended, "ending the capture");
  return std::make_unique<CudaGraph>(graph, device_);
}

}  // namespace svdit::cuda

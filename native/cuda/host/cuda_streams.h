// Events and graphs of a CUDA device.
#ifndef SVDIT_CUDA_CUDA_STREAMS_H
#define SVDIT_CUDA_CUDA_STREAMS_H

#include "backend/backend.h"

namespace svdit::cuda {

class CudaStreams : public svdit_streams {
 public:
  explicit CudaStreams(int device) : device_(device) {}

  svdit_event create_event() override;
  void destroy_event(svdit_event event) override;
  void record(svdit_event event, svdit_stream stream) override;
  bool done(svdit_event event) override;
  void synchronize_event(svdit_event event) override;
  float elapsed_ms(svdit_event begin, svdit_event end) override;
  void wait(svdit_stream stream, svdit_event event) override;
  void begin_capture(svdit_stream stream) override;
  std::unique_ptr<svdit_graph> end_capture(svdit_stream stream, bool keep) override;

 private:
  const int device_;
};

}  // namespace svdit::cuda

#endif

// Which of a device's streams are captured, so that nothing this library does breaks a capture.
#ifndef SVDIT_CUDA_CAPTURES_H
#define SVDIT_CUDA_CAPTURES_H

#include <cuda_runtime_api.h>

#include <mutex>
#include <set>

#include "base/condition.h"

namespace svdit::cuda {

// The captures of one device's blocking streams that this library began, and who uses its legacy
// default stream: CUDA breaks a capture where both meet. Captures of streams that do not block need
// not be told. Thread-safe.
class Captures {
 public:
  static Captures &of(int device);

  // Waits for those inside, and keeps others out. False if stream is captured already.
  bool begin(cudaStream_t stream);
  void end(cudaStream_t stream);  // nothing where it is not captured

  // False while a stream is captured; otherwise no capture begins until leave(). A thread may enter
  // again while it is inside.
  bool enter();
  void leave();

 private:
  std::mutex mutex_;
  Condition changed_;
  std::set<cudaStream_t> captured_;
  int waiting_ = 0, inside_ = 0;
};

// Whether a blocking stream of the current device is being captured, by whomever: then the legacy
// default stream must be left alone. Asking breaks nothing.
bool default_stream_barred();

}  // namespace svdit::cuda

#endif

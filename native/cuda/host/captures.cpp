#include "cuda/host/captures.h"

#include <map>

namespace svdit::cuda {
namespace {

// How often this thread is inside, by device: a call that is inside may make another that enters.
int &depth(const Captures *captures) {
  thread_local std::map<const Captures *, int> depths;
  return depths[captures];
}

}  // namespace

Captures &Captures::of(int device) {
  static std::mutex mutex;
  static auto *const all = new std::map<int, Captures>;  // used until the last thread ends
  const std::lock_guard lock(mutex);
  return (*all)[device];
}

bool Captures::begin(cudaStream_t stream) {
  std::unique_lock lock(mutex_);
  ++waiting_;
  changed_.wait(lock, [&] { return inside_ == 0; });
  --waiting_;
  const bool begun = captured_.insert(stream).second;
  changed_.notify_all();
  return begun;
}

void Captures::end(cudaStream_t stream) {
  const std::lock_guard lock(mutex_);
  captured_.erase(stream);
}

bool Captures::enter() {
  int &mine = depth(this);
  std::unique_lock lock(mutex_);
  if (mine == 0) {  // who waits to capture comes first, or never would where others keep entering
    changed_.wait(lock, [&] { return waiting_ == 0; });
    if (!captured_.empty()) return false;
    ++inside_;
  }
  ++mine;
  return true;
}

void Captures::leave() {
  if (--depth(this) > 0) return;
  const std::lock_guard lock(mutex_);
  if (--inside_ == 0) changed_.notify_all();
}

bool default_stream_barred() {
  cudaStreamCaptureStatus status;
  const cudaError_t code = cudaStreamIsCapturing(cudaStreamLegacy, &status);
  if (code != cudaErrorStreamCaptureImplicit) return false;
  cudaGetLastError();
  return true;
}

}  // namespace svdit::cuda

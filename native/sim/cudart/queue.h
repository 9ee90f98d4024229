// The simulated device's streams: work is queued and done later by one thread, at a random moment
// or when somebody waits, in an order drawn at random from those that streams, events and the
// legacy default stream allow. So work that is not waited for is seen undone, and what two streams
// share without order is seen in either order.
#ifndef SVDIT_SIM_CUDART_QUEUE_H
#define SVDIT_SIM_CUDART_QUEUE_H

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace svdit::sim {

// One recording of an event.
struct Recorded {
  bool done = false;
  bool captured = false;  // into a graph: there is nothing to wait for
  double ms = 0;          // on the device's clock
};

// A piece of device work. It may run many times (a graph's does).
struct Work {
  std::function<double()> run;        // the milliseconds it takes on the device's clock
  std::shared_ptr<Recorded> records;  // done after run
  std::shared_ptr<Recorded> after;    // done before run
};

struct Stream;

// Whom a capture keeps from calls that CUDA calls unsafe (cudaMalloc, waiting, ...), as
// cudaStreamBeginCapture has it; and of whose captures a thread takes notice, as
// cudaThreadExchangeStreamCaptureMode has it.
enum class CaptureMode { kGlobal, kThreadLocal, kRelaxed };

struct Graph {
  std::vector<Work> work;  // in an order that keeps all of its dependencies
  Stream *origin = nullptr;
  CaptureMode mode = CaptureMode::kGlobal;
  std::thread::id thread;  // that began it
  bool broken = false;     // by a call that is not allowed meanwhile
};

struct Stream {
  bool legacy = false;   // the default stream, ordered with every one that blocks
  bool blocking = true;  // false: cudaStreamNonBlocking
  std::deque<std::pair<std::uint64_t, Work>> queue;
  std::shared_ptr<Graph> capture;
};

// Thread-safe. What run throws ends all later work: see fault().
class Queue {
 public:
  Queue(std::uint64_t seed, std::function<long()> late_us);

  Stream *legacy() { return &legacy_; }
  Stream *create(bool blocking);
  void destroy(Stream *stream);  // once its work is done
  bool known(const Stream *stream) const;

  // Queues work, or adds it to the graph that stream is captured into. False if the legacy stream
  // would have to wait for a blocking stream that is captured; the capture is broken then.
  bool add(Stream *stream, Work work);

  // Each waits and returns true; false where a capture forbids to wait, which breaks the capture.
  bool wait(Stream *stream);
  bool wait_all();
  void wait(const std::shared_ptr<Recorded> &recorded);
  bool is_done(const std::shared_ptr<Recorded> &recorded) const;

  bool begin_capture(Stream *stream, CaptureMode mode);
  std::shared_ptr<Graph> end_capture(Stream *stream);  // nullptr: not captured
  bool capturing(const Stream *stream) const;
  // Whether this thread, which takes notice as mode says, may make an unsafe call now; where it may
  // not, the captures that forbid it are broken.
  bool allows_unsafe(CaptureMode mode);
  // Whether the capture of stream, if it is captured, may be ended by this thread.
  bool may_end_capture(const Stream *stream) const;
  bool blocking_captured() const;  // so that the legacy stream may not be used
  void break_capture(Stream *stream);

  // What ended the device's work, if anything did.
  std::optional<std::string> fault() const;
  void revive();  // as a new process finds the device

 private:
  void run();
  bool ready(const Stream &stream) const;
  // Breaks the captures that which picks; whether there were any.
  bool break_locked(const std::function<bool(const Stream &)> &which);
  void wait_until(std::unique_lock<std::mutex> &lock, const std::function<bool()> &done);
  std::uint64_t random_bits();

  mutable std::mutex mutex_;
  std::condition_variable added_, hurry_, progress_;
  std::function<long()> late_us_;
  std::uint64_t random_;
  std::uint64_t next_ticket_ = 0;
  double clock_ms_ = 0;
  int waiting_ = 0;
  bool running_ = false, started_ = false;
  Stream legacy_;
  std::vector<std::unique_ptr<Stream>> streams_;
  std::optional<std::string> fault_;
};

}  // namespace svdit::sim

#endif

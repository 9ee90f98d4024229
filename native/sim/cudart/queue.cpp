#include "sim/cudart/queue.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <string>
#include <thread>

namespace svdit::sim {
namespace {

bool any(const Stream &) { return true; }
bool blocks(const Stream &stream) { return stream.blocking; }

}  // namespace

Queue::Queue(std::uint64_t seed, std::function<long()> late_us)
    : late_us_(std::move(late_us)), random_(seed * 0x9e3779b97f4a7c15u + 1) {
  legacy_.legacy = true;
}

std::uint64_t Queue::random_bits() {  // splitmix64
  std::uint64_t z = random_ += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

Stream *Queue::create(bool blocking) {
  const std::lock_guard lock(mutex_);
  streams_.push_back(std::make_unique<Stream>());
  streams_.back()->blocking = blocking;
  return streams_.back().get();
}

void Queue::destroy(Stream *stream) {
  std::unique_lock lock(mutex_);
  wait_until(lock, [&] { return stream->queue.empty(); });
  std::erase_if(streams_, [&](const auto &s) { return s.get() == stream; });
}

bool Queue::known(const Stream *stream) const {
  if (stream == &legacy_) return true;
  const std::lock_guard lock(mutex_);
  return std::any_of(streams_.begin(), streams_.end(),
                     [&](const auto &s) { return s.get() == stream; });
}

bool Queue::add(Stream *stream, Work work) {
  const std::lock_guard lock(mutex_);
  if (stream->capture != nullptr) {
    if (work.records != nullptr) work.records->captured = true;
    stream->capture->work.push_back(std::move(work));
    return true;
  }
  if (stream->legacy && break_locked(blocks)) return false;
  if (fault_) {  // nothing runs any more, and nobody is to wait for it
    if (work.records != nullptr) work.records->done = true;
    return true;
  }
  stream->queue.emplace_back(next_ticket_++, std::move(work));
  if (!started_) {
    started_ = true;
    std::thread([this] { run(); }).detach();  // for the rest of the process, as a device
  }
  added_.notify_one();
  return true;
}

// The head of stream's queue, unless an event or the default stream's order holds it back.
bool Queue::ready(const Stream &stream) const {
  if (stream.queue.empty()) return false;
  const auto &[ticket, work] = stream.queue.front();
  if (work.after != nullptr && !work.after->done && !work.after->captured) return false;
  const auto earlier = [&, t = ticket](const Stream &other) {
    return !other.queue.empty() && other.queue.front().first < t;
  };
  if (!stream.legacy) return !stream.blocking || !earlier(legacy_);
  return std::none_of(streams_.begin(), streams_.end(),
                      [&](const auto &other) { return other->blocking && earlier(*other); });
}

void Queue::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    std::vector<Stream *> candidates;
    const auto consider = [&](Stream &stream) {
      if (ready(stream)) candidates.push_back(&stream);
    };
    consider(legacy_);
    for (const auto &stream : streams_) consider(*stream);
    if (candidates.empty()) {
      added_.wait(lock);
      continue;
    }
    if (waiting_ == 0) {
      const long late = late_us_();
      const auto pause = std::chrono::microseconds(late > 0 ? random_bits() % late : 0);
      if (hurry_.wait_for(lock, pause) == std::cv_status::no_timeout) continue;
    }
    Stream *stream = candidates[random_bits() % candidates.size()];
    if (!ready(*stream)) continue;
    const Work work = stream->queue.front().second;
    running_ = true;
    lock.unlock();
    double ms = 0;
    std::string failure;
    try {
      if (work.run) ms = work.run();
    } catch (const std::exception &error) {
      failure = error.what();
    }
    lock.lock();
    running_ = false;
    clock_ms_ += ms;
    if (!failure.empty() && !fault_) fault_ = failure;
    if (work.records != nullptr) {
      work.records->ms = clock_ms_;
      work.records->done = true;
    }
    stream->queue.pop_front();
    if (fault_) {
      legacy_.queue.clear();
      for (const auto &s : streams_) s->queue.clear();
    }
    progress_.notify_all();
  }
}

void Queue::wait_until(std::unique_lock<std::mutex> &lock, const std::function<bool()> &done) {
  ++waiting_;
  hurry_.notify_all();
  progress_.wait(lock, [&] { return fault_.has_value() ? !running_ : done(); });
  --waiting_;
}

bool Queue::wait(Stream *stream) {
  std::unique_lock lock(mutex_);
  if (stream->capture != nullptr) {
    stream->capture->broken = true;
    return false;
  }
  if (stream->legacy && break_locked(blocks)) return false;
  const std::uint64_t now = next_ticket_;
  wait_until(lock, [&] { return stream->queue.empty() || stream->queue.front().first >= now; });
  return true;
}

bool Queue::wait_all() {
  std::unique_lock lock(mutex_);
  if (break_locked(any)) return false;
  const std::uint64_t now = next_ticket_;
  const auto done = [&](const Stream &s) {
    return s.queue.empty() || s.queue.front().first >= now;
  };
  wait_until(lock, [&] {
    return done(legacy_) &&
           std::all_of(streams_.begin(), streams_.end(), [&](const auto &s) { return done(*s); });
  });
  return true;
}

void Queue::wait(const std::shared_ptr<Recorded> &recorded) {
  std::unique_lock lock(mutex_);
  wait_until(lock, [&] { return recorded->done; });
}

bool Queue::is_done(const std::shared_ptr<Recorded> &recorded) const {
  const std::lock_guard lock(mutex_);
  return recorded->done;
}

bool Queue::begin_capture(Stream *stream, CaptureMode mode) {
  const std::lock_guard lock(mutex_);
  if (stream->legacy || stream->capture != nullptr) return false;
  stream->capture = std::make_shared<Graph>();
  stream->capture->origin = stream;
  stream->capture->mode = mode;
  stream->capture->thread = std::this_thread::get_id();
  return true;
}

std::shared_ptr<Graph> Queue::end_capture(Stream *stream) {
  const std::lock_guard lock(mutex_);
  const std::shared_ptr<Graph> graph = stream->capture;
  for (const auto &s : streams_) {
    if (s->capture == graph) s->capture = nullptr;
  }
  return graph;
}

bool Queue::capturing(const Stream *stream) const {
  const std::lock_guard lock(mutex_);
  return stream->capture != nullptr;
}

bool Queue::allows_unsafe(CaptureMode mode) {
  if (mode == CaptureMode::kRelaxed) return true;
  const std::lock_guard lock(mutex_);
  return !break_locked([&](const Stream &stream) {
    const Graph &capture = *stream.capture;
    if (capture.thread == std::this_thread::get_id()) return capture.mode != CaptureMode::kRelaxed;
    return mode == CaptureMode::kGlobal && capture.mode == CaptureMode::kGlobal;
  });
}

bool Queue::may_end_capture(const Stream *stream) const {
  const std::lock_guard lock(mutex_);
  return stream->capture == nullptr || stream->capture->mode == CaptureMode::kRelaxed ||
         stream->capture->thread == std::this_thread::get_id();
}

bool Queue::blocking_captured() const {
  const std::lock_guard lock(mutex_);
  return std::any_of(streams_.begin(), streams_.end(),
                     [](const auto &s) { return s->capture != nullptr && s->blocking; });
}

void Queue::break_capture(Stream *stream) {
  const std::lock_guard lock(mutex_);
  if (stream->capture != nullptr) stream->capture->broken = true;
}

bool Queue::break_locked(const std::function<bool(const Stream &)> &which) {
  bool found = false;
  for (const auto &s : streams_) {
    if (s->capture != nullptr && which(*s)) s->capture->broken = found = true;
  }
  return found;
}

std::optional<std::string> Queue::fault() const {
  const std::lock_guard lock(mutex_);
  return fault_;
}

void Queue::revive() {
  const std::lock_guard lock(mutex_);
  fault_.reset();
}

}  // namespace svdit::sim

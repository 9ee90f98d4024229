// The CPU backend's threads: one pool that concurrent calls share.
#ifndef SVDIT_CPU_THREADS_H
#define SVDIT_CPU_THREADS_H

#include <atomic>
#include <cstdint>
#include <type_traits>

namespace svdit {

// Runs bodies over counted items. The caller takes part; workers join whichever running call has
// the fewest. run() may be called from many threads at once; it allocates nothing and starts no
// thread. In a process forked from the one that made the pool there are no workers: run() computes
// on the caller alone there.
class ThreadPool {
 public:
  // What one participant works off: items are handed out in ascending order, each once.
  class Items {
   public:
    // The next item, or -1 when there are none left.
    int64_t next() {
      const int64_t item = next_->fetch_add(1, std::memory_order_relaxed);
      return item < count_ ? item : -1;
    }
    // 0 is the caller, 1 .. threads() - 1 are workers; no two participants of one call are alike,
    // and no two running calls have the same worker.
    int participant() const { return participant_; }

   private:
    friend class ThreadPool;
    Items(std::atomic<int64_t> *next, int64_t count, int participant)
        : next_(next), count_(count), participant_(participant) {}
    std::atomic<int64_t> *next_;
    int64_t count_;
    int participant_;
  };

  // threads >= 1 counts the caller. Throws std::bad_alloc or Error where threads cannot be started.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool &) = delete;
  ThreadPool &operator=(const ThreadPool &) = delete;

  int threads() const { return threads_; }

  // Calls body(Items &) once on each thread that takes part, until all count items are handed out,
  // and returns when the last is done. Where bodies throw, no further item is handed out, and the
  // first exception is thrown again here once all that run are done.
  template <class Body>
  void run(int64_t count, Body &&body) {
    run_erased(
        count,
        [](void *context, Items &items) {
          (*static_cast<std::remove_reference_t<Body> *>(context))(items);
        },
        const_cast<void *>(static_cast<const void *>(&body)));
  }

  // Calls body(item) for each of count items; exceptions as with run().
  template <class Body>
  void for_each(int64_t count, Body &&body) {
    run(count, [&](Items &items) {
      for (int64_t item = items.next(); item >= 0; item = items.next()) body(item);
    });
  }

 private:
  using Erased = void (*)(void *context, Items &items);
  struct Job;
  struct State;
  void run_erased(int64_t count, Erased body, void *context);
  static void *work(void *worker);

  int threads_;
  State *state_;
};

}  // namespace svdit

#endif

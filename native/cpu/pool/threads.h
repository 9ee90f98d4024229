// The CPU backend's threads: one pool that concurrent calls share, in turns where they are many.
#ifndef SVDIT_CPU_THREADS_H
#define SVDIT_CPU_THREADS_H

#include <atomic>
#include <chrono>
#include <cstdint>
#include <type_traits>

namespace svdit {

// Runs bodies over counted items. The caller takes part; workers join whichever running call has
// the fewest. run() may be called from many threads at once; it allocates nothing and starts no
// thread. In a process forked from the one that made the pool there are no workers: run() computes
// on the caller alone there.
//
// To work on an item takes a seat. A pool has as many as threads; all pools of a process together
// have as many as the process may use processors, or as the largest pool has threads. A caller that
// finds none free waits its turn, first come first served. While one waits, whoever has had a seat
// for longer than a turn passes it on after the item in hand: workers leave their call, and a
// caller that is alone in its own waits again, behind the others. So a call waits at most a turn
// for each call before it.
class ThreadPool {
  struct Job;

 public:
  using Clock = std::chrono::steady_clock;

  // What one participant works off: items are handed out in ascending order, each once.
  class Items {
   public:
    // The next item, or -1 where this participant is to leave: there are none left, or, for a
    // worker, another call needs it more. May wait for a turn.
    int64_t next() {
      if (calls_.load(std::memory_order_relaxed) > 1 && worked_ && !stay()) return -1;
      worked_ = true;
      const int64_t item = next_->fetch_add(1, std::memory_order_relaxed);
      return item < count_ ? item : -1;
    }
    // 0 is the caller, 1 .. threads() - 1 are workers; no two that take part in a call at one time
    // are alike, and no two running calls have the same worker. A worker may come back.
    int participant() const { return participant_; }

   private:
    friend class ThreadPool;
    Items(std::atomic<int64_t> *next, int64_t count, int participant, Job *job)
        : next_(next), count_(count), participant_(participant), job_(job) {}
    // Whether to go on after the item in hand.
    bool stay();
    std::atomic<int64_t> *next_;
    int64_t count_;
    int participant_;
    Job *job_;  // nullptr where there are no seats, in a forked process
    Clock::time_point turn_began_ = Clock::now();
    bool worked_ = false;  // on an item in this turn
  };

  // How long a seat stays one call's at least, while its items last.
  static constexpr std::chrono::nanoseconds kTurn = std::chrono::milliseconds(1);

  // threads >= 1 counts the caller. Throws std::bad_alloc or Error where threads cannot be started.
  explicit ThreadPool(int threads, std::chrono::nanoseconds turn = kTurn);
  ~ThreadPool();
  ThreadPool(const ThreadPool &) = delete;
  ThreadPool &operator=(const ThreadPool &) = delete;

  int threads() const { return threads_; }

  // Calls that wait for a seat of this pool now, how often one did so far, and for how long in all.
  struct Queue {
    int waiting;
    uint64_t waits;
    std::chrono::nanoseconds waited;
  };
  Queue queue() const;

  // Calls body(Items &) on each thread that takes part, again on a worker that comes back, until
  // all count items are handed out, and returns when the last is done. Where bodies throw, no
  // further item is handed out, and the first exception is thrown again here once all that run are
  // done.
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
  struct State;
  struct Seats;
  void run_erased(int64_t count, Erased body, void *context);
  static void *work(void *worker);
  static void close(State &state);

  static std::atomic<int> calls_;  // in progress, of all pools; written with the seats' mutex

  int threads_;
  State *state_;
};

}  // namespace svdit

#endif

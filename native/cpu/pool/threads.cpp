#include "cpu/pool/threads.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <vector>

#include "base/condition.h"
#include "base/error.h"
#include "cpu/processor.h"

namespace svdit {
namespace {

// How long a thread that ran out of work looks for more before it sleeps: about what waking it
// costs.
constexpr auto kSpin = std::chrono::microseconds(20);

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// Spins until done() or for kSpin; returns done().
template <class Done>
bool spin_until(Done &&done) {
  const auto start = std::chrono::steady_clock::now();
  for (;;) {
    for (int i = 0; i < 64; ++i) {
      if (done()) return true;
      pause();
    }
    if (std::chrono::steady_clock::now() - start > kSpin) return done();
  }
}

// Counts the forks that led to this process, so that a pool knows when its workers stayed behind.
std::atomic<uint32_t> fork_generation{0};

}  // namespace

std::atomic<int> ThreadPool::calls_{0};

// One run() in progress, on its caller's stack. What is not atomic is guarded by the seats' mutex.
struct ThreadPool::Job {
  State *pool;
  Erased body;
  void *context;
  int64_t count;
  std::atomic<int64_t> next{0};
  std::atomic<int> active{0};    // workers inside; raised only while the job is listed
  Job *link = nullptr;           // of the pool's jobs
  Job *behind = nullptr;         // in the queue
  bool seated = false;           // its caller
  Condition turn{};              // its caller: a seat came
  std::exception_ptr failure{};  // the first of any participant

  bool has_items() const { return next.load(std::memory_order_relaxed) < count; }

  // Runs the body as one participant. What it throws may leave neither a worker, which would end
  // the process, nor the caller, on whose stack others still work.
  void participate(int participant, std::mutex &mutex) noexcept {
    Items items(&next, count, participant, this);
    try {
      body(context, items);
    } catch (...) {
      next.store(count, std::memory_order_relaxed);
      std::lock_guard<std::mutex> lock(mutex);
      if (failure == nullptr) failure = std::current_exception();
    }
  }
};

struct ThreadPool::State {
  struct Worker {
    State *state;
    int participant;
    pthread_t thread;
  };

  State(int threads, std::chrono::nanoseconds turn)
      : threads(threads), allowed(allowed_threads()), turn(turn) {}

  const int threads, allowed;
  const std::chrono::nanoseconds turn;
  const uint32_t generation = fork_generation.load();
  std::atomic<uint64_t> posted{0};
  std::atomic<bool> closing{false};
  std::vector<std::unique_ptr<Worker>> workers;

  // Guarded by the seats' mutex.
  Condition wake;  // workers: a job or a seat came, or closing
  Condition done;  // callers: a job's last worker left
  Job *jobs = nullptr;
  int sleeping = 0;
  int seated = 0;  // of this pool's threads and callers
  State *link = nullptr;
  uint64_t waits = 0;
  std::chrono::nanoseconds waited{0};

  // The job with items left that has the fewest workers.
  Job *pick() const {
    Job *best = nullptr;
    for (Job *job = jobs; job != nullptr; job = job->link) {
      if (job->has_items() && (best == nullptr || job->active < best->active)) best = job;
    }
    return best;
  }

  void unlist(Job *job) {
    Job **at = &jobs;
    while (*at != job) at = &(*at)->link;
    *at = job->link;
  }
};

// Who may compute: one for the process. While a caller waits, no seat is free that it could have.
struct ThreadPool::Seats {
  std::mutex mutex;
  int limit = 0;
  int taken = 0;
  Job *first = nullptr, *last = nullptr;  // callers that wait
  State *pools = nullptr;

  static Seats &of_process() {
    alignas(Seats) static unsigned char storage[sizeof(Seats)];
    static Seats *const seats = [] {
      Seats *made = new (storage) Seats;
      // The only thread of a forked process may have come without the one that held the mutex.
      pthread_atfork(nullptr, nullptr, [] {
        ++fork_generation;
        calls_ = 0;
        new (storage) Seats;
      });
      return made;
    }();
    return *seats;
  }

  void add(State *pool) {
    std::lock_guard<std::mutex> lock(mutex);
    pool->link = pools;
    pools = pool;
    set_limit();
  }

  void remove(State *pool) {
    std::lock_guard<std::mutex> lock(mutex);
    State **at = &pools;
    while (*at != pool) at = &(*at)->link;
    *at = pool->link;
    set_limit();
  }

  // The rest with the mutex held.

  bool room(const State &pool) const { return taken < limit && pool.seated < pool.threads; }

  void take(State &pool) {
    ++taken;
    ++pool.seated;
  }

  // Passes a seat on: to the first caller that waits and may have it, else to workers. One of the
  // pool's own looks for work by itself.
  void give_back(State &pool, bool by_worker) {
    --taken;
    --pool.seated;
    for (Job **at = &first, *before = nullptr; *at != nullptr && taken < limit;) {
      Job *job = *at;
      if (!room(*job->pool)) {
        before = job;
        at = &job->behind;
        continue;
      }
      *at = job->behind;
      if (last == job) last = before;
      take(*job->pool);
      job->seated = true;
      job->turn.notify_one();
    }
    for (State *other = pools; other != nullptr && taken < limit; other = other->link) {
      if ((by_worker && other == &pool) || !room(*other) || other->pick() == nullptr) continue;
      ++other->posted;
      if (other->sleeping > 0) other->wake.notify_one();
    }
  }

  // Waits behind all others for a seat of the job's caller.
  void wait(Job *job, std::unique_lock<std::mutex> &lock) {
    const auto start = Clock::now();
    while (!job->seated) job->turn.wait(lock);
    job->pool->waited += Clock::now() - start;
  }

  void enqueue(Job *job) {
    job->seated = false;
    job->behind = nullptr;
    (last == nullptr ? first : last->behind) = job;
    last = job;
    ++job->pool->waits;
  }

  // Whether a caller waits that could have a seat of the pool's.
  bool wanted(const State &pool) const {
    for (Job *job = first; job != nullptr; job = job->behind) {
      if (job->pool == &pool || job->pool->seated < job->pool->threads) return true;
    }
    return false;
  }

 private:
  void set_limit() {
    limit = 0;
    for (State *pool = pools; pool != nullptr; pool = pool->link) {
      limit = std::max({limit, pool->threads, pool->allowed});
    }
  }
};

bool ThreadPool::Items::stay() {
  if (job_ == nullptr) return true;
  State &pool = *job_->pool;
  if (Clock::now() - turn_began_ < pool.turn || !job_->has_items()) return true;
  Seats &seats = Seats::of_process();
  std::unique_lock<std::mutex> lock(seats.mutex);
  const bool wanted = seats.wanted(pool);
  if (participant_ != 0) {
    if (wanted) return false;
    const Job *neediest = pool.pick();
    if (neediest != nullptr && neediest->active + 1 < job_->active) return false;
  } else if (wanted && job_->active == 0) {
    seats.enqueue(job_);
    seats.give_back(pool, false);
    seats.wait(job_, lock);
    worked_ = false;
  }
  turn_began_ = Clock::now();
  return true;
}

void *ThreadPool::work(void *argument) {
  auto *worker = static_cast<State::Worker *>(argument);
  State &state = *worker->state;
  Seats &seats = Seats::of_process();
  std::unique_lock<std::mutex> lock(seats.mutex);
  while (!state.closing) {
    Job *job = seats.room(state) ? state.pick() : nullptr;
    if (job != nullptr) {
      ++job->active;
      seats.take(state);
      lock.unlock();
      job->participate(worker->participant, seats.mutex);
      lock.lock();
      // Under the mutex, because the job is gone as soon as its caller sees no worker in it.
      if (--job->active == 0) state.done.notify_all();
      seats.give_back(state, true);
      continue;
    }
    const uint64_t seen = state.posted;
    lock.unlock();
    const bool more = spin_until([&] { return state.posted != seen || state.closing; });
    lock.lock();
    if (!more && state.posted == seen && !state.closing) {
      ++state.sleeping;
      state.wake.wait(lock);
      --state.sleeping;
    }
  }
  return nullptr;
}

ThreadPool::ThreadPool(int threads, std::chrono::nanoseconds turn)
    : threads_(threads), state_(nullptr) {
  Seats &seats = Seats::of_process();
  auto state = std::make_unique<State>(threads, turn);
  // All memory first: with a thread already running, nothing may be given up by an exception.
  state->workers.reserve(threads - 1);
  std::vector<std::unique_ptr<State::Worker>> unstarted(threads - 1);
  for (int i = 1; i < threads; ++i) {
    unstarted[i - 1] = std::make_unique<State::Worker>();
    unstarted[i - 1]->state = state.get();
    unstarted[i - 1]->participant = i;
  }
  // Signals are for the host program's own threads.
  sigset_t all, old;
  sigfillset(&all);
  for (int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP}) sigdelset(&all, fault);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  int failed = 0;
  for (int i = 1; i < threads && failed == 0; ++i) {
    std::unique_ptr<State::Worker> &worker = unstarted[i - 1];
    failed = pthread_create(&worker->thread, nullptr, work, worker.get());
    if (failed == 0) {
      pthread_setname_np(worker->thread, "svdit-worker");
      state->workers.push_back(std::move(worker));
    }
  }
  pthread_sigmask(SIG_SETMASK, &old, nullptr);
  if (failed != 0) {
    const size_t started = state->workers.size();
    close(*state);
    fail(SVDIT_OUT_OF_MEMORY, "only %zu of %d worker threads could be started (error %d)", started,
         threads - 1, failed);
  }
  seats.add(state.get());
  state_ = state.release();
}

void ThreadPool::close(State &state) {
  {
    std::lock_guard<std::mutex> lock(Seats::of_process().mutex);
    state.closing = true;
    state.wake.notify_all();
  }
  for (auto &worker : state.workers) pthread_join(worker->thread, nullptr);
}

ThreadPool::~ThreadPool() {
  // After a fork the workers are not here to be joined, and the mutex may have been theirs: leave
  // it all.
  if (state_->generation != fork_generation.load()) return;
  close(*state_);
  Seats::of_process().remove(state_);
  delete state_;
}

ThreadPool::Queue ThreadPool::queue() const {
  if (state_->generation != fork_generation.load()) return {};
  Seats &seats = Seats::of_process();
  std::lock_guard<std::mutex> lock(seats.mutex);
  int waiting = 0;
  for (Job *job = seats.first; job != nullptr; job = job->behind) waiting += job->pool == state_;
  return {waiting, state_->waits, state_->waited};
}

void ThreadPool::run_erased(int64_t count, Erased body, void *context) {
  State &state = *state_;
  Job job{&state, body, context, count};
  if (state.generation != fork_generation.load()) {
    Items items(&job.next, count, 0, nullptr);
    body(context, items);
    return;
  }
  Seats &seats = Seats::of_process();
  {
    std::unique_lock<std::mutex> lock(seats.mutex);
    job.link = state.jobs;
    state.jobs = &job;
    ++calls_;
    if (seats.room(state)) {
      seats.take(state);
      // Nobody is woken for nothing.
      if (count > 1 && seats.room(state)) {
        ++state.posted;
        if (state.sleeping > 0 && count > 2) {
          state.wake.notify_all();
        } else if (state.sleeping > 0) {
          state.wake.notify_one();
        }
      }
    } else {
      seats.enqueue(&job);
      seats.wait(&job, lock);
    }
  }
  job.participate(0, seats.mutex);
  {
    std::lock_guard<std::mutex> lock(seats.mutex);
    state.unlist(&job);
    --calls_;
    seats.give_back(state, false);
  }
  // Unlisted, so no worker enters any more; those inside finish the items they hold.
  if (job.active != 0) {
    spin_until([&] { return job.active == 0; });
    std::unique_lock<std::mutex> lock(seats.mutex);
    while (job.active != 0) state.done.wait(lock);
  }
  if (job.failure != nullptr) std::rethrow_exception(job.failure);
}

}  // namespace svdit

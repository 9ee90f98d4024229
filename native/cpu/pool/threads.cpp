#include "cpu/pool/threads.h"

#include <pthread.h>
#include <signal.h>

#include <chrono>
#include <exception>
#include <memory>
#include <mutex>
#include <vector>

#include "base/condition.h"
#include "base/error.h"

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

void count_forks() {
  static const int registered = pthread_atfork(nullptr, nullptr, [] { ++fork_generation; });
  (void)registered;
}

}  // namespace

// One run() in progress, on its caller's stack.
struct ThreadPool::Job {
  Erased body;
  void *context;
  int64_t count;
  std::atomic<int64_t> next{0};
  std::atomic<int> active{
      0};  // workers inside; raised under the mutex, only while the job is listed
  Job *link = nullptr;
  std::exception_ptr failure{};  // the first of any participant; written under the mutex

  bool has_items() const { return next.load(std::memory_order_relaxed) < count; }

  // Runs the body as one participant. What it throws may leave neither a worker, which would end
  // the process, nor the caller, on whose stack others still work.
  void participate(int participant, std::mutex &mutex) noexcept {
    Items items(&next, count, participant);
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

  uint32_t generation = fork_generation.load();
  std::mutex mutex;
  Condition wake;  // workers: a job came, or closing
  Condition done;  // callers: a job's last worker left
  std::atomic<uint64_t> posted{0};
  Job *jobs = nullptr;
  int sleeping = 0;
  std::atomic<bool> closing{false};
  std::vector<std::unique_ptr<Worker>> workers;

  // The job with items left that has the fewest workers. The mutex is held.
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

  void close() {
    {
      std::lock_guard<std::mutex> lock(mutex);
      closing = true;
    }
    wake.notify_all();
    for (auto &worker : workers) pthread_join(worker->thread, nullptr);
  }
};

void *ThreadPool::work(void *argument) {
  auto *worker = static_cast<State::Worker *>(argument);
  State &state = *worker->state;
  std::unique_lock<std::mutex> lock(state.mutex);
  while (!state.closing) {
    if (Job *job = state.pick()) {
      ++job->active;
      lock.unlock();
      job->participate(worker->participant, state.mutex);
      lock.lock();
      // Under the mutex, because the job is gone as soon as its caller sees no worker in it.
      if (--job->active == 0) state.done.notify_all();
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

ThreadPool::ThreadPool(int threads) : threads_(threads), state_(nullptr) {
  count_forks();
  auto state = std::make_unique<State>();
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
    state->close();
    fail(SVDIT_OUT_OF_MEMORY, "only %zu of %d worker threads could be started (error %d)", started,
         threads - 1, failed);
  }
  state_ = state.release();
}

ThreadPool::~ThreadPool() {
  // After a fork the workers are not here to be joined, and the mutex may have been theirs: leave
  // it all.
  if (state_->generation != fork_generation.load()) return;
  state_->close();
  delete state_;
}

void ThreadPool::run_erased(int64_t count, Erased body, void *context) {
  Job job{body, context, count};
  State &state = *state_;
  if (count <= 1 || threads_ == 1 || state.generation != fork_generation.load()) {
    Items items(&job.next, count, 0);
    body(context, items);
    return;
  }
  bool sleeping;
  {
    std::lock_guard<std::mutex> lock(state.mutex);
    job.link = state.jobs;
    state.jobs = &job;
    ++state.posted;
    sleeping = state.sleeping > 0;
  }
  if (sleeping) {
    if (count > 2) {
      state.wake.notify_all();
    } else {
      state.wake.notify_one();
    }
  }
  job.participate(0, state.mutex);
  {
    std::lock_guard<std::mutex> lock(state.mutex);
    state.unlist(&job);
  }
  // Unlisted, so no worker enters any more; those inside finish the items they hold.
  spin_until([&] { return job.active == 0; });
  std::unique_lock<std::mutex> lock(state.mutex);
  while (job.active != 0) state.done.wait(lock);
  lock.unlock();
  if (job.failure != nullptr) std::rethrow_exception(job.failure);
}

}  // namespace svdit

// A condition variable that runs on systems with glibc 2.34 and their libstdc++.
#ifndef SVDIT_CONDITION_H
#define SVDIT_CONDITION_H

#include <pthread.h>

#include <mutex>

namespace svdit {

// std::condition_variable, but for wait(): that of gcc 12 would need GLIBCXX_3.4.30, a libstdc++ newer
// than systems with glibc 2.34 have.
class Condition {
 public:
  Condition() = default;
  ~Condition() { pthread_cond_destroy(&condition_); }
  Condition(const Condition &) = delete;
  Condition &operator=(const Condition &) = delete;

  void wait(std::unique_lock<std::mutex> &lock) {
    pthread_cond_wait(&condition_, lock.mutex()->native_handle());
  }
  template <class Done>
  void wait(std::unique_lock<std::mutex> &lock, Done done) {
    while (!done()) wait(lock);
  }
  void notify_one() { pthread_cond_signal(&condition_); }
  void notify_all() { pthread_cond_broadcast(&condition_); }

 private:
  pthread_cond_t condition_ = PTHREAD_COND_INITIALIZER;
};

}  // namespace svdit

#endif

// The memory that participants compute in, kept from call to call.
#ifndef SVDIT_CPU_SCRATCH_H
#define SVDIT_CPU_SCRATCH_H

#include <memory>
#include <mutex>
#include <vector>

#include "cpu/attention/tier.h"

namespace svdit {

// One Scratch for each worker, and a stock for callers: as many as ever called at once. Pages never
// touched cost nothing, so each is as large as the largest head dim needs.
class ScratchPool {
 public:
  // Throws std::bad_alloc.
  explicit ScratchPool(int workers);

  // A caller's for the length of one call.
  class Lease {
   public:
    explicit Lease(ScratchPool &pool) : pool_(pool), scratch_(pool.take()) {}
    ~Lease() { pool_.give_back(scratch_); }
    Lease(const Lease &) = delete;
    Lease &operator=(const Lease &) = delete;
    Scratch &get() const { return *scratch_; }

   private:
    ScratchPool &pool_;
    Scratch *scratch_;
  };

  // The scratch of a participant (see ThreadPool::Items): the lease for the caller, its own for a
  // worker.
  Scratch &of(int participant, const Lease &lease) {
    return participant == 0 ? lease.get() : *workers_[participant - 1];
  }

 private:
  struct Free {
    void operator()(Scratch *scratch) const;
  };
  using Owned = std::unique_ptr<Scratch, Free>;

  static Owned make();
  Scratch *take();
  void give_back(Scratch *scratch);

  std::vector<Owned> workers_;
  std::mutex mutex_;
  std::vector<Owned> callers_;
  std::vector<Scratch *> idle_;  // has room for all callers, so that giving back cannot fail
};

}  // namespace svdit

#endif

#include "cpu/cpu_backend.h"

#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <new>

#include "base/error.h"
#include "cpu/attention/attention.h"
#include "cpu/attention/quantise.h"
#include "cpu/processor.h"
#include "plan/text_valid.h"

namespace svdit {
namespace {

class CpuPlan : public svdit_plan {
 public:
  CpuPlan(Plan &&plan, CpuBackend &backend) : svdit_plan(std::move(plan)), backend_(backend) {}

  uint64_t workspace_bytes(int32_t batch) const override {
    return plan.element_type == SVDIT_E4M3 ? quantised_bytes(plan, batch) : 0;
  }

  void attention(const svdit_attention_args &args, svdit_stream stream) const override {
    require_no_stream(stream);
    const TextValid text_valid(plan, args.text_valid, args.batch);
    svdit_attention_args own = args;
    own.text_valid = text_valid.data();
    compute_attention(plan, backend_.kernels(), backend_.pool(), backend_.scratches(),
                      plan.element_type == SVDIT_E4M3 ? quantise(plan, backend_.pool(), own) : own);
  }

  void sweep(const svdit_sweep_args &args, svdit_stream stream) const override {
    require_no_stream(stream);
    const TextValid text_valid(plan, args.text_valid, args.batch);
    svdit_sweep_args own = args;
    own.text_valid = text_valid.data();
    compute_sweep(plan, backend_.kernels(), backend_.pool(), backend_.scratches(), own);
  }

 private:
  CpuBackend &backend_;
};

// What is known of the CPU without opening a backend.
void describe_cpu(svdit_backend_info &info) {
  info.kind = SVDIT_BACKEND_CPU;
  info.device = 0;
  const std::string name = processor_name();
  std::strncpy(info.name, name.c_str(), sizeof info.name - 1);
  const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
  info.memory_bytes = page * (uint64_t)sysconf(_SC_PHYS_PAGES);
  info.memory_free_bytes = page * (uint64_t)sysconf(_SC_AVPHYS_PAGES);
}

int32_t thread_count(const svdit_backend_options &options) {
  return options.threads > 0 ? options.threads : allowed_threads();
}

}  // namespace

void require_no_stream(svdit_stream stream) {
  if (stream != nullptr) {
    fail(SVDIT_INVALID_ARGUMENT, "stream is %p, the CPU backend has none: expected NULL", stream);
  }
}

CpuBackend::CpuBackend(const Tier &tier, int32_t threads)
    : tier_(tier), pool_(threads), scratches_(threads - 1), operations_(*tier.rows, pool_) {}

void CpuBackend::describe(svdit_backend_info &info) const {
  describe_cpu(info);
  info.threads = pool_.threads();
  info.cpu_tier = tier_.code;
  const ThreadPool::Queue queue = pool_.queue();
  info.queue_waits = queue.waits;
  info.queue_wait_ns = static_cast<uint64_t>(queue.waited.count());
}

void *CpuBackend::allocate(uint32_t, uint64_t bytes) {
  constexpr uint64_t kAlignment = 256;
  void *address = nullptr;
  if (bytes <= UINT64_MAX - kAlignment) {
    address = std::aligned_alloc(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
  }
  if (address == nullptr) {
    fail(SVDIT_OUT_OF_MEMORY, "%llu bytes of host memory could not be allocated",
         (unsigned long long)bytes);
  }
  return address;
}

void CpuBackend::release(uint32_t, void *address) { std::free(address); }

void CpuBackend::copy(void *to, const void *from, uint64_t bytes, svdit_stream stream) {
  require_no_stream(stream);
  std::memcpy(to, from, bytes);
}

svdit_stream CpuBackend::create_stream() { return nullptr; }

void CpuBackend::destroy_stream(svdit_stream stream) { require_no_stream(stream); }

void CpuBackend::synchronize(svdit_stream stream) { require_no_stream(stream); }

std::unique_ptr<svdit_plan> CpuBackend::compile(Plan &&plan) {
  if (plan.head_dim % 8 != 0 || plan.head_dim > kLargestHeadDim) {
    fail(SVDIT_UNSUPPORTED, "head_dim is %d, the CPU backend takes multiples of 8 up to %d",
         plan.head_dim, kLargestHeadDim);
  }
  return std::make_unique<CpuPlan>(std::move(plan), *this);
}

void probe_cpu(const svdit_backend_options &options, svdit_backend_info &info) {
  describe_cpu(info);
  info.threads = thread_count(options);
  info.cpu_tier = choose_tier(options.cpu_tier).code;
}

std::unique_ptr<svdit_backend> open_cpu(const svdit_backend_options &options) {
  return std::make_unique<CpuBackend>(choose_tier(options.cpu_tier), thread_count(options));
}

}  // namespace svdit

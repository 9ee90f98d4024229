// Every kind of bug with mbarriers, tensor copies, warpgroup products and handed-over registers
// that the simulator says it finds, planted and found; and the same code without the bug, accepted.
#include <memory>
#include <vector>

#include "cases.h"
#include "cuda/ptx/ptx_sm90.cuh"
#include "planted.h"

namespace {

using namespace svdit;
using cuda::k_major_descriptor;
using cuda::Swizzle;
using test::accepted;
using test::check;
using test::launch_of;
using test::rejected;

// An array of 512 rows of 128 bytes, copied eight at a time.
struct Array {
  explicit Array(Swizzle swizzle = Swizzle::k128)
      : data(static_cast<std::byte *>(std::aligned_alloc(128, kBytes)), &std::free) {
    std::memset(data.get(), 0, kBytes);
    map = cuda::encode_tensor_map(
        {data.get(), 3, 2, {64, 512, 1}, {2, 128, kBytes}, {64, 8, 1}, swizzle});
  }
  static constexpr std::size_t kBytes = 512 * 128;
  std::unique_ptr<std::byte, decltype(&std::free)> data;
  cuda::TensorMap map;
};

constexpr std::uint32_t kBox = 1024;

// ---- a copy and its mbarrier ------------------------------------------------------------------

struct CopySteps {
  bool fence = true, meet = true;  // after the mbarrier is made
  std::uint32_t expected = 2 * kBox;
  bool wait = true;
  std::uint32_t parity = 0;
  std::uint32_t to = 0;  // where the boxes go
};

// Thread 0 copies two boxes, all 64 threads read them.
void copy_and_read(const Array &array, const CopySteps &steps) {
  const std::uint32_t shared = ptx::shared_memory(), bar = shared + 4096;
  const int thread = ptx::thread_index();
  if (thread == 0) {
    ptx::mbarrier_init(bar, 1);
    if (steps.fence) ptx::fence_mbarrier_init();
  }
  if (steps.meet) ptx::barrier();
  if (thread == 0) {
    ptx::mbarrier_arrive_expect(bar, steps.expected);
    ptx::tensor_load(shared + steps.to, array.map, {0, 0, 0}, bar);
    ptx::tensor_load(shared + steps.to + kBox, array.map, {0, 8, 0}, bar);
  }
  if (steps.wait) ptx::mbarrier_wait(bar, steps.parity);
  ptx::load_shared_16(shared + 16 * thread);
}

void copies(test::Cases &cases) {
  const Array array, plain(Swizzle::kNone);
  const sim::Launch launch = launch_of(64, 6144);
  const auto found = [&](const char *name, std::initializer_list<const char *> causes,
                         const CopySteps &steps) {
    cases.run(name, [&] { rejected(launch, causes, [&] { copy_and_read(array, steps); }); });
  };
  cases.run("copy, wait for its mbarrier, read",
            [&] { accepted(launch, [&] { copy_and_read(array, {}); }); });
  found("planted: a box read before arrival", {"before arrival", "never written"}, {.wait = false});
  found("planted: a wait on the wrong phase", {"before arrival", "never written"}, {.parity = 1});
  found("planted: an mbarrier that expects too few bytes",
        {"expected too few bytes", "deadlock", "before arrival"}, {.expected = kBox});
  found("planted: an mbarrier that expects too many bytes", {"waits for parity 0"},
        {.expected = 3 * kBox});
  found("planted: no fence after an mbarrier is made", {"no fence_mbarrier_init"},
        {.fence = false});
  found("planted: no barrier after an mbarrier is made", {"before it is made", "no mbarrier is at"},
        {.meet = false});
  found("planted: a box at a misaligned shared address", {"misaligned"}, {.to = 512});
  found("planted: a box out of shared memory's bounds", {"out of bounds"}, {.to = 8192});
  found("planted: a box over the mbarrier", {"an mbarrier is there"}, {.to = 3072});
  cases.run("a box without swizzle at a multiple of 128", [&] {
    accepted(launch, [&] {
      const int thread = ptx::thread_index();
      if (thread < 8) ptx::store_shared_16(ptx::shared_memory() + 16 * thread, {});
      ptx::barrier();
      copy_and_read(plain, {.to = 128});
    });
  });
  cases.run("planted: the end of the block while a copy is under way", [&] {
    rejected(launch, {"are under way"}, [&] {
      const std::uint32_t bar = ptx::shared_memory() + 4096;
      if (ptx::thread_index() != 0) return;
      ptx::mbarrier_init(bar, 1);
      ptx::fence_mbarrier_init();
      ptx::mbarrier_arrive_expect(bar, kBox);
      ptx::tensor_load(ptx::shared_memory(), array.map, {0, 0, 0}, bar);
    });
  });
  cases.run("planted: a tensor map that nobody made", [&] {
    rejected(launch, {"encode_tensor_map"}, [&] {
      cuda::TensorMap none{};
      ptx::tensor_load(ptx::shared_memory(), none, {0, 0, 0}, ptx::shared_memory() + 4096);
    });
  });
  cases.run("planted: a map of another rank", [&] {
    rejected(launch, {"dimensions"}, [&] {
      ptx::tensor_load(ptx::shared_memory(), array.map, {0, 0, 0, 0}, ptx::shared_memory() + 4096);
    });
  });
}

// Thread 0 copies two runs of bytes, all 64 threads read them.
struct RunSteps {
  std::uint32_t expected = 1024;
  bool wait = true;
  std::uint32_t from = 0, to = 0, bytes = 512;  // of the second
};

void bulk_copies(test::Cases &cases) {
  const Array array;
  const sim::Launch launch = launch_of(64, 6144);
  const auto copy_runs = [&](const RunSteps &steps) {
    const std::uint32_t shared = ptx::shared_memory(), bar = shared + 4096;
    const int thread = ptx::thread_index();
    if (thread == 0) {
      ptx::mbarrier_init(bar, 1);
      ptx::fence_mbarrier_init();
    }
    ptx::barrier();
    if (thread == 0) {
      ptx::mbarrier_arrive_expect(bar, steps.expected);
      ptx::bulk_load(shared, array.data.get(), 512, bar);
      ptx::bulk_load(shared + 512 + steps.to, array.data.get() + 512 + steps.from, steps.bytes,
                     bar);
    }
    if (steps.wait) ptx::mbarrier_wait(bar, 0);
    ptx::load_shared_16(shared + 16 * thread);
  };
  const auto found = [&](const char *name, std::initializer_list<const char *> causes,
                         const RunSteps &steps) {
    cases.run(name, [&] { rejected(launch, causes, [&] { copy_runs(steps); }); });
  };
  cases.run("copy runs, wait for their mbarrier, read",
            [&] { accepted(launch, [&] { copy_runs({}); }); });
  found("planted: a run read before arrival", {"before arrival", "never written"}, {.wait = false});
  found("planted: an mbarrier that expects too few bytes of runs",
        {"expected too few bytes", "deadlock", "before arrival"}, {.expected = 512});
  found("planted: an mbarrier that expects too many bytes of runs", {"waits for parity 0"},
        {.expected = 1040});
  found("planted: a run to a misaligned shared address", {"misaligned"}, {.to = 8});
  found("planted: a run from a misaligned address", {"misaligned"}, {.from = 4});
  found("planted: a run of no multiple of 16", {"not a multiple of 16"}, {.bytes = 520});
  found("planted: a run of nothing", {"not a multiple of 16"}, {.bytes = 0});
  found("planted: a run out of shared memory's bounds", {"out of bounds"}, {.to = 5632});
  found("planted: a run over the mbarrier", {"an mbarrier is there"}, {.to = 3328});
  found("planted: a run into what another brings", {"while a copy may be under way"},
        {.to = 0u - 256});
}

void mbarriers(test::Cases &cases) {
  const sim::Launch launch = launch_of(64, 64);
  const auto at = [] { return ptx::shared_memory(); };
  cases.run("planted: an arrival too many", [&] {
    rejected(launch, {"more than 2 arrivals"}, [&] {
      if (ptx::thread_index() == 0) {
        ptx::mbarrier_init(at(), 2);
        ptx::mbarrier_init(at() + 8, 64);
      }
      ptx::barrier();
      ptx::mbarrier_arrive(at() + 8);
      // An mbarrier whose phase cannot end for want of bytes takes no third arrival.
      if (ptx::thread_index() < 3) ptx::mbarrier_arrive_expect(at(), 16);
    });
  });
  cases.run("planted: an mbarrier nobody arrives at", [&] {
    rejected(launch, {"waits for parity 0 of the mbarrier"}, [&] {
      if (ptx::thread_index() == 0) ptx::mbarrier_init(at(), 1);
      ptx::barrier();
      ptx::mbarrier_wait(at(), 0);
    });
  });
  cases.run("planted: an ordinary store over an mbarrier", [&] {
    rejected(launch, {"an mbarrier is there"}, [&] {
      if (ptx::thread_index() == 0) ptx::mbarrier_init(at(), 1);
      ptx::barrier();
      ptx::store_shared(at() + 4, 1);
    });
  });
  cases.run("planted: an mbarrier used after it is gone", [&] {
    rejected(launch, {"no mbarrier is at"}, [&] {
      if (ptx::thread_index() == 0) {
        ptx::mbarrier_init(at(), 1);
        ptx::mbarrier_invalidate(at());
      }
      ptx::barrier();
      ptx::mbarrier_wait(at(), 1);
    });
  });
  // Who arrives hands over what its lane did; of its warp, what lay before the last __syncwarp.
  const auto give = [&](bool all, bool meet) {
    const int thread = ptx::thread_index();
    if (thread == 0) ptx::mbarrier_init(at() + 128, all ? 32 : 1);
    ptx::barrier();
    if (thread < 32) {
      ptx::store_shared(at() + 4 * thread, 1);
      if (meet) ptx::warp_sync();
      if (all || thread == 0) ptx::mbarrier_arrive(at() + 128);
    } else {
      ptx::mbarrier_wait(at() + 128, 0);
      ptx::load_shared(at() + 4 * (thread - 32));
    }
  };
  const sim::Launch giving = launch_of(64, 256);
  cases.run("all lanes arrive", [&] { accepted(giving, [&] { give(true, false); }); });
  cases.run("one lane arrives after __syncwarp",
            [&] { accepted(giving, [&] { give(false, true); }); });
  cases.run("planted: one lane arrives for others without __syncwarp", [&] {
    rejected(giving, {"races with the write", "never written"}, [&] { give(false, false); });
  });
}

// ---- a ring of stages -------------------------------------------------------------------------

enum class Ring { kRight, kProducerDoesNotWait, kConsumerArrivesEarly, kOneWarpWaits };

// Warps 4.. produce by tensor copies into one stage, the first warpgroup multiplies what is there.
void ring(const Array &array, Ring way) {
  const std::uint32_t shared = ptx::shared_memory(), full = shared + 8 * kBox, empty = full + 8;
  const int thread = ptx::thread_index();
  if (thread == 0) {
    ptx::mbarrier_init(full, 1);
    ptx::mbarrier_init(empty, 4);
    ptx::fence_mbarrier_init();
  }
  ptx::barrier();
  constexpr int kRounds = 3;
  if (thread >= 128) {
    if (thread > 128) return;
    for (int round = 0; round < kRounds; ++round) {
      if (way != Ring::kProducerDoesNotWait) ptx::mbarrier_wait(empty, (round & 1) ^ 1);
      ptx::mbarrier_arrive_expect(full, 8 * kBox);
      for (int i = 0; i < 8; ++i) {
        ptx::tensor_load(shared + kBox * i, array.map, {0, 8 * i, 0}, full);
      }
    }
    return;
  }
  float d[8] = {};
  for (int round = 0; round < kRounds; ++round) {
    if (way != Ring::kOneWarpWaits || thread < 32) ptx::mbarrier_wait(full, round & 1);
    ptx::wgmma_fence();
    ptx::wgmma_bf16<false>(d, k_major_descriptor(shared), k_major_descriptor(shared), true);
    ptx::wgmma_commit();
    if (way == Ring::kConsumerArrivesEarly && thread % 32 == 0) ptx::mbarrier_arrive(empty);
    ptx::wgmma_wait<0>();
    if (way != Ring::kConsumerArrivesEarly && thread % 32 == 0) ptx::mbarrier_arrive(empty);
  }
}

void rings(test::Cases &cases) {
  const Array array;
  const sim::Launch launch = launch_of(160, 8 * kBox + 64);
  cases.run("copies feed products through one stage",
            [&] { accepted(launch, [&] { ring(array, Ring::kRight); }); });
  cases.run("planted: a stage copied into before it is free", [&] {
    rejected(launch,
             {"while a copy may be under way", "races with a read by product",
              "more than 1 arrivals", "before arrival", "expected too few"},
             [&] { ring(array, Ring::kProducerDoesNotWait); });
  });
  cases.run("planted: a stage given back before the wait for the products that read it", [&] {
    rejected(launch, {"races with a read by product"},
             [&] { ring(array, Ring::kConsumerArrivesEarly); });
  });
  cases.run("planted: one warp of four waits for the copy", [&] {
    rejected(launch, {"before arrival", "never written", "deadlock"},
             [&] { ring(array, Ring::kOneWarpWaits); });
  });
}

// ---- products ---------------------------------------------------------------------------------

struct ProductSteps {
  bool proxy_fence = true, late_proxy_fence = false, fence = true, wait = true;
  bool touch_accumulators = false, touch_a = false, overlap = false;
  int odd_warp = -1;       // gives another descriptor
  int lazy_warp = -1;      // leaves the second product out
  bool odd_lane = false;   // gives another descriptor than its warp
  std::uint32_t at = 0;    // of A
  bool overwrite = false;  // an ordinary store to B before the wait
};

void multiply(const ProductSteps &steps) {
  const std::uint32_t shared = ptx::shared_memory();
  const int thread = ptx::thread_index(), warp = thread / 32;
  for (int i = thread; i < 2 * 8192 / 16; i += 128) ptx::store_shared_16(shared + 16 * i, {});
  if (steps.proxy_fence) ptx::fence_async_proxy();
  ptx::barrier();
  if (steps.late_proxy_fence) ptx::fence_async_proxy();
  float d[16] = {};
  float(&half)[8] = reinterpret_cast<float(&)[8]>(d);
  std::uint32_t a[4] = {};
  const std::uint64_t there = k_major_descriptor(shared + steps.at);
  std::uint64_t b = k_major_descriptor(shared + 8192);
  if (warp == steps.odd_warp || (steps.odd_lane && thread == 77)) b += 2;
  if (steps.fence) ptx::wgmma_fence();
  ptx::wgmma_bf16<false>(d, there, b, true);
  if (warp != steps.lazy_warp) {
    if (steps.overlap) {
      ptx::wgmma_bf16<false>(half, a, b, true);
    } else {
      ptx::wgmma_bf16<false>(d, a, b, true);
    }
  }
  ptx::wgmma_commit();
  if (steps.touch_accumulators && thread == 3) d[1] = 0;
  if (steps.touch_a && thread == 3) a[1] = 1;
  if (steps.overwrite && thread == 3) ptx::store_shared(shared + 8192, 0);
  if (steps.wait) ptx::wgmma_wait<0>();
}

void products(test::Cases &cases) {
  const sim::Launch launch = launch_of(128, 2 * 8192);
  const auto found = [&](const char *name, std::initializer_list<const char *> causes,
                         const ProductSteps &steps) {
    cases.run(name, [&] { rejected(launch, causes, [&] { multiply(steps); }); });
  };
  cases.run("products of what ordinary stores wrote",
            [&] { accepted(launch, [] { multiply({}); }); });
  found("planted: no proxy fence after ordinary stores", {"no fence_async_proxy"},
        {.proxy_fence = false});
  found("planted: the proxy fence only after the barrier", {"no fence_async_proxy"},
        {.proxy_fence = false, .late_proxy_fence = true});
  found("planted: no wgmma_fence", {"since the last wgmma_fence"}, {.fence = false});
  found("planted: products never waited for", {"did not wait for"}, {.wait = false});
  found("planted: an accumulator written before the wait", {"was written before the wait"},
        {.touch_accumulators = true});
  found("planted: A's registers written before the wait", {"were written before the wait"},
        {.touch_a = true});
  found("planted: B overwritten before the wait",
        {"races with a read by product", "races with the write", "no fence_async"},
        {.overwrite = true});
  found("planted: a part of accumulators under way", {"into a part of accumulators"},
        {.overlap = true});
  found("planted: a warp of the warpgroup gives another matrix", {"divergent"}, {.odd_warp = 2});
  found("planted: a warp of the warpgroup leaves a product out", {"divergent"}, {.lazy_warp = 1});
  found("planted: a lane gives another matrix than its warp", {"different descriptors"},
        {.odd_lane = true});
  found("planted: a matrix that does not begin at its swizzle's pattern", {"its swizzle needs"},
        {.at = 512});
  found("planted: a matrix whose k go beyond its rows", {"go beyond its rows"}, {.at = 112});
  // Once round the loop, the registers are known as a product's.
  const auto loop = [](bool a_late, bool d_late) {
    const std::uint32_t shared = ptx::shared_memory();
    const int thread = ptx::thread_index();
    for (int i = thread; i < 8192 / 16; i += 128) ptx::store_shared_16(shared + 16 * i, {});
    ptx::fence_async_proxy();
    ptx::barrier();
    float d[8] = {};
    std::uint32_t a[4] = {};
    for (int round = 0; round < 3; ++round) {
      if (!a_late) a[round] = thread + 1;
      if (!d_late) d[round] += 1;
      ptx::wgmma_fence();
      if (a_late) a[round] = thread + 1;
      if (d_late) d[round] += 1;
      ptx::wgmma_bf16<false>(d, a, k_major_descriptor(shared), true);
      ptx::wgmma_commit();
      ptx::wgmma_wait<0>();
    }
  };
  cases.run("registers written before the fence",
            [&] { accepted(launch, [&] { loop(false, false); }); });
  cases.run("planted: A's registers written after the fence",
            [&] { rejected(launch, {"A's registers of lane"}, [&] { loop(true, false); }); });
  cases.run("planted: accumulators written after the fence",
            [&] { rejected(launch, {"accumulators of lane"}, [&] { loop(false, true); }); });
  cases.run("planted: a warpgroup of less than four warps", [&] {
    rejected(launch_of(64, 64), {"has not four warps"}, [] { ptx::wgmma_fence(); });
  });
}

// ---- tensor stores ----------------------------------------------------------------------------

void stores(test::Cases &cases) {
  const sim::Launch launch = launch_of(64, 1024);
  Array array;
  const auto store = [&](bool fence, bool wait, bool overwrite) {
    const std::uint32_t shared = ptx::shared_memory();
    const int thread = ptx::thread_index();
    ptx::store_shared_16(shared + 16 * thread, {1, 2, 3, 4});
    if (fence) ptx::fence_async_proxy();
    ptx::barrier();
    if (thread == 0) {
      ptx::tensor_store(array.map, {0, 8 * ptx::block_index(), 0}, shared);
      ptx::tensor_store_commit();
      if (wait) ptx::tensor_store_wait_read<0>();
    }
    ptx::barrier();
    if (overwrite) ptx::store_shared_16(shared + 16 * thread, {});
    if (thread == 0) ptx::tensor_store_wait<0>();
  };
  cases.run("a tensor store, waited for before its source is overwritten",
            [&] { accepted(launch, [&] { store(true, true, true); }); });
  cases.run("planted: no proxy fence before a tensor store", [&] {
    rejected(launch, {"no fence_async_proxy"}, [&] { store(false, true, false); });
  });
  cases.run("planted: a tensor store's source overwritten", [&] {
    rejected(launch, {"races with a read by tensor store"}, [&] { store(true, false, true); });
  });
  cases.run("planted: a tensor store never waited for", [&] {
    rejected(launch, {"may still read shared memory"}, [&] {
      const std::uint32_t shared = ptx::shared_memory();
      for (int i = ptx::thread_index(); i < 64; i += 64) ptx::store_shared_16(shared + 16 * i, {});
      ptx::fence_async_proxy();
      ptx::barrier();
      if (ptx::thread_index() == 0) ptx::tensor_store(array.map, {0, 0, 0}, shared);
    });
  });
}

// ---- registers --------------------------------------------------------------------------------

void registers(test::Cases &cases) {
  const sim::Launch launch = launch_of(384, 16);
  cases.run("planted: more registers taken than given", [&] {
    rejected(launch, {"deadlock"}, [] {
      if (ptx::thread_index() < 128) {
        ptx::give_registers<24>();
      } else {
        ptx::take_registers<248>();
      }
    });
  });
  cases.run("planted: registers taken that nobody gives", [&] {
    rejected(launch, {"deadlock"}, [] {
      if (ptx::thread_index() >= 128) ptx::take_registers<240>();
    });
  });
  cases.run("planted: registers given that the warp has not", [&] {
    rejected(launch, {"give_registers down to 200"}, [] { ptx::give_registers<200>(); });
  });
  cases.run("planted: registers taken below what the warp has", [&] {
    rejected(launch, {"take_registers up to 40"}, [] { ptx::take_registers<40>(); });
  });
  cases.run("planted: one warp of a warpgroup gives registers", [&] {
    rejected(launch, {"divergent"}, [] {
      if (ptx::thread_index() < 32) ptx::give_registers<24>();
    });
  });
  cases.run("planted: half a warp elects", [&] {
    rejected(launch, {"divergent"}, [] {
      if (ptx::thread_index() % 32 < 16) ptx::elect_one();
    });
  });
}

}  // namespace

int main() {
  test::Cases cases;
  copies(cases);
  bulk_copies(cases);
  mbarriers(cases);
  rings(cases);
  products(cases);
  stores(cases);
  registers(cases);
  return cases.finish();
}

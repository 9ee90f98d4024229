// Every kind of bug the simulator says it finds, planted and found; and the same code without the
// bug, accepted.
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <vector>

#include "cases.h"
#include "cuda/ptx/ptx.cuh"
#include "planted.h"

namespace {

using namespace svdit;
using test::accepted;
using test::check;
using test::launch_of;
using test::rejected;

// What a block of 64 threads reads of what the other warp copied, with each step of the protocol
// left out in turn.
void copy_and_read(const std::byte *source, bool wait, bool wait_for_it, bool meet) {
  const int t = ptx::thread_index();
  const std::uint32_t shared = ptx::shared_memory();
  ptx::copy_async_16(shared + 16 * t, source + 16 * t, 16);
  ptx::copy_async_commit();
  if (wait && wait_for_it) ptx::copy_async_wait<0>();
  if (wait && !wait_for_it) ptx::copy_async_wait<1>();
  if (meet) ptx::barrier();
  ptx::load_shared_16(shared + 16 * (t ^ 32));
}

void copies(test::Cases &cases) {
  alignas(16) static std::byte source[1024] = {};
  const sim::Launch two_warps = launch_of(64, 1024);
  cases.run("copy, wait, barrier, read",
            [&] { accepted(two_warps, [&] { copy_and_read(source, true, true, true); }); });
  cases.run("planted: read before arrival, no wait", [&] {
    rejected(two_warps, {"before arrival"}, [&] { copy_and_read(source, false, false, true); });
  });
  cases.run("planted: read before arrival, waits for an older group", [&] {
    rejected(two_warps, {"before arrival"}, [&] { copy_and_read(source, true, false, true); });
  });
  cases.run("planted: no barrier between a copy and another warp's read", [&] {
    rejected(two_warps, {"before arrival", "races with the write", "never written"},
             [&] { copy_and_read(source, true, true, false); });
  });
  cases.run("planted: copy never waited for", [&] {
    rejected(two_warps, {"did not wait for"}, [&] {
      ptx::copy_async_16(ptx::shared_memory() + 16 * ptx::thread_index(), source, 16);
      ptx::copy_async_commit();
    });
  });
  // Two stages would be right; with one, a warp that is ahead overwrites what another still reads.
  const auto pipeline = [&](bool meet_before_overwrite) {
    const int t = ptx::thread_index();
    const std::uint32_t shared = ptx::shared_memory();
    for (int i = 0; i < 3; ++i) {
      ptx::copy_async_16(shared + 16 * t, source, 16);
      ptx::copy_async_commit();
      ptx::copy_async_wait<0>();
      ptx::barrier();
      ptx::load_shared_16(shared + 16 * (t ^ 32));
      if (meet_before_overwrite) ptx::barrier();
    }
  };
  cases.run("a stage reused after a barrier",
            [&] { accepted(two_warps, [&] { pipeline(true); }); });
  cases.run("planted: a stage overwritten while another warp may read it",
            [&] { rejected(two_warps, {"races with"}, [&] { pipeline(false); }); });
  cases.run("planted: copy from a misaligned address", [&] {
    rejected(two_warps, {"misaligned"},
             [&] { ptx::copy_async_16(ptx::shared_memory(), source + 8, 16); });
  });
  cases.run("copied bytes are the source's, the rest zero, unknown until then", [&] {
    alignas(16) std::byte filled[16];
    std::memset(filled, 7, 16);
    accepted(launch_of(32, 1024), [&] {
      const std::uint32_t at = ptx::shared_memory() + 16 * ptx::thread_index();
      ptx::copy_async_16(at, filled, ptx::thread_index() % 2 == 0 ? 12 : 0);
      ptx::copy_async_commit();
      ptx::copy_async_wait<0>();
      const ptx::Bits128 got = ptx::load_shared_16(at);
      const std::uint32_t want = ptx::thread_index() % 2 == 0 ? 0x07070707 : 0;
      check(got.x == want && got.y == want && got.z == want && got.w == 0, "wrong bytes");
    });
  });
}

void shared_memory(test::Cases &cases) {
  const sim::Launch one_warp = launch_of(32, 256);
  cases.run("planted: shared memory out of bounds", [&] {
    rejected(one_warp, {"out of bounds"}, [] { ptx::store_shared(ptx::shared_memory() + 256, 1); });
  });
  cases.run("planted: shared addresses taken to start at 0",
            [&] { rejected(one_warp, {"out of bounds"}, [] { ptx::store_shared(0, 1); }); });
  cases.run("planted: misaligned shared access", [&] {
    rejected(one_warp, {"misaligned"}, [] { ptx::store_shared(ptx::shared_memory() + 2, 1); });
  });
  cases.run("planted: read of what nobody wrote", [&] {
    rejected(one_warp, {"never written"}, [] { ptx::load_shared(ptx::shared_memory()); });
  });
  const auto neighbours = [](bool meet) {
    const std::uint32_t shared = ptx::shared_memory();
    ptx::store_shared(shared + 4 * ptx::thread_index(), 1);
    if (meet) ptx::warp_sync();
    std::uint32_t rows[4];
    ptx::ldmatrix(rows, shared + 16 * (ptx::thread_index() % 8));
  };
  cases.run("lanes read each other's words after __syncwarp",
            [&] { accepted(one_warp, [&] { neighbours(true); }); });
  cases.run("planted: lanes read each other's words without __syncwarp",
            [&] { rejected(one_warp, {"races with the write"}, [&] { neighbours(false); }); });
  cases.run("planted: two warps write one word", [&] {
    rejected(launch_of(64, 256), {"races with the write"},
             [] { ptx::store_shared(ptx::shared_memory() + 4 * (ptx::thread_index() % 32), 1); });
  });
  cases.run("planted: global memory out of bounds stops the process (AddressSanitizer)", [&] {
    const pid_t child = fork();
    check(child >= 0, "fork failed");
    if (child == 0) {
      std::freopen("/dev/null", "w", stderr);
      auto *buffer = static_cast<std::byte *>(std::aligned_alloc(16, 512 - 16));
      sim::launch({.blocks = 1, .threads = 32},
                  [&] { ptx::store_global_16(buffer + 16 * ptx::thread_index(), {}); });
      _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    check(status != 0, "one element too far went unnoticed");
  });
}

void divergence(test::Cases &cases) {
  const sim::Launch one_warp = launch_of(32, 256);
  const sim::Launch two_warps = launch_of(64, 256);
  cases.run("planted: half a warp skips a barrier", [&] {
    rejected(one_warp, {"divergent"}, [] {
      if (ptx::thread_index() < 16) ptx::barrier();
    });
  });
  cases.run("planted: lanes of one warp at different shuffles", [&] {
    rejected(one_warp, {"divergent"}, [] {
      if (ptx::thread_index() < 16) {
        ptx::shuffle_xor(1, 1);
      } else {
        ptx::shuffle_xor(2, 1);
      }
    });
  });
  cases.run("planted: a barrier that one warp never reaches", [&] {
    rejected(two_warps, {"deadlock"}, [] {
      if (ptx::thread_index() < 32) ptx::barrier();
    });
  });
  cases.run("planted: two warps wait for each other", [&] {
    rejected(two_warps, {"deadlock"}, [] {
      ptx::barrier_sync(1 + ptx::thread_index() / 32, 64);
      ptx::barrier_sync(2 - ptx::thread_index() / 32, 64);
    });
  });
  cases.run("planted: one barrier, two ideas of how many", [&] {
    rejected(two_warps, {"others wait in it for"},
             [] { ptx::barrier_sync(1, ptx::thread_index() < 32 ? 96 : 64); });
  });
  const auto hand_over = [](bool wait) {
    const std::uint32_t shared = ptx::shared_memory();
    if (ptx::thread_index() < 32) {
      ptx::store_shared(shared + 4 * ptx::thread_index(), 1);
      ptx::barrier_arrive(3, 64);
    } else if (wait) {
      ptx::barrier_sync(3, 64);
      ptx::load_shared(shared + 4 * (ptx::thread_index() - 32));
    } else {
      ptx::barrier_arrive(3, 64);
      ptx::load_shared(shared + 4 * (ptx::thread_index() - 32));
    }
  };
  cases.run("a producer arrives, a consumer waits",
            [&] { accepted(two_warps, [&] { hand_over(true); }); });
  cases.run("planted: the consumer arrives and does not wait",
            [&] { rejected(two_warps, {"read at shared address"}, [&] { hand_over(false); }); });
  cases.run("planted: an exception from the middle of a divergent warp leaves nothing behind", [&] {
    for (int i = 0; i < 50; ++i) {
      rejected(one_warp, {"divergent"}, [] {
        if (ptx::thread_index() == 5) return;
        ptx::warp_sync();
      });
    }
  });
}

void schedules(test::Cases &cases) {
  cases.run("seeds give different schedules, a seed always the same", [&] {
    const auto order_of = [](std::uint64_t seed) {
      std::vector<int> order;
      sim::launch({.blocks = 4, .threads = 64, .seed = seed, .resident = 3}, [&] {
        ptx::warp_sync();
        order.push_back(ptx::block_index() * 64 + ptx::thread_index());
      });
      check(order.size() == 256, "%zu threads ran", order.size());
      return order;
    };
    check(order_of(1) == order_of(1), "one seed, two schedules");
    check(order_of(1) != order_of(2) && order_of(2) != order_of(3),
          "the schedule is always the same");
  });
  cases.run("blocks share an atomic counter", [&] {
    std::uint32_t counter = 0;
    std::vector<int> taken(40, 0);
    sim::launch({.blocks = 3, .threads = 32, .resident = 3}, [&] {
      for (;;) {
        std::uint32_t item = 0;
        if (ptx::thread_index() == 0) item = ptx::atomic_add(&counter, 1);
        item = ptx::shuffle(item, 0);
        if (item >= 40) break;
        if (ptx::thread_index() == 0) ++taken[item];
      }
    });
    for (int count : taken) check(count == 1, "an item was taken %d times", count);
  });
}

void bank_conflicts(test::Cases &cases) {
  // 8 rows of 128 bytes, read as a column of 16-byte chunks: all in the same banks unless swizzled.
  const auto column = [](bool swizzled) {
    const std::uint32_t shared = ptx::shared_memory();
    const int t = ptx::thread_index();
    for (int i = t; i < 64; i += 32) ptx::store_shared_16(shared + 16 * i, {});
    ptx::warp_sync();
    std::uint32_t rows[1];
    const int row = t % 8;
    ptx::ldmatrix(rows, shared + 128 * row + 16 * (swizzled ? row : 0));
  };
  cases.run("bank conflicts of ldmatrix are counted", [&] {
    const sim::Report bad =
        sim::launch({.threads = 32, .shared_bytes = 1024}, [&] { column(false); });
    const sim::Report good =
        sim::launch({.threads = 32, .shared_bytes = 1024}, [&] { column(true); });
    check(bad.bank_conflicts == 7, "%d, expected 7", static_cast<int>(bad.bank_conflicts));
    check(good.bank_conflicts == 0, "%d, expected 0", static_cast<int>(good.bank_conflicts));
  });
  cases.run("bank conflicts of stores are counted", [&] {
    const sim::Report bad = sim::launch({.threads = 32, .shared_bytes = 4096}, [&] {
      ptx::store_shared(ptx::shared_memory() + 128 * ptx::thread_index(), 1);
    });
    check(bad.bank_conflicts == 31, "%d, expected 31", static_cast<int>(bad.bank_conflicts));
    const sim::Report good = sim::launch({.threads = 32, .shared_bytes = 4096}, [&] {
      ptx::store_shared(ptx::shared_memory() + 4 * ptx::thread_index(), 1);
      ptx::store_shared_16(ptx::shared_memory() + 128 + 16 * ptx::thread_index(), {});
    });
    check(good.bank_conflicts == 0 && good.shared_wavefronts == 5, "%d conflicts, %d wavefronts",
          static_cast<int>(good.bank_conflicts), static_cast<int>(good.shared_wavefronts));
  });
}

}  // namespace

int main() {
  test::Cases cases;
  copies(cases);
  shared_memory(cases);
  divergence(cases);
  schedules(cases);
  bank_conflicts(cases);
  return cases.finish();
}

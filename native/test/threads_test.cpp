// The thread pool, many callers on one plan, forked processes, and what the cgroup allows.
#include "cpu/pool/threads.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <numeric>
#include <thread>

#include "cpu/processor.h"
#include "test/cases.h"

using namespace svdit;
using namespace svdit::test;

namespace {

void test_every_item_once() {
  for (int threads : {1, 2, 5}) {
    report.run("every item once, " + std::to_string(threads) + " threads, 6 callers", [&] {
      ThreadPool pool(threads);
      std::vector<std::thread> callers;
      std::atomic<int> wrong{0};
      for (int caller = 0; caller < 6; ++caller) {
        callers.emplace_back([&, caller] {
          for (int round = 0; round < 200; ++round) {
            const int64_t count = (caller * 37 + round) % 65;
            std::vector<std::atomic<int>> seen(count);
            std::atomic<uint64_t> inside{0};
            pool.run(count, [&](ThreadPool::Items &items) {
              const uint64_t bit = 1u << items.participant();
              if (items.participant() >= threads || (inside.fetch_or(bit) & bit)) ++wrong;
              for (int64_t i = items.next(); i >= 0; i = items.next()) ++seen[i];
              inside.fetch_and(~bit);
            });
            for (auto &times : seen) wrong += times != 1;
          }
        });
      }
      for (auto &caller : callers) caller.join();
      EXPECT(wrong == 0, "%d", wrong.load());
    });
  }
}

// Counts those inside, and the most there were.
class Gauge {
 public:
  void enter() {
    const int now = ++now_;
    int most = most_;
    while (now > most && !most_.compare_exchange_weak(most, now)) {
    }
  }
  void leave() { --now_; }
  int most() const { return most_; }

 private:
  std::atomic<int> now_{0}, most_{0};
};

// Callers of every size at once, of one pool or of several: never more items in hand than threads.
void test_no_more_than_threads(int threads, int pools) {
  const int seats = pools == 1 ? threads : std::max(threads, allowed_threads());
  report.run(
      "16 callers on " + std::to_string(pools) + " pools of " + std::to_string(threads) +
          " threads never work on more than " + std::to_string(seats) + " items",
      [&] {
        std::vector<std::unique_ptr<ThreadPool>> all;
        for (int i = 0; i < pools; ++i) {
          all.push_back(std::make_unique<ThreadPool>(threads, std::chrono::microseconds(50)));
        }
        Gauge gauge;
        std::atomic<int64_t> done{0};
        int64_t asked = 0;
        std::vector<std::thread> callers;
        for (int caller = 0; caller < 16; ++caller) {
          const int64_t count = int64_t{1} << caller % 10;
          const int rounds = (int)std::max<int64_t>(1, 200 / count);
          asked += count * rounds;
          callers.emplace_back([&, caller, count, rounds] {
            for (int round = 0; round < rounds; ++round) {
              all[caller % pools]->for_each(count, [&](int64_t) {
                gauge.enter();
                for (int i = 0; i < 5; ++i) std::this_thread::yield();
                ++done;
                gauge.leave();
              });
            }
          });
        }
        for (auto &caller : callers) caller.join();
        EXPECT(gauge.most() >= 1 && gauge.most() <= seats, "%d at once", gauge.most());
        EXPECT(done == asked, "%lld of %lld items", (long long)done, (long long)asked);
        uint64_t waits = 0;
        for (const auto &pool : all) {
          waits += pool->queue().waits;
          EXPECT(pool->queue().waiting == 0);
          EXPECT(pool->queue().waits == 0 || pool->queue().waited.count() > 0);
        }
        EXPECT(waits > 0 || seats > 16, "nobody waited");
      });
}

// Fifteen callers queue up behind one whose item is in hand, in a known order and of very different
// sizes. With a turn of one item, the items come in rounds: each caller's next after one of each
// caller before it, however much those still have to do.
void test_turns() {
  report.run("16 callers of 1 to 1000 items take turns, first come first served", [] {
    ThreadPool pool(1, std::chrono::nanoseconds(0));
    constexpr int kCallers = 16;
    int64_t counts[kCallers];
    for (int caller = 0; caller < kCallers; ++caller) {
      counts[caller] = caller == 0 ? 1000 : 1 + (caller * caller * 37) % 100;
    }
    counts[15] = 1;          // the last and smallest
    std::vector<int> order;  // by whoever has the only seat
    std::atomic<bool> begun{false}, go{false};
    std::vector<std::thread> callers;
    for (int caller = 0; caller < kCallers; ++caller) {
      callers.emplace_back([&, caller] {
        pool.for_each(counts[caller], [&, caller](int64_t) {
          begun = true;
          while (!go) std::this_thread::yield();
          order.push_back(caller);
        });
      });
      while (!begun || pool.queue().waiting < caller) std::this_thread::yield();
    }
    go = true;
    for (auto &caller : callers) caller.join();
    std::vector<int> expected;
    for (bool more = true; more;) {
      more = false;
      for (int caller = 0; caller < kCallers; ++caller) {
        if (counts[caller]-- > 0) {
          expected.push_back(caller);
          more = true;
        }
      }
    }
    EXPECT(order == expected, "%zu items of %zu, in another order", order.size(), expected.size());
  });
}

// A call that comes while another has all threads gets one of them after the item in hand.
void test_workers_move_on() {
  report.run("a worker leaves a long call for one that waits", [] {
    ThreadPool pool(3);
    std::atomic<bool> over{false};
    std::atomic<int> entered{0};
    std::thread long_caller([&] {
      pool.run(1 << 20, [&](ThreadPool::Items &items) {
        ++entered;
        while (items.next() >= 0 && !over) std::this_thread::yield();
      });
    });
    while (entered < 3) std::this_thread::yield();
    int64_t sum = 0;
    pool.for_each(1, [&](int64_t) { ++sum; });  // would never return otherwise
    EXPECT(sum == 1);
    over = true;
    long_caller.join();
  });
}

// Who throws: the caller, workers, or everyone. Each caller gets an exception of its own bodies,
// and the pool works as before.
void test_exceptions() {
  for (const char *who : {"caller", "workers", "all"}) {
    report.run(std::string("an exception of ") + who + " reaches its caller, 6 callers", [&] {
      ThreadPool pool(3);
      const bool of_caller = *who != 'w', of_workers = *who != 'c';
      std::atomic<int> wrong{0}, caught{0};
      const auto call = [&](int mine) {
        const int64_t count = 400;
        std::atomic<bool> thrown{false};
        std::atomic<int> inside{0};
        try {
          pool.run(count, [&](ThreadPool::Items &items) {
            ++inside;
            while (items.next() >= 0) {
              if (items.participant() == 0 ? of_caller : of_workers) {
                thrown = true;
                --inside;
                throw mine;
              }
              std::this_thread::yield();
            }
            --inside;
          });
          wrong += thrown;
        } catch (int got) {
          ++caught;
          wrong += got != mine || !thrown || inside != 0;
        }
      };
      std::vector<std::thread> callers;
      for (int caller = 0; caller < 6; ++caller) {
        callers.emplace_back([&, caller] {
          for (int round = 0; round < 200; ++round) call(caller * 1000 + round);
          std::atomic<int64_t> sum{0};
          pool.for_each(100, [&](int64_t item) { sum += item; });
          wrong += sum != 4950;
        });
      }
      for (auto &caller : callers) caller.join();
      // Beside so many callers, workers may have found no seat.
      for (int round = 0; caught == 0 && round < 100000; ++round) call(6000 + round);
      EXPECT(wrong == 0, "%d", wrong.load());
      EXPECT(caught > 0, "nothing was thrown");
    });
  }
}

struct Shared {
  TestCase c;
  svdit_backend *backend = nullptr;
  svdit_plan *plan = nullptr;

  explicit Shared(int threads, uint32_t type = SVDIT_FP32) {
    c.type = type;
    c.frames = 3;
    c.height = 10;
    c.width = 12;
    c.text = 20;
    c.block = 32;
    c.head_dim = 64;
    c.patterns.resize(2);
    c.patterns[1].mode = SVDIT_MODE_MULTI_DIAGONAL;
    c.patterns[1].order = SVDIT_ORDER_TOKEN_MAJOR;
    c.patterns[1].window = 60;
    backend = open_cpu(SVDIT_CPU_TIER_AUTO, threads);
    const PlanDesc desc(c);
    expect_ok([&](svdit_error *e) { return svdit_plan_create(backend, &desc.desc, &plan, e); });
  }
  ~Shared() {
    svdit_plan_destroy(plan);
    svdit_backend_close(backend);
  }
};

void test_one_plan_many_threads(uint32_t type) {
  report.run("16 threads on one plan of type " + std::to_string(type) + " give what one gives",
             [&] {
               const Shared shared(3, type);
               std::atomic<int> wrong{0};
               std::vector<std::thread> threads;
               for (int t = 0; t < 16; ++t) {
                 threads.emplace_back([&, t] {
                   Random random(t % 4);
                   const TestData data(shared.c, random, Strides::kBatchHeadToken);
                   const TestWorkspace workspace(shared.plan, shared.c.batch);
                   const svdit_attention_args args = workspace.in(data.args(shared.c));
                   std::vector<char> first;
                   for (int round = 0; round < 8; ++round) {
                     std::memset(args.out.data, 0xFF, args.out.extent_bytes);
                     wrong += svdit_attention(shared.plan, &args, nullptr, nullptr) != SVDIT_OK;
                     const char *out = (const char *)args.out.data;
                     if (round == 0) first.assign(out, out + args.out.extent_bytes);
                     wrong += std::memcmp(first.data(), out, first.size()) != 0;
                   }
                 });
               }
               for (auto &thread : threads) thread.join();
               EXPECT(wrong == 0, "%d", wrong.load());
             });
}

// Another thread changes a count between one that is right and one far past the end, all the time:
// a call sees the one or the other, and computes with the one it has checked. K and V end at a
// protected page.
void test_changing_text_valid(uint32_t type, bool sweep) {
  report.run(
      std::string(sweep ? "a sweep" : "a call") + " of type " + std::to_string(type) +
          " whose text_valid changes under it",
      [&] {
        const int32_t batch = 64, last = batch - 1;
        TestCase c;
        c.width = 40;
        c.text = 8;
        c.batch = batch;
        c.type = type;
        c.block = 32;
        c.head_dim = 64;
        c.patterns.resize(1);
        c.text_valid.assign(batch, 3);
        svdit_backend *backend = open_cpu(SVDIT_CPU_TIER_AUTO, 2);
        const PlanDesc desc(c);
        svdit_plan *plan = nullptr;
        expect_ok([&](svdit_error *e) { return svdit_plan_create(backend, &desc.desc, &plan, e); });
        Random random(3);
        const TestData data(c, random, Strides::kBatchHeadToken);
        const TestWorkspace workspace(plan, batch);
        const svdit_attention_args args = workspace.in(data.args(c));
        const int32_t block = 0;
        std::vector<double> norms(batch);
        svdit_sweep_args swept{};
        swept.struct_bytes = sizeof swept;
        swept.batch = batch;
        swept.q = args.q;
        swept.k = args.k;
        swept.v = args.v;
        swept.text_valid = args.text_valid;
        swept.query_blocks = &block;
        swept.query_block_count = 1;
        swept.norm = norms.data();
        const auto call = [&](svdit_error *e) {
          return sweep ? svdit_sweep(plan, &swept, nullptr, e)
                       : svdit_attention(plan, &args, nullptr, e);
        };
        const auto results = [&] {
          const char *from = sweep ? (const char *)norms.data() : (const char *)args.out.data;
          return std::vector<char>(
              from, from + (sweep ? norms.size() * sizeof(double) : args.out.extent_bytes));
        };
        expect_ok(call);
        const std::vector<char> expected = results();
        std::atomic<bool> over{false};
        std::thread changer([&] {
          std::atomic_ref<int32_t> count(c.text_valid[last]);
          while (!over) {
            for (int32_t value : {1 << 20, 3}) {
              count.store(value, std::memory_order_relaxed);
              for (int i = 0; i < 50; ++i) std::atomic_signal_fence(std::memory_order_seq_cst);
            }
          }
        });
        int computed = 0, refused = 0, wrong = 0;
        for (int i = 0; i < 2000 || ((computed == 0 || refused == 0) && i < 100000); ++i) {
          const svdit_status status = call(nullptr);
          refused += status == SVDIT_INVALID_ARGUMENT;
          if (status == SVDIT_OK) {
            ++computed;
            wrong += results() != expected;
          }
        }
        over = true;
        changer.join();
        EXPECT(computed > 0 && refused > 0 && wrong == 0, "%d computed, %d refused, %d wrong",
               computed, refused, wrong);
        svdit_plan_destroy(plan);
        svdit_backend_close(backend);
      });
}

// Cancelled before it begins, and by another thread while it runs; the plan computes as before.
void test_cancellation(uint32_t type) {
  report.run("a call of type " + std::to_string(type) + " is cancelled", [&] {
    TestCase c;
    c.type = type;
    c.frames = 4;
    c.height = 16;
    c.width = 32;
    c.block = 64;
    c.head_dim = 64;
    c.patterns.resize(4);
    svdit_backend *backend = open_cpu(SVDIT_CPU_TIER_AUTO, 2);
    const PlanDesc desc(c);
    svdit_plan *plan = nullptr;
    expect_ok([&](svdit_error *e) { return svdit_plan_create(backend, &desc.desc, &plan, e); });
    Random random(9);
    const TestData data(c, random, Strides::kBatchHeadToken);
    const TestWorkspace workspace(plan, c.batch);
    svdit_attention_args args = workspace.in(data.args(c));
    const auto result = [&] {
      expect_ok([&](svdit_error *e) { return svdit_attention(plan, &args, nullptr, e); });
      const char *out = (const char *)args.out.data;
      return std::vector<char>(out, out + args.out.extent_bytes);
    };
    const std::vector<char> expected = result();

    int32_t cancelled = 1;
    args.cancelled = &cancelled;
    std::memset(args.out.data, 0x11, args.out.extent_bytes);
    EXPECT(svdit_attention(plan, &args, nullptr, nullptr) == SVDIT_CANCELLED);
    const char *out = (const char *)args.out.data;
    EXPECT(std::all_of(out, out + args.out.extent_bytes, [](char x) { return x == 0x11; }),
           "cancelled before it began, and it wrote");
    cancelled = 0;
    EXPECT(result() == expected, "not cancelled, another result");

    // Which query block it comes to is the scheduler's choice; that some call is cut short is not.
    int cut = 0;
    for (int call = 0; call < 500 && cut < 3; ++call) {
      std::atomic_ref<int32_t> flag(cancelled);
      flag = 0;
      std::thread canceller([&, call] {
        std::this_thread::sleep_for(std::chrono::microseconds(call * 20 % 2000));
        flag = 1;
      });
      const svdit_status status = svdit_attention(plan, &args, nullptr, nullptr);
      canceller.join();
      EXPECT(status == SVDIT_OK || status == SVDIT_CANCELLED, "status %d", status);
      cut += status == SVDIT_CANCELLED;
    }
    EXPECT(cut > 0, "no call was cut short");
    args.cancelled = nullptr;
    EXPECT(result() == expected, "afterwards, another result");
    svdit_plan_destroy(plan);
    svdit_backend_close(backend);
  });
}

#if !defined(__SANITIZE_THREAD__)
void test_fork() {
  report.run("a forked child computes alone and closes", [] {
    Shared shared(3);
    Random random(1);
    const TestData data(shared.c, random, Strides::kBatchHeadToken);
    const svdit_attention_args args = data.args(shared.c);
    expect_ok([&](svdit_error *e) { return svdit_attention(shared.plan, &args, nullptr, e); });
    std::vector<char> expected((char *)args.out.data,
                               (char *)args.out.data + args.out.extent_bytes);
    const pid_t child = fork();
    if (child == 0) {
      alarm(20);
      std::memset(args.out.data, 0xFF, args.out.extent_bytes);
      const bool good = svdit_attention(shared.plan, &args, nullptr, nullptr) == SVDIT_OK &&
                        std::memcmp(expected.data(), args.out.data, expected.size()) == 0;
      svdit_plan_destroy(shared.plan);
      svdit_backend_close(shared.backend);
      _exit(good ? 0 : 1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0, "child's status %d", status);
  });
}
#endif

// A folder that stands for / with the files a cgroup has.
class FakeRoot {
 public:
  FakeRoot() {
    char name[] = "/tmp/svdit-cgroup-XXXXXX";
    path = mkdtemp(name);
  }
  ~FakeRoot() { (void)!std::system(("rm -rf " + path).c_str()); }
  void write(const std::string &file, const std::string &text) {
    for (size_t at = 1; (at = file.find('/', at)) != std::string::npos; ++at) {
      mkdir((path + file.substr(0, at)).c_str(), 0700);
    }
    std::ofstream(path + file) << text;
  }
  std::string path;
};

void test_cgroups() {
  report.run("no cgroup, no limit", [] {
    FakeRoot root;
    EXPECT(cgroup_threads(root.path) == 0);
    EXPECT(allowed_threads(root.path) >= 1);
  });
  report.run("cgroup v2: the least quota of a group and those above it", [] {
    FakeRoot root;
    root.write("/proc/self/cgroup", "0::/a/b\n");
    root.write("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
    EXPECT(cgroup_threads(root.path) == 0);
    root.write("/sys/fs/cgroup/a/cpu.max", "150000 100000\n");
    EXPECT(cgroup_threads(root.path) == 2, "1.5 processors keep 2 threads busy");
    root.write("/sys/fs/cgroup/cpu.max", "100000 100000\n");
    EXPECT(cgroup_threads(root.path) == 1);
    EXPECT(allowed_threads(root.path) == 1);
  });
  report.run("cgroup v1", [] {
    FakeRoot root;
    root.write("/proc/self/cgroup", "5:memory:/x\n4:cpu,cpuacct:/x\n");
    root.write("/sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us", "-1\n");
    root.write("/sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_period_us", "100000\n");
    EXPECT(cgroup_threads(root.path) == 0);
    root.write("/sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us", "320000\n");
    EXPECT(cgroup_threads(root.path) == 4);
  });
}

}  // namespace

int main() {
  test_every_item_once();
  test_no_more_than_threads(1, 1);
  test_no_more_than_threads(3, 1);
  test_no_more_than_threads(2, 5);
  test_turns();
  test_workers_move_on();
  test_exceptions();
  test_cancellation(SVDIT_FP32);
  test_cancellation(SVDIT_E4M3);
  test_one_plan_many_threads(SVDIT_FP32);
  test_one_plan_many_threads(SVDIT_E4M3);
  test_changing_text_valid(SVDIT_FP32, false);
  test_changing_text_valid(SVDIT_E4M3, false);
  test_changing_text_valid(SVDIT_FP32, true);
#if !defined(__SANITIZE_THREAD__)  // ThreadSanitizer does not follow a fork of a threaded process
  test_fork();
#endif
  test_cgroups();
  return report.finish();
}

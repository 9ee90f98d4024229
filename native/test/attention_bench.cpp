// Times attention on random data: `make native-bench`, or target/native/test/attention_bench [tier
// [threads [dense | e4m3 | sparse]]]. Medians of interleaved repetitions, and ratios within the
// run; one line per case.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <functional>

#include "test/cases.h"

using namespace svdit::test;

namespace {

double seconds_of(const std::function<void()> &call) {
  const auto start = std::chrono::steady_clock::now();
  call();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Something to time: a plan with its data.
struct Bench {
  Bench(svdit_backend *backend, const TestCase &test_case)
      : c(test_case), random(1), data(c, random, Strides::kBatchHeadToken), args(data.args(c)) {
    const PlanDesc desc(c);
    expect_ok([&](svdit_error *e) { return svdit_plan_create(backend, &desc.desc, &plan, e); });
    std::vector<double> densities(c.heads());
    expect_ok([&](svdit_error *e) { return svdit_plan_density(plan, -1, densities.data(), e); });
    for (double x : densities) density += x / c.heads();
    workspace = std::make_unique<TestWorkspace>(plan, c.batch);
    args = workspace->in(args);
  }
  ~Bench() { svdit_plan_destroy(plan); }
  Bench(const Bench &) = delete;

  void run() {
    expect_ok([&](svdit_error *e) { return svdit_attention(plan, &args, nullptr, e); });
  }
  double flop() const {
    return 4.0 * c.batch * c.heads() * c.queries() * c.keys() * c.head_dim * density;
  }

  TestCase c;
  Random random;
  TestData data;
  svdit_attention_args args;
  svdit_plan *plan = nullptr;
  std::unique_ptr<TestWorkspace> workspace;
  double density = 0;
};

// Median seconds of each, interleaved so that a slow moment of the machine falls on all.
std::vector<double> medians(const std::vector<Bench *> &benches, int repetitions) {
  std::vector<std::vector<double>> times(benches.size());
  for (int r = 0; r <= repetitions; ++r) {
    for (size_t i = 0; i < benches.size(); ++i) {
      const double t = seconds_of([&] { benches[i]->run(); });
      if (r > 0) times[i].push_back(t);
    }
  }
  std::vector<double> result;
  for (auto &t : times) {
    std::nth_element(t.begin(), t.begin() + t.size() / 2, t.end());
    result.push_back(t[t.size() / 2]);
  }
  return result;
}

TestCase dense_case(uint32_t type, int32_t heads, int32_t tokens, int32_t d) {
  TestCase c;
  c.frames = tokens / 1024;
  c.height = c.width = 32;
  c.type = type;
  c.head_dim = d;
  c.patterns.resize(heads);
  return c;
}

void bench_dense(svdit_backend *backend, const char *tier) {
  const char *const types[] = {"bf16", "fp16", "fp32"};
  for (uint32_t type : {SVDIT_BF16, SVDIT_FP32, SVDIT_FP16}) {
    for (int32_t d : {64, 128}) {
      Bench bench(backend, dense_case(type, 2, 4096, d));
      const double t = medians({&bench}, 5)[0];
      std::printf("%-12s dense %s D %-3d 1x2x4096: %7.2f ms %6.1f GFLOP/s\n", tier, types[type], d,
                  t * 1e3, bench.flop() / t * 1e-9);
      std::fflush(stdout);
    }
  }
}

// What the copies of an E4M3 plan cost beside the same call in bf16, dense and sparse.
void bench_e4m3(svdit_backend *backend, const char *tier) {
  for (int32_t d : {64, 128}) {
    for (double density : {1.0, 0.1}) {
      TestCase bf16 = dense_case(SVDIT_BF16, 8, 4096, d);
      for (int32_t b = 0; density < 1 && b < bf16.video_blocks(); b += (int32_t)(1 / density)) {
        for (TestPattern &pattern : bf16.patterns) {
          pattern.mode = SVDIT_MODE_VERTICAL_STRIPE;
          pattern.blocks.push_back(b);
        }
      }
      TestCase e4m3 = bf16;
      e4m3.type = SVDIT_E4M3;
      Bench without(backend, bf16), with(backend, e4m3);
      const std::vector<double> t = medians({&without, &with}, 7);
      std::printf("%-12s e4m3 D %-3d 1x8x4096 density %.2f: %7.2f ms, %5.2f of bf16's %7.2f ms\n",
                  tier, d, with.density, t[1] * 1e3, t[1] / t[0], t[0] * 1e3);
      std::fflush(stdout);
    }
  }
}

// Every sparse mode against dense time x density, in the same run.
void bench_sparse(svdit_backend *backend, const char *tier, uint32_t type, int32_t d,
                  int32_t block) {
  TestCase dense = dense_case(type, 1, 8192, d);
  dense.block = block;
  const int32_t blocks = dense.video_blocks();
  std::vector<TestCase> cases{dense};
  std::vector<std::string> names{"full"};
  for (double density : {0.1, 0.3, 0.6}) {
    const int64_t window = (int64_t)(dense.video() * (1 - std::sqrt(1 - density)));
    TestPattern diagonal, multi, stripe, lists;
    diagonal.mode = SVDIT_MODE_DIAGONAL;
    diagonal.window = window;
    multi.mode = SVDIT_MODE_MULTI_DIAGONAL;
    multi.order = SVDIT_ORDER_TOKEN_MAJOR;
    multi.window = window;
    stripe.mode = SVDIT_MODE_VERTICAL_STRIPE;
    lists.mode = SVDIT_MODE_BLOCKS;
    lists.order = SVDIT_ORDER_TILE_MAJOR;
    lists.tile_t = lists.tile_h = lists.tile_w = 4;
    Random random(3);
    for (int32_t b = 0; b < blocks; ++b) {
      if ((b * 7) % blocks < blocks * density) stripe.blocks.push_back(b);
      lists.lists.emplace_back();
      for (int32_t k = 0; k < blocks; ++k) {
        if (random.chance(density)) lists.lists.back().push_back(k);
      }
    }
    const char *const labels[] = {"diagonal", "multi-diagonal", "stripe", "blocks in tiles"};
    int i = 0;
    for (const TestPattern &pattern : {diagonal, multi, stripe, lists}) {
      TestCase c = dense;
      c.patterns = {pattern};
      cases.push_back(c);
      names.push_back(labels[i++]);
    }
  }
  std::vector<std::unique_ptr<Bench>> owned;
  std::vector<Bench *> benches;
  for (const TestCase &c : cases) {
    owned.push_back(std::make_unique<Bench>(backend, c));
    benches.push_back(owned.back().get());
  }
  const std::vector<double> times = medians(benches, 5);
  for (size_t i = 0; i < cases.size(); ++i) {
    const double ideal = times[0] * benches[i]->density;
    std::printf("%-12s sparse type %u D %d block %d %-15s density %.3f: %7.2f ms, %.3f of ideal\n",
                tier, type, d, block, names[i].c_str(), benches[i]->density, times[i] * 1e3,
                ideal / times[i]);
  }
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char **argv) {
  const char *only = argc > 1 ? argv[1] : "";
  const int threads = argc > 2 ? std::atoi(argv[2]) : 0;
  const char *part = argc > 3 ? argv[3] : "all";
  for (uint32_t tier : present_tiers()) {
    const char *name = tier_label(tier);
    if (*only != 0 && std::strcmp(only, name) != 0) continue;
    svdit_backend *backend = open_cpu(tier, threads);
    const auto wanted = [&](const char *name) {
      return std::strcmp(part, "all") == 0 || std::strcmp(part, name) == 0;
    };
    if (wanted("dense")) bench_dense(backend, name);
    if (wanted("e4m3")) bench_e4m3(backend, name);
    if (wanted("sparse")) {
      bench_sparse(backend, name, tier == SVDIT_CPU_TIER_AVX512_BF16 ? SVDIT_BF16 : SVDIT_FP32, 128,
                   128);
    }
    svdit_backend_close(backend);
  }
  return 0;
}

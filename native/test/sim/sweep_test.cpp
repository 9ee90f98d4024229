// The CUDA sweep in the simulator against the double-precision definition: every element type, head
// dim and block, both rules, all orders, tails, NaN where nothing may be read, and the sizes at
// which a part of the kernel begins to matter.
#include <cstdlib>
#include <fstream>

#include "base/error.h"
#include "test/sim/simulated.h"
#include "test/sweep_cases.h"

using namespace svdit::test;

namespace {

TestCase sequence(uint32_t type, int32_t head_dim, int32_t block) {
  TestCase c;
  c.type = type;
  c.head_dim = head_dim;
  c.block = block;
  return c;
}

bool sweep(const SweepData &data, svdit_sweep_args args, uint64_t seed,
           svdit::sim::Report *counted = nullptr) {
  try {
    const PlanDesc desc(data.s.c);
    const SimulatedPlan plan(desc.desc, seed);
    plan.run_sweep(args);
    if (counted != nullptr) *counted = plan.swept;
    return true;
  } catch (const svdit::sim::Fault &fault) {
    report.fail("%s", fault.what());
  } catch (const svdit::Error &error) {
    report.fail("%s", error.what());
  }
  return false;
}

void run_and_compare(const std::string &name, const SweepCase &s, Random &random, Strides strides,
                     uint64_t seed) {
  report.run(name + (s.rule == SVDIT_SWEEP_RANKED ? " ranked " : " distance ") + s.c.describe(),
             [&] {
               const SweepData data(s, random, strides);
               if (sweep(data, data.args(), seed)) data.expect_matches();
             });
}

void test_random_shapes(uint64_t seed, int count) {
  const Strides strides[] = {Strides::kBatchHeadToken, Strides::kBatchTokenHead,
                             Strides::kAlignedGaps};
  for (int i = 0; i < count; ++i, ++seed) {
    Random random(seed * 7919);  // neighbouring seeds begin alike
    TestCase c = sequence(i & 1 ? SVDIT_FP16 : SVDIT_BF16, i & 2 ? 64 : 128, i & 4 ? 64 : 128);
    c.frames = (int32_t)random.between(1, 5);
    c.height = (int32_t)random.between(1, 8);
    c.width = (int32_t)random.between(1, 9);
    if (random.chance(0.7)) {
      c.text = (int32_t)random.between(1, 140);
      c.text_first = random.chance(0.5);
    }
    if (random.chance(0.3)) c.scale = 0.3f * random.normal();
    const SweepCase s = random_sweep(random, c);
    run_and_compare("seed " + std::to_string(seed), s, random, strides[random.between(0, 2)], seed);
  }
}

// Several lists of keys, neighbours on one side only, stops in plenty.
void test_many_blocks() {
  for (const uint32_t order : {SVDIT_ORDER_FRAME_MAJOR, SVDIT_ORDER_TOKEN_MAJOR}) {
    Random random(40 + order);
    SweepCase s;
    s.c = sequence(SVDIT_BF16, 64, 64);
    s.c.frames = 4;
    s.c.height = 9;
    s.c.width = 260;  // 147 blocks, the last one short
    s.c.text = 3;
    s.c.patterns.resize(1);
    s.c.patterns[0].order = order;
    s.head_end = 1;
    s.query_blocks = {9, s.c.video_blocks() - 1};
    s.first = {{140, 3, 8}};
    s.stops = {0, 1, 64, 65, 66, 3000, 9000};
    s.gram = true;
    run_and_compare("more blocks than a list takes,", s, random, Strides::kBatchHeadToken, order);
  }
  Random random(50);
  SweepCase s;
  s.c = sequence(SVDIT_FP16, 64, 128);
  s.c.width = 300;
  s.c.patterns.resize(1);
  s.head_end = 1;
  s.query_blocks = {1};
  for (int64_t stop = 0; stop < 140; ++stop) s.stops.push_back(stop);  // more than a list takes
  run_and_compare("more stops than a list takes,", s, random, Strides::kBatchHeadToken, 1);
}

// What is not asked for, and no stops at all.
void test_nothing_asked() {
  report.run("no stops, no mass, no O_0", [&] {
    Random random(3);
    SweepCase s;
    s.c = sequence(SVDIT_BF16, 128, 64);
    s.c.width = 100;
    s.c.patterns.resize(2);
    s.head_end = 2;
    s.query_blocks = {1, 0};
    const SweepData all(s, random, Strides::kBatchHeadToken);
    if (!sweep(all, all.args(), 1)) return;
    const std::vector<double> norm = all.got.norm;
    svdit_sweep_args args = all.args();
    args.mass = nullptr;
    args.reference = nullptr;
    args.error = nullptr;
    if (sweep(all, args, 2)) EXPECT(all.got.norm == norm, "another norm");
  });
}

// The search must give the same table again: whatever the schedule, the same bits.
void test_schedules() {
  report.run("the same bits whatever the schedule", [&] {
    Random random(4);
    TestCase c = sequence(SVDIT_BF16, 128, 128);
    c.frames = 3;
    c.height = 9;
    c.width = 11;
    c.text = 20;
    SweepCase s = random_sweep(random, c);
    s.gram = true;
    const SweepData data(s, random, Strides::kBatchHeadToken);
    SweepData::Results first;
    for (uint64_t seed = 1; seed <= 3; ++seed) {
      if (!sweep(data, data.args(), seed)) return;
      if (seed == 1) first = data.got;
      EXPECT(data.got == first, "seed %d differs", (int)seed);
    }
  });
}

void test_bank_conflicts() {
  report.run("bank conflicts", [&] {
    for (const int32_t head_dim : {64, 128}) {
      for (const int32_t block : {64, 128}) {
        Random random(6);
        SweepCase s;
        s.c = sequence(SVDIT_BF16, head_dim, block);
        s.c.width = 200;
        s.c.patterns.resize(1);
        s.head_end = 1;
        s.query_blocks = {0};
        s.stops = {0};
        s.gram = true;
        const SweepData data(s, random, Strides::kBatchHeadToken);
        svdit::sim::Report counted;
        if (!sweep(data, data.args(), 1, &counted)) return;
        EXPECT(counted.bank_conflicts == 0, "D %d block %d: %lld of %lld passes", head_dim, block,
               (long long)counted.bank_conflicts, (long long)counted.shared_wavefronts);
      }
    }
  });
}

void test_shared_memory() {
  report.run("dynamic shared memory is as in the table", [] {
    std::ifstream table("native/cuda/resources.txt");
    int found = 0;
    for (std::string line; std::getline(table, line);) {
      char arch[16], element[16];
      int registers, spills, fixed, dynamic, head_dim, block;
      if (std::sscanf(line.c_str(), "%15s %d %d %d %d sweep_sm80<%15[^,], %d, %d>", arch,
                      &registers, &spills, &fixed, &dynamic, element, &head_dim, &block) != 8) {
        continue;
      }
      ++found;
      const int bytes = sweep_shared_bytes(head_dim, block);
      EXPECT(bytes == dynamic && bytes <= 99 * 1024, "%s: %d bytes", line.c_str(), bytes);
    }
    EXPECT(found == 8, "%d kernels in the table", found);
  });
}

}  // namespace

int main() {
  const char *seed = std::getenv("SVDIT_TEST_SEED");
  const char *count = std::getenv("SVDIT_TEST_COUNT");
  test_random_shapes(seed ? std::strtoull(seed, nullptr, 10) : 700, count ? std::atoi(count) : 24);
  test_many_blocks();
  test_nothing_asked();
  test_schedules();
  test_bank_conflicts();
  test_shared_memory();
  return report.finish();
}

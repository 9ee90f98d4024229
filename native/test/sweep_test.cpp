// svdit_sweep against brute force: every stop's output, the dense one, error, norm and mass from
// the definition in double precision.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "test/sweep_cases.h"

using namespace svdit::test;

namespace {

void run_and_compare(svdit_backend *backend, const SweepCase &s, Random &random) {
  const SweepData data(s, random, Strides::kGaps);
  const svdit_sweep_args args = data.args();
  const PlanDesc desc(s.c);
  svdit_plan *plan = nullptr;
  expect_ok([&](svdit_error *e) { return svdit_plan_create(backend, &desc.desc, &plan, e); });
  if (plan == nullptr) return;
  expect_ok([&](svdit_error *e) { return svdit_sweep(plan, &args, nullptr, e); });
  svdit_plan_destroy(plan);
  data.expect_matches();
}

// A NaN in a query of a block, or in a key that counts, makes what the sweep tells of that block
// NaN: a search must not rank by numbers that stand for nothing.
void test_nan(svdit_backend *backend, const std::string &tier, uint32_t type, int32_t head_dim) {
  report.run(
      tier + " sweep with one NaN, type " + std::to_string(type) + ", D " +
          std::to_string(head_dim),
      [&] {
        Random random(91);
        SweepCase s;
        s.c.frames = 3;
        s.c.height = 7;
        s.c.width = 11;
        s.c.text = 9;
        s.c.block = 32;
        s.c.head_dim = head_dim;
        s.c.type = type;
        s.c.text_valid = {5};
        s.c.patterns.resize(1);
        s.head_end = 1;
        s.query_blocks = {0, 7};  // the last of the video, which is short
        s.stops = {0, 60};
        const int32_t bytes = element_bytes(type), video_blocks = s.c.video_blocks();
        for (const bool in_q : {true, false}) {
          for (const int32_t token : {s.c.video() - 1, 3}) {
            const SweepData data(s, random, Strides::kGaps);
            std::memset((in_q ? data.data.q : data.data.k).row(0, 0, token) + 9 * bytes, 0xFF,
                        bytes);
            const svdit_sweep_args args = data.args();
            const PlanDesc desc(s.c);
            svdit_plan *plan = nullptr;
            expect_ok(
                [&](svdit_error *e) { return svdit_plan_create(backend, &desc.desc, &plan, e); });
            if (plan == nullptr) return;
            expect_ok([&](svdit_error *e) { return svdit_sweep(plan, &args, nullptr, e); });
            svdit_plan_destroy(plan);
            for (size_t block = 0; block < s.query_blocks.size(); ++block) {
              const int32_t begin = s.query_blocks[block] * s.c.block;
              const bool seen = !in_q || (token >= begin && token < begin + s.c.block);
              EXPECT(std::isnan(data.got.norm[block]) == seen, "norm %g", data.got.norm[block]);
              for (size_t stop = 0; stop < s.stops.size(); ++stop) {
                const double error = data.got.error[block * s.stops.size() + stop];
                EXPECT(std::isnan(error) == seen, "error %g at stop %zu", error, stop);
              }
              for (int32_t b = 0; b < video_blocks; ++b) {
                const double mass = data.got.mass[block * video_blocks + b];
                EXPECT(std::isnan(mass) == seen, "mass %g of block %d", mass, b);
              }
              const int32_t rows = std::min(s.c.block, s.c.video() - begin);
              for (int32_t row = 0; row < rows; ++row) {
                const bool nan_row = !in_q || begin + row == token;
                const float x = data.got.reference[(block * s.c.block + row) * s.c.head_dim];
                EXPECT(std::isnan(x) == nan_row, "row %d of block %zu is %g", row, block,
                       (double)x);
              }
            }
          }
        }
      });
}

}  // namespace

int main() {
  for (uint32_t tier : present_tiers()) {
    svdit_backend *backend = open_cpu(tier, 2);
    for (uint64_t seed = 1; seed <= 25; ++seed) {
      Random random(seed + 500);
      SweepCase s = random_sweep(random, random_case(random));
      if (tier == SVDIT_CPU_TIER_AVX512_BF16 && seed % 2) s.c.type = SVDIT_BF16;
      report.run(std::string(tier_label(tier)) + " sweep seed " + std::to_string(seed) +
                     (s.rule == SVDIT_SWEEP_RANKED ? " ranked " : " distance ") + s.c.describe(),
                 [&] { run_and_compare(backend, s, random); });
    }
    for (uint32_t type : {SVDIT_BF16, SVDIT_FP16, SVDIT_FP32}) {
      for (int32_t head_dim : {64, 128}) test_nan(backend, tier_label(tier), type, head_dim);
    }
    svdit_backend_close(backend);
  }
  return report.finish();
}

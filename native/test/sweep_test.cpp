// svdit_sweep against brute force: every stop's output, the dense one, error, norm and mass from
// the definition in double precision.
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
    svdit_backend_close(backend);
  }
  return report.finish();
}

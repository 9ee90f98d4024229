// Which tokens share a scale, in the CUDA kernels of e4m3: data of a usual spread would not show a
// mistake there.
#include "base/error.h"
#include "test/quantised.h"
#include "test/reference.h"
#include "test/sim/simulated.h"

using namespace svdit::test;

int main() {
  uint64_t seed = 0;
  for (const int32_t block : {64, 128}) {
    for (const int32_t text : {0, 90}) {
      ++seed;
      const TestCase c = uneven_case(seed % 2 == 0 ? 64 : 128, block, text, block == 128);
      report.run("uneven " + c.describe(), [&] {
        Random random(seed);
        const TestData data(c, random, Strides::kAlignedGaps);
        make_uneven(c, data);
        try {
          const PlanDesc desc(c);
          SimulatedPlan(desc.desc, seed, Kernels::kE4m3).run(data.args(c));
          expect_matches(c, data);
        } catch (const svdit::sim::Fault &fault) {
          report.fail("%s", fault.what());
        } catch (const svdit::Error &error) {
          report.fail("%s", error.what());
        }
      });
    }
  }
  return report.finish();
}

// The sm_80 attention kernels in the simulator.
#include "test/sim/attention_cases.h"

int main() { return svdit::test::test_attention(svdit::test::Kernels::kSm80); }

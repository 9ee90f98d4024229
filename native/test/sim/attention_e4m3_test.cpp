// The sm_90a attention kernels of e4m3 in the simulator.
#include "test/sim/attention_cases.h"

int main() { return svdit::test::test_attention(svdit::test::Kernels::kE4m3); }

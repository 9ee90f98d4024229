// The cases that every family of the CUDA attention kernels is tested on in the simulator.
#ifndef SVDIT_TEST_SIM_ATTENTION_CASES_H
#define SVDIT_TEST_SIM_ATTENTION_CASES_H

#include "test/sim/simulated.h"

namespace svdit::test {

// Runs them all; returns the test program's exit status.
int test_attention(Kernels kernels);

}  // namespace svdit::test

#endif

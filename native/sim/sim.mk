# The simulator and the tests that run the CUDA kernels' own source in it, without nvcc or a GPU. Always under
# AddressSanitizer: it watches the kernels' reads and writes of global memory. Included by native.mk.

SIM_TEST_SOURCES := $(wildcard native/test/sim/*_test.cpp)
SIM_SOURCES := $(wildcard native/sim/*.cpp native/plan/*.cpp) native/api_check.cpp native/cuda/prepare.cpp \
  $(filter-out $(SIM_TEST_SOURCES),$(wildcard native/test/sim/*.cpp))
# The reference is not what is tested: as fast as it can be.
SIM_REFERENCE := $(call object,native/test/cases.cpp native/test/reference.cpp native/test/fixture.cpp)
SIM_FLAGS := -std=c++20 -O2 -g1 -pthread -fsanitize=address -DSVDIT_SIM \
  -Wall -Wextra -Werror -Wno-unknown-pragmas -Inative/include -Inative -ffile-prefix-map=$(CURDIR)=.
sim_object = $(patsubst native/%,$(NATIVE)/sim/%.o,$1)

# The simulator switches stacks by hand on x86-64 only.
ifeq ($(shell uname -m),x86_64)
SIM_TESTS := $(patsubst native/test/sim/%.cpp,$(NATIVE)/test/sim/%,$(SIM_TEST_SOURCES))
endif

$(NATIVE)/sim/%.cpp.o: native/%.cpp $(NATIVE)/flags native/sim/sim.mk
	@mkdir -p $(@D)
	$(Q)$(CXX) $(SIM_FLAGS) -MMD -MP -c $< -o $@

$(SIM_TESTS): $(NATIVE)/test/sim/%: $(NATIVE)/sim/test/sim/%.cpp.o $(call sim_object,$(SIM_SOURCES)) $(SIM_REFERENCE)
	@mkdir -p $(@D)
	$(Q)$(CXX) $(SIM_FLAGS) $^ -o $@

.PHONY: sim-test
sim-test: $(SIM_TESTS) ## the CUDA kernels in the simulator, alone
	@for test in $(SIM_TESTS); do $$test || exit 1; done

-include $(patsubst %.o,%.d,$(call sim_object,$(SIM_SOURCES) $(SIM_TEST_SOURCES)))

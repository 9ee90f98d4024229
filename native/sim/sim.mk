# The simulator and the tests that run the CUDA kernels' own source in it, without nvcc or a GPU. Always under
# AddressSanitizer: it watches the kernels' reads and writes of global memory. Included by native.mk.

SIM_TEST_SOURCES := $(wildcard native/test/sim/*_test.cpp)
SIM_SOURCES := $(wildcard native/sim/*.cpp native/plan/*.cpp native/cuda/ptx/*.cpp) native/api/check.cpp \
  $(patsubst %,native/cuda/host/%.cpp,prepare launch_choice sweep_call ops_prepare clip_prepare key_maps) \
  $(filter-out $(SIM_TEST_SOURCES),$(wildcard native/test/sim/*.cpp))
# The reference is not what is tested: as fast as it can be.
SIM_REFERENCE := $(call object,native/test/cases.cpp native/test/reference.cpp native/test/quantised.cpp \
  native/test/fixture.cpp native/test/sweep_cases.cpp native/cpu/ops/ops_rows_portable.cpp)
SIM_FLAGS := -std=c++20 -O2 -g1 -pthread -fsanitize=address -DSVDIT_SIM \
  -Wall -Wextra -Werror -Wno-unknown-pragmas -Wno-psabi -Inative/include -Inative -ffile-prefix-map=$(HERE)=.
sim_object = $(patsubst native/%,$(NATIVE)/sim/%.o,$1)

# The simulator switches stacks by hand on x86-64 only.
ifeq ($(shell uname -m),x86_64)
SIM_TESTS := $(patsubst native/test/sim/%.cpp,$(NATIVE)/test/sim/%,$(SIM_TEST_SOURCES))
endif

$(NATIVE)/sim/%.cpp.o: native/%.cpp $(NATIVE)/flags native/sim/sim.mk
	@mkdir -p $(@D)
	$(Q)$(CXX) $(SIM_FLAGS) -MMD -MP -c $< -o $@

$(patsubst native/test/sim/%.cpp,$(NATIVE)/test/sim/%,$(SIM_TEST_SOURCES)): $(NATIVE)/test/sim/%: $(NATIVE)/sim/test/sim/%.cpp.o $(call sim_object,$(SIM_SOURCES)) $(SIM_REFERENCE)
	@mkdir -p $(@D)
	$(Q)$(CXX) $(SIM_FLAGS) $^ -o $@

# ---- the whole library on a simulated device -------------------------------------------------------
# libsvdit-sim.so is libsvdit.so with the kernels compiled for the host and the CUDA runtime replaced by
# native/sim/cudart: everything behind the ABI but the GPU itself. For the JUnit tests tagged "cuda".
SIM_LIBRARY := $(if $(and $(WITH_CUDA),$(filter x86_64,$(shell uname -m))),$(NATIVE)/libsvdit-sim.so)
SIM_LIBRARY_SOURCES := $(wildcard native/sim/*.cpp native/sim/cudart/*.cpp) $(CUDA_SOURCES)
sim_library_object = $(patsubst native/%,$(NATIVE)/simlib/%.o,$1)
SIM_LIBRARY_FLAGS := $(CXX_COMMON) -O2 -DSVDIT_SIM -Wno-unknown-pragmas -Wno-psabi

$(NATIVE)/simlib/%.o: native/% $(NATIVE)/flags native/sim/sim.mk
	@mkdir -p $(@D)
	$(Q)$(CXX) $(SIM_LIBRARY_FLAGS) $(CUDA_INCLUDES) -MMD -MP -x c++ -c $< -o $@

# Tensor maps are made and read by the simulator's own tensor_copy.cpp.
SIM_LIBRARY_OBJECTS = $(filter-out $(call object,$(CUDA_SOURCES) native/cuda/host/tensor_map.cpp),$(OBJECTS)) \
  $(call sim_library_object,$(SIM_LIBRARY_SOURCES))
$(NATIVE)/libsvdit-sim.so: $(SIM_LIBRARY_OBJECTS) native/api/libsvdit.map | $(NATIVE)/simlib/libcublasLt.so.13
	@mkdir -p $(@D)
	$(Q)$(link) $(filter %.o,$^) -Wl,-rpath,'$$ORIGIN/simlib' -ldl -o $@

# What multiplies matrices there; found by the simulated library and the tests as cuBLASLt is by the real one.
SIM_CUBLASLT := $(if $(SIM_LIBRARY),$(NATIVE)/simlib/libcublasLt.so.13)
$(NATIVE)/simlib/libcublasLt.so.13: native/sim/cublaslt/cublaslt.cpp $(NATIVE)/flags native/sim/sim.mk
	@mkdir -p $(@D)
	$(Q)$(CXX) $(CXX_COMMON) -shared $< -ldl -o $@

# gpu-check's own tests of the backend, here on the simulated device.
SIM_GPU_TESTS := $(if $(SIM_LIBRARY),$(patsubst %,$(NATIVE)/test/sim/%,gpu_test gpu_runtime_test gpu_ops_test gpu_sweep_test))
SIM_TESTS += $(SIM_GPU_TESTS)
# timing --small and model_timing --small show there that they run; their times mean nothing.
$(SIM_GPU_TESTS) $(NATIVE)/test/sim/model_timing $(NATIVE)/test/sim/timing: $(NATIVE)/test/sim/%: $(NATIVE)/obj/test/device/%.cpp.o $(call object,$(TEST_COMMON)) \
    $(SIM_LIBRARY_OBJECTS) | $(SIM_CUBLASLT)
	@mkdir -p $(@D)
	$(Q)$(CXX) -pthread $^ $(LDFLAGS) -Wl,--export-dynamic-symbol=svdit_sim_enqueue \
	  -Wl,-rpath,'$$ORIGIN/../../simlib' -ldl -o $@

# The same on a simulated Hopper GPU, which takes the sm_90a kernels.
SIM_TESTS += $(if $(SIM_LIBRARY),$(NATIVE)/test/sim/gpu_test_sm90)
$(NATIVE)/test/sim/gpu_test_sm90: $(NATIVE)/test/sim/gpu_test
	@printf '#!/bin/sh\nSVDIT_SIM=capability=90 exec "$${0%%_sm90}" --small 4000 12\n' > $@; chmod +x $@

# A denoiser's products where cuBLASLt has no algorithm with an epilogue.
SIM_TESTS += $(if $(SIM_LIBRARY),$(NATIVE)/test/sim/gpu_ops_test_plain)
$(NATIVE)/test/sim/gpu_ops_test_plain: $(NATIVE)/test/sim/gpu_ops_test
	@printf '#!/bin/sh\nSVDIT_SIM_CUBLASLT=plain exec "$${0%%_plain}"\n' > $@; chmod +x $@

-include $(patsubst %.o,%.d,$(call sim_library_object,$(SIM_LIBRARY_SOURCES)))

.PHONY: sim-test sim-library
sim-library: $(SIM_LIBRARY) $(SIM_CUBLASLT)
sim-test: $(SIM_TESTS) ## the CUDA kernels in the simulator, alone
	@for test in $(SIM_TESTS); do $$test || exit 1; done

-include $(patsubst %.o,%.d,$(call sim_object,$(SIM_SOURCES) $(SIM_TEST_SOURCES)))

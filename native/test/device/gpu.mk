# Programs that need a GPU to run; built by gpu-check only. Included by native.mk.

GPU_PROGRAMS := $(patsubst %,$(NATIVE)/gpu/%,golden golden_sm90 gpu_test gpu_runtime_test gpu_ops_test gpu_sweep_test timing model_timing)

$(NATIVE)/obj/test/device/%.cpp.o: native/test/device/%.cpp $(NATIVE)/flags native/test/device/gpu.mk
	@mkdir -p $(@D)
	$(Q)$(CXX) $(CXX_COMMON) $(CUDA_INCLUDES) -MMD -MP -c $< -o $@

# They share one library, found beside them, so that all of them together are small enough to be carried.
$(filter-out %/golden %/golden_sm90,$(GPU_PROGRAMS)): $(NATIVE)/gpu/%: $(NATIVE)/obj/test/device/%.cpp.o \
    $(call object,$(TEST_COMMON)) $(LIBRARY)
	@mkdir -p $(@D)
	$(Q)$(CXX) -pthread $^ $(LDFLAGS) -Wl,-rpath,'$$ORIGIN/..' $(CUDA_LIBRARIES) -ldl -o $@

$(NATIVE)/gpu/golden: native/test/device/golden.cu native/test/sim/golden.cuh native/test/sim/golden_source.h \
    native/cuda/ptx/ptx.cuh native/test/device/gpu.mk
	@mkdir -p $(@D)
	$(Q)$(NVCC) $(filter-out -lineinfo,$(NVCC_FLAGS)) $(call cuda_arch,any_sm80.cu) $< -o $@ < /dev/null

# With the library's objects, for tensor maps.
$(NATIVE)/gpu/golden_sm90: $(NATIVE)/obj/test/device/golden_sm90.cu.o $(OBJECTS)
	@mkdir -p $(@D)
	$(Q)$(CXX) -pthread $^ $(LDFLAGS) $(CUDA_LIBRARIES) -ldl -o $@

.PHONY: gpu-programs gpu-check
gpu-programs: $(if $(CUDA_LEFT_OUT),gpu-impossible,$(GPU_PROGRAMS) $(LIBRARY))
gpu-check: ## checks and times the CUDA backend on this machine's GPU (STAGES="build golden correct ...")
	@native/test/device/gpu_check.sh $(STAGES)
.PHONY: gpu-impossible
gpu-impossible:
	@echo 'gpu-check needs the CUDA backend, which is left out: $(CUDA_LEFT_OUT)'; false


# ---- the Java face on a GPU ---------------------------------------------------------------------------
# The pack is made where there is a JDK; the check needs neither JDK nor Maven.
GPU_JAVA_PACK := target/gpu-java.tgz
CALL_LOOP := $(NATIVE)/gpu/libcall-loop.so

$(CALL_LOOP): native/test/device/call_loop.cpp native/include/svdit.h
	@mkdir -p $(@D)
	$(Q)$(CXX) -std=c++20 -O2 -fPIC -shared -Wall -Wextra -Werror -Inative/include $< -o $@

.PHONY: gpu-java-pack gpu-check-java
gpu-java-pack: $(CALL_LOOP) ## packs a Java runtime and the CUDA tests into target/gpu-java.tgz, for gpu-check-java
	@tools/gpu-java-pack $(GPU_JAVA_PACK)
gpu-check-java: $(if $(CUDA_LEFT_OUT),gpu-impossible,$(LIBRARY) $(CALL_LOOP)) ## the CUDA tests of the Java face on this machine's GPU, from the pack
	@test -f $(GPU_JAVA_PACK) || { echo 'gpu-check-java needs $(GPU_JAVA_PACK): run `make gpu-java-pack` where there is a JDK'; false; }
	@native/test/device/gpu_check_java.sh $(GPU_JAVA_PACK) $(or $(GPU_JAVA_LIBRARY),$(LIBRARY)) $(CALL_LOOP)

-include $(wildcard $(NATIVE)/obj/test/device/*.d)

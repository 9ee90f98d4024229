# The native library, its tests, and the flags of each file. Included by the Makefile.
#
# Found by wildcard: native/api, native/plan, native/cpu and, where nvcc is installed, native/cuda. A file whose name ends
# in a CPU tier is compiled with the flags that its line "// Compiled with:" gives; every other file is baseline x86-64,
# because it runs before (or without) a look at the processor.

NATIVE := target/native
LIBRARY := $(NATIVE)/libsvdit.so

# This folder, for a shell: its path may have spaces.
HERE := $(subst $() ,\ ,$(CURDIR))
CXX_COMMON := -std=c++20 -O3 -fPIC -fvisibility=hidden -fvisibility-inlines-hidden -pthread \
  -fno-math-errno -Wall -Wextra -Werror -Inative/include -Inative -ffile-prefix-map=$(HERE)=.

# From the lowest up, as in their table.
TIERS := $(shell sed -n 's/^SVDIT_TIER.[A-Z0-9_]*, "\([a-z0-9_]*\)".*/\1/p' native/cpu/tiers.def)
tier_flags = $(shell sed -n 's|^// Compiled with: ||p' $1)

# Only the file that answers svdit_header_hash and the build's description depend on these.
HEADER_HASH := $(firstword $(shell sha256sum native/include/svdit.h))
API_FLAGS := -DSVDIT_HEADER_HASH='"$(HEADER_HASH)"' -DSVDIT_VERSION='"$(VERSION)"'

CPU_SOURCES := $(wildcard native/api/*.cpp native/plan/*.cpp native/cpu/*.cpp native/cpu/*/*.cpp)
CUDA_SOURCES := $(wildcard native/cuda/kernels/*.cu)
CUDA_HOST_SOURCES := $(wildcard native/cuda/host/*.cpp native/cuda/ptx/*.cpp)
TEST_SOURCES := $(wildcard native/test/*_test.cpp)
BENCH_SOURCES := $(wildcard native/test/*_bench.cpp)
TEST_COMMON := $(filter-out $(TEST_SOURCES) $(BENCH_SOURCES),$(wildcard native/test/*.cpp))

object = $(patsubst native/%,$(NATIVE)/obj/%.o,$1)
# From the lowest tier up: of an inline function that several files define the linker keeps the first copy, which must
# be one that every processor that reaches it can run.
TIER_SOURCES := $(foreach tier,$(TIERS),$(filter %_$(tier).cpp,$(CPU_SOURCES)))
OBJECTS = $(call object,$(filter-out $(TIER_SOURCES),$(CPU_SOURCES)) $(CUDA_ALL_SOURCES) $(TIER_SOURCES))

# ---- CUDA ----------------------------------------------------------------------------------------
# Off by CUDA=0, or where there is no nvcc.
NVCC := $(firstword $(if $(CUDA_HOME),$(wildcard $(CUDA_HOME)/bin/nvcc)) $(shell command -v nvcc 2>/dev/null) \
  $(wildcard /usr/local/cuda/bin/nvcc))
ifeq ($(CUDA),0)
  CUDA_LEFT_OUT := CUDA=0 was given
else ifeq ($(NVCC),)
  CUDA_LEFT_OUT := no nvcc on PATH, in CUDA_HOME or in /usr/local/cuda
else ifneq ($(CUDA_SOURCES),)
  CUDA_VERSION := $(shell $(NVCC) --version < /dev/null | sed -n 's/.*release \([0-9]*\)\..*/\1/p')
  ifneq ($(CUDA_VERSION),13)
    CUDA_LEFT_OUT := $(NVCC) is of CUDA $(CUDA_VERSION), and CUDA 13 is needed
  endif
endif

ifeq ($(CUDA_LEFT_OUT),)
ifneq ($(CUDA_SOURCES),)
  CUDA_ALL_SOURCES := $(CUDA_SOURCES) $(CUDA_HOST_SOURCES)
  WITH_CUDA := -DSVDIT_WITH_CUDA=1
  # Where nvcc keeps its headers and libraries, in its own words.
  NVCC_SAYS := $(shell $(NVCC) --dryrun probe.cu 2>&1 < /dev/null | sed -n 's/^\#$$ \(INCLUDES\|LIBRARIES\)=//p' | tr -d '"')
  CUDA_INCLUDES := $(patsubst -I%,-isystem %,$(filter -I%,$(NVCC_SAYS)))
  CUDA_LIBRARIES := $(filter -L%,$(NVCC_SAYS)) -lcudart_static -ldl -lrt -lpthread
  # Machine code for the architectures each file is written for; *_sm80 and *_sm90 name theirs.
  cuda_arch = $(if $(filter %_sm90.cu,$1),-gencode arch=compute_90a$(,)code=sm_90a,$(if $(filter \
    %_sm80.cu,$1),-gencode arch=compute_80$(,)code=[sm_80$(,)compute_80],-gencode \
    arch=compute_80$(,)code=[sm_80$(,)compute_80] -gencode arch=compute_90$(,)code=sm_90))
  NVCC_FLAGS := -std=c++20 -O3 --expt-relaxed-constexpr -Xcompiler \
    -fPIC$(,)-fvisibility=hidden$(,)-Wall$(,)-Wextra -Werror all-warnings $(WITH_CUDA) \
    -Inative/include -Inative
endif
endif

# ---- rules ---------------------------------------------------------------------------------------
# Flags that changed (another compiler, CUDA come or gone) rebuild everything; kept in a file to compare with.
FLAGS_NOW := $(CXX) $(CXX_COMMON) $(SANITIZE) $(WITH_CUDA) $(LDFLAGS) $(NVCC) $(NVCC_FLAGS) $(OBJECTS)
$(NATIVE)/flags: FORCE
	@mkdir -p $(@D); echo '$(FLAGS_NOW)' | cmp -s - $@ || echo '$(FLAGS_NOW)' > $@
FORCE:

# Only the .cpp files that mention SVDIT_WITH_CUDA, and the tests, are told of it.
CUDA_AWARE := $(shell grep -l SVDIT_WITH_CUDA $(CPU_SOURCES) /dev/null)
compile = $(CXX) $(CXX_COMMON) $(SANITIZE) $(if $(filter $(TIER_SOURCES),$<),$(call tier_flags,$<)) $(if $(filter native/api/library.cpp,$<),$(API_FLAGS)) \
  $(if $(findstring native/cuda/,$<),$(CUDA_INCLUDES)) -MMD -MP -c $< -o $@

$(NATIVE)/obj/%.cpp.o: native/%.cpp $(NATIVE)/flags native/native.mk
	@mkdir -p $(@D)
	$(Q)$(compile) $(if $(filter $(CUDA_AWARE) native/cuda/% native/test/%,$<),$(WITH_CUDA))

$(NATIVE)/obj-cpu/%.cpp.o: native/%.cpp $(NATIVE)/flags native/native.mk
	@mkdir -p $(@D)
	$(Q)$(compile)

# Kept intermediate files have names of their own; others are named after the process, and end up in the object. For
# the same reason there is no -lineinfo: it writes this folder's path into the kernels.
$(NATIVE)/obj/%.cu.o: native/%.cu $(NATIVE)/flags native/native.mk
	@mkdir -p $(@D)/keep
	$(Q)$(NVCC) $(NVCC_FLAGS) -Xptxas -v $(call cuda_arch,$<) --keep --keep-dir $(@D)/keep -MMD -MP -MF $(@:.o=.d) -c $< -o $@ < /dev/null \
	  2> $(@:.o=.ptxas) || { cat $(@:.o=.ptxas) >&2; false; }

# The hash names the header's text, so the file that carries it follows the header even where it need not.
$(NATIVE)/obj/api/library.cpp.o $(NATIVE)/obj-cpu/api/library.cpp.o: native/include/svdit.h

# nodelete, because class loaders share it and worker threads run in it.
link = $(CXX) -shared -pthread $(SANITIZE) -Wl,--version-script=native/api/libsvdit.map \
  -Wl,-soname,libsvdit.so -Wl,-z,defs -Wl,-z,relro -Wl,-z,now -Wl,-z,nodelete -Wl,--gc-sections -Wl,--build-id=sha1 $(LDFLAGS)

$(LIBRARY): $(OBJECTS) native/api/libsvdit.map
	@mkdir -p $(@D)
	$(Q)$(link) $(OBJECTS) $(CUDA_LIBRARIES) -ldl -o $@
	@$(if $(CUDA_LEFT_OUT),echo 'The CUDA backend is left out: $(CUDA_LEFT_OUT).')
	@$(if $(WITH_CUDA),,rm -rf $(NATIVE)/jars/linux-x86_64-cuda13 target/sparse-vdit-$(VERSION)-linux-x86_64-cuda13.jar)

# What the jars of native code carry: a library without CUDA, and one with it where it was built. Each platform has
# a folder of its own, so that an application may have both jars.
jar_library = $(NATIVE)/jars/$1/io/github/sparsevdit/native/$1/libsvdit.so
JAR_LIBRARIES := $(call jar_library,linux-x86_64)
ifneq ($(WITH_CUDA),)
JAR_LIBRARIES += $(call jar_library,linux-x86_64-cuda13)
CPU_OBJECTS = $(patsubst $(NATIVE)/obj/%,$(NATIVE)/obj-cpu/%,$(call object,$(CUDA_AWARE)))
CPU_ONLY_OBJECTS = $(filter-out $(call object,$(CUDA_AWARE) $(CUDA_ALL_SOURCES)),$(OBJECTS))

$(call jar_library,linux-x86_64): $(CPU_OBJECTS) $(CPU_ONLY_OBJECTS) native/api/libsvdit.map
	@mkdir -p $(@D)
	$(Q)$(link) $(CPU_OBJECTS) $(CPU_ONLY_OBJECTS) -ldl -o $@
endif
$(lastword $(JAR_LIBRARIES)): $(LIBRARY)
	@mkdir -p $(@D) && cp $< $@

# Tests see the library's insides, so they link its objects and not the shared library.
TESTS := $(patsubst native/test/%.cpp,$(NATIVE)/test/%,$(TEST_SOURCES))
BENCHES := $(patsubst native/test/%.cpp,$(NATIVE)/test/%,$(BENCH_SOURCES))
$(TESTS) $(BENCHES): $(NATIVE)/test/%: $(NATIVE)/obj/test/%.cpp.o $(call object,$(TEST_COMMON)) $(OBJECTS)
	@mkdir -p $(@D)
	$(Q)$(CXX) -pthread $(SANITIZE) $^ $(LDFLAGS) $(CUDA_LIBRARIES) -ldl -o $@

# What allocation_test multiplies with.
$(NATIVE)/test/allocation_test: | $(NATIVE)/test/libdnnl-standin.so
$(NATIVE)/test/libdnnl-standin.so: native/test/dnnl/standin.cpp $(NATIVE)/flags
	@mkdir -p $(@D)
	$(Q)$(CXX) $(CXX_COMMON) -shared $< -o $@

# The double-precision reference has one thread and takes most of the time, so it is not slowed down more.
$(NATIVE)/obj/test/reference.cpp.o: override SANITIZE :=

# What the kernels take of a multiprocessor, against the checked-in table; how the machine code of those for compute
# capability 9.0 is ordered; that the latter check notices what it is for.
.PHONY: cuda-resources cuda-sass cuda-sass-test
cuda-resources: $(call object,$(CUDA_SOURCES))
	@native/cuda/check_resources.sh native/cuda/resources.txt $(patsubst %.o,%.ptxas,$^)
cuda-sass: $(call object,$(filter %_sm90.cu,$(CUDA_SOURCES)))
	@CUOBJDUMP='$(or $(wildcard $(dir $(NVCC))cuobjdump),$(shell command -v cuobjdump))' \
	  native/cuda/check_sass.sh $(foreach object,$^,$(dir $(object))keep/$(basename $(basename $(notdir $(object)))).cubin)
cuda-sass-test:
	@native/cuda/check_sass_test.sh $(NVCC) $(filter-out -Werror all-warnings,$(NVCC_FLAGS)) $(call cuda_arch,any_sm90.cu) < /dev/null

include native/sim/sim.mk
include native/test/device/gpu.mk

# Says which processor and CPU tiers are tested and which are not. Then runs every test, as many at a time as there are
# processors; one line each, the whole output of those that fail.
.PHONY: native-test
native-test: $(TESTS) $(SIM_TESTS) $(if $(WITH_CUDA),cuda-resources cuda-sass cuda-sass-test)
	@tools/native-layers
	@$(NATIVE)/test/tiers_test --say
	@printf '%s\n' $(TESTS) $(SIM_TESTS) | xargs -P $(or $(JOBS),$(shell nproc)) -n 1 tools/run-test

# Times the kernels on random data; nothing else should run meanwhile.
.PHONY: native-bench
native-bench: $(BENCHES)
	@for bench in $(BENCHES); do $$bench || exit 1; done

-include $(patsubst %.o,%.d,$(OBJECTS) $(CPU_OBJECTS) $(call object,$(TEST_SOURCES) $(BENCH_SOURCES) $(TEST_COMMON)))

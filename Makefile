# Builds the native library with make and the rest with Maven, on a JDK that is new enough. `make help` lists the targets.

VERSION := 0.1.0
MAKEFLAGS += --no-print-directory
ifeq ($(MAKELEVEL),0)
  MAKEFLAGS += -j$(or $(JOBS),$(shell nproc))
endif
SHELL := /bin/bash
, := ,
# V=1 shows the compiler's command lines.
Q = $(if $(filter 1,$(V)),,@echo "  $(@:target/native/%=%)";)
ifeq ($(filter command line environment,$(origin CXX)),)
  CXX := g++
endif

.DEFAULT_GOAL := all
.PHONY: all
include native/native.mk

JAR := target/sparse-vdit-$(VERSION).jar
JAVA_SOURCES := $(shell find src/main src/natives bindings src/test/resources/cases -type f 2>/dev/null)

MVN := tools/mvn $(MVN_ARGS)
export JAVA_HOME

all: $(JAR_LIBRARIES) $(JAR) bin/svdit ## library, jar, bin/svdit

.PHONY: native
native: $(JAR_LIBRARIES) ## the native library alone

$(JAR): pom.xml $(JAR_LIBRARIES) $(JAVA_SOURCES)
	@$(MVN) package -DskipTests
	@touch $@

bin/svdit: tools/svdit.sh tools/find-jdk.sh Makefile
	@mkdir -p bin
	@{ echo '#!/bin/sh'; cat tools/find-jdk.sh; sed 's/@VERSION@/$(VERSION)/g' tools/svdit.sh; } > $@.new
	@chmod +x $@.new && mv $@.new $@

.PHONY: test
test: native-test $(JAR_LIBRARIES) $(SIM_LIBRARY) bin/svdit ## builds all; native tests, then every JUnit test (TEST=Name, CASES=folder)
	@$(MVN) package $(if $(TEST),-Dtest='$(TEST)' -Dsurefire.failIfNoSpecifiedTests=false) \
	  $(if $(CASES),-Dsvdit.cases='$(abspath $(CASES))')

# Jazzer fuzzes one test a run. What it finds lands among the kept inputs, as crash-*, and fails `make test` from then on.
FUZZERS := DispatchTableFuzzTest\#tables SafetensorsFuzzTest\#files SafetensorsFuzzTest\#headers
.PHONY: fuzz
fuzz: $(JAR_LIBRARIES) ## coverage-guided fuzzing of tables and safetensors, a minute each (`make test` replays the kept inputs)
	@for fuzzer in $(FUZZERS); do echo "$$fuzzer"; JAZZER_FUZZ=1 $(MVN) test -Dtest="$$fuzzer" || exit 1; done

# Each fault takes a JVM of its own, so this is not part of `make test`.
.PHONY: planted
planted: $(JAR_LIBRARIES) $(SIM_LIBRARY) bin/svdit ## faults planted in copies of the Java classes that work asynchronously: the tests must find them
	@SVDIT_PLANTED=1 $(MVN) package -Dtest=PlantedFaultsTest -Dsurefire.failIfNoSpecifiedTests=false

.PHONY: run
run: all ## builds all; searches, generates and compares videos with the checkpoint in calibration/, into out/
	@bin/svdit demo --out out

.PHONY: bindings
bindings: ## regenerates bindings/ from svdit.h (needs jextract: JEXTRACT=/path/to/jextract)
	@bindings/generate.sh

.PHONY: javadoc install
javadoc: $(JAR_LIBRARIES) ## sources and Javadoc jars beside the others, in target/
	@$(MVN) package -Prelease -DskipTests
install: $(JAR_LIBRARIES) ## the jars into the local Maven repository
	@$(MVN) install -DskipTests

.PHONY: newcomer
newcomer: install ## a small project outside this one, on the installed artifacts: class path and module path
	@tools/newcomer

.PHONY: jmh
jmh: $(JAR_LIBRARIES) ## benchmarks, this library's and its peers': ratios here, JSON in out/jmh.json (QUICK=1; ONLY='Dense Call')
	@$(MVN) test -Pjmh
	@tools/jmh out/jmh.json $(if $(QUICK),quick) $(ONLY)

.PHONY: reproducible
reproducible: ## builds the committed tree twice and compares the artifacts
	@tools/reproducible

# Both build apart from the plain library, without CUDA and its simulator (always under the former). Addresses are not randomised: gcc 12's ThreadSanitizer cannot
# place its shadow memory where the kernel randomises more bits than it knows.
SANITIZED := $(MAKE) CUDA=0 SIM_TESTS= native-test
.PHONY: sanitize
sanitize: ## native tests under AddressSanitizer with UBSan, then under ThreadSanitizer
	@echo 'AddressSanitizer and UndefinedBehaviorSanitizer'
	+@UBSAN_OPTIONS=print_stacktrace=1 $(SANITIZED) NATIVE=target/native-asan SANITIZE='$(SANITIZE_COMMON) \
	  -fsanitize=address,undefined -fno-sanitize-recover=all'
	@echo 'ThreadSanitizer'
	+@TSAN_OPTIONS=halt_on_error=1 setarch -R $(SANITIZED) NATIVE=target/native-tsan SANITIZE='$(SANITIZE_COMMON) \
	  -fsanitize=thread'
# The sanitizers' instrumentation makes gcc warn of what it cannot follow, so warnings are no errors here.
SANITIZE_COMMON := -O1 -g1 -fno-omit-frame-pointer -Wno-error

FORMATTED := $(shell find native -name '*.cpp' -o -name '*.h' -o -name '*.hpp' -o -name '*.cu' -o -name '*.cuh')
CLANG_FORMAT ?= $(firstword $(shell command -v clang-format))

.PHONY: lint lint-java lint-native format
lint: lint-native lint-java ## checks the formatting of Java and C++
lint-native:
	@if test -n "$(CLANG_FORMAT)"; then $(CLANG_FORMAT) --dry-run -Werror $(FORMATTED); \
	  else echo 'clang-format is not installed: the C++ formatting was not checked.'; fi
lint-java:
	@$(MVN) spotless:check
format: ## formats Java and C++
	@if test -n "$(CLANG_FORMAT)"; then $(CLANG_FORMAT) -i $(FORMATTED); \
	  else echo 'clang-format is not installed: the C++ was not formatted.'; fi
	@$(MVN) spotless:apply

.PHONY: clean help
clean: ## removes what was built (out/ stays)
	@rm -rf target bin
help: ## this list
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

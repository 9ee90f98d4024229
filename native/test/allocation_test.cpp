// Memory that runs out, one allocation after the other: whichever fails, and on whichever thread,
// the call says so and everything goes on. The program's operator new is one that fails when told.
#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <new>
#include <thread>

#include "test/cases.h"
#include "test/sweep_cases.h"

namespace {

std::atomic<int64_t> left_until_failure{-1};  // allocations; -1: none fails

void *allocate(size_t bytes) {
  if (left_until_failure >= 0 && left_until_failure.fetch_sub(1) == 0) throw std::bad_alloc();
  void *memory = std::malloc(bytes == 0 ? 1 : bytes);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

void *operator new(size_t bytes) { return allocate(bytes); }
void *operator new[](size_t bytes) { return allocate(bytes); }
// What can do without (std::stable_sort's buffer) asks so, and is not made to fail.
void *operator new(size_t bytes, const std::nothrow_t &) noexcept { return std::malloc(bytes); }
void operator delete(void *memory) noexcept { std::free(memory); }
void operator delete[](void *memory) noexcept { std::free(memory); }
void operator delete(void *memory, size_t) noexcept { std::free(memory); }
void operator delete[](void *memory, size_t) noexcept { std::free(memory); }

using namespace svdit::test;

namespace {

// Calls call(error) once for each allocation it makes, failing that one; then once more, unharmed.
// prepare() comes before each. Returns how many failed.
template <class Prepare, class Call>
int64_t fail_each(Prepare &&prepare, Call &&call) {
  for (int64_t nth = 0;; ++nth) {
    prepare();
    svdit_error error = new_error();
    svdit_status status = SVDIT_OK;
    bool failed = false;
    // A thread of its own has kept no memory from calls before.
    std::thread([&] {
      left_until_failure = nth;
      status = call(&error);
      failed = left_until_failure.exchange(-1) < 0;
    }).join();
    EXPECT(status == (failed ? SVDIT_OUT_OF_MEMORY : SVDIT_OK), "allocation %lld: status %d, %s",
           (long long)nth, status, error.message);
    expect_ok(call);
    if (!failed || status != SVDIT_OUT_OF_MEMORY) return nth;
  }
}

svdit_matrix matrix(std::vector<float> &values, int64_t rows, int64_t columns, uint32_t type) {
  svdit_matrix m{};
  m.data = values.data();
  m.extent_bytes = values.size() * sizeof(float);
  m.rows = rows;
  m.columns = m.row_stride = columns;
  m.element_type = type;
  return m;
}

void test_linear(uint32_t type, int64_t at_least) {
  report.run("products of type " + std::to_string(type) + ", each allocation failing", [&] {
    const std::string library =
        std::filesystem::read_symlink("/proc/self/exe").parent_path() / "libdnnl-standin.so";
    const int64_t rows = 600, columns = 40, outputs = 700;
    std::vector<float> x(rows * columns), weight(outputs * columns), bias(outputs);
    std::vector<float> y(rows * outputs);
    svdit_linear_args args{};
    args.struct_bytes = sizeof args;
    args.activation = SVDIT_ACTIVATION_SILU;
    args.x = matrix(x, rows, columns, type);
    args.weight = matrix(weight, outputs, columns, type);
    args.bias = matrix(bias, 1, outputs, type);
    args.y = matrix(y, rows, outputs, type);
    svdit_backend *backend = nullptr;
    const int64_t failed = fail_each(
        [&] {
          svdit_backend_close(backend);
          backend = open_cpu(SVDIT_CPU_TIER_AUTO, 4);
          expect_ok(
              [&](svdit_error *e) { return svdit_matmul_library(backend, library.c_str(), e); });
        },
        [&](svdit_error *e) { return svdit_linear(backend, &args, nullptr, e); });
    svdit_backend_close(backend);
    EXPECT(failed >= at_least, "only %lld allocations failed", (long long)failed);
  });
}

void test_open() {
  report.run("opening a backend of 4 threads, each allocation failing", [] {
    svdit_backend_options options{};
    options.struct_bytes = sizeof options;
    options.threads = 4;
    const int64_t failed = fail_each([] {},
                                     [&](svdit_error *e) {
                                       svdit_backend *backend = nullptr;
                                       const svdit_status status =
                                           svdit_backend_open(&options, &backend, e);
                                       svdit_backend_close(backend);
                                       return status;
                                     });
    EXPECT(failed >= 5, "only %lld allocations failed", (long long)failed);
  });
}

// Every call of a plan, made anew each time: its compilation, attention of a type, a sweep.
void test_plan(uint32_t type, int64_t at_least) {
  report.run(
      "a plan of type " + std::to_string(type) + " and its attention, each allocation failing",
      [&] {
        Random random(3);
        TestCase c = random_case(random);
        c.type = type;
        c.batch = 70;  // text_valid of more rows than fit on the stack
        c.head_dim = 40;
        c.text_valid.assign(c.batch, c.key_text());
        const TestData data(c, random, Strides::kBatchHeadToken);
        const PlanDesc desc(c);
        svdit_backend *backend = nullptr;
        svdit_plan *plan = nullptr;
        const auto reopen = [&] {
          svdit_plan_destroy(plan);
          plan = nullptr;
          svdit_backend_close(backend);
          backend = open_cpu(SVDIT_CPU_TIER_AUTO, 4);
        };
        const auto create = [&](svdit_error *e) {
          svdit_plan_destroy(plan);
          plan = nullptr;
          return svdit_plan_create(backend, &desc.desc, &plan, e);
        };
        const int64_t compiled = fail_each(reopen, create);
        EXPECT(compiled >= 5, "only %lld allocations of a plan", (long long)compiled);
        const TestWorkspace workspace(plan, c.batch);
        const int64_t failed = fail_each(
            [&] {
              reopen();
              expect_ok(create);
            },
            [&](svdit_error *e) {
              const svdit_attention_args args = workspace.in(data.args(c));
              return svdit_attention(plan, &args, nullptr, e);
            });
        EXPECT(failed >= at_least, "only %lld allocations failed", (long long)failed);
        svdit_plan_destroy(plan);
        svdit_backend_close(backend);
      });
}

void test_sweep() {
  report.run("a sweep, each allocation failing", [] {
    Random random(4);
    const SweepCase s = random_sweep(random, random_case(random));
    const SweepData data(s, random, Strides::kBatchHeadToken);
    const PlanDesc desc(s.c);
    svdit_backend *backend = nullptr;
    svdit_plan *plan = nullptr;
    const int64_t failed = fail_each(
        [&] {
          svdit_plan_destroy(plan);
          svdit_backend_close(backend);
          backend = open_cpu(SVDIT_CPU_TIER_AUTO, 4);
          expect_ok(
              [&](svdit_error *e) { return svdit_plan_create(backend, &desc.desc, &plan, e); });
        },
        [&](svdit_error *e) {
          const svdit_sweep_args args = data.args();
          return svdit_sweep(plan, &args, nullptr, e);
        });
    data.expect_matches();
    svdit_plan_destroy(plan);
    svdit_backend_close(backend);
    EXPECT(failed >= 2, "only %lld allocations failed", (long long)failed);
  });
}

// What the entry for it fails for is given back.
void test_memory() {
  report.run("memory whose entry cannot be made", [] {
    svdit_backend *backend = open_cpu(SVDIT_CPU_TIER_AUTO, 1);
    constexpr uint64_t kBytes = uint64_t{64} << 20;  // mapped by itself, so it can be seen
    const size_t before = mallinfo2().hblkhd;
    int64_t failed = 0;
    for (bool done = false; !done;) {
      void *memory = nullptr;
      svdit_error error = new_error();
      left_until_failure = failed;
      const svdit_status status =
          svdit_memory_allocate(backend, SVDIT_MEMORY_HOST, kBytes, &memory, &error);
      done = left_until_failure.exchange(-1) >= 0;
      if (done) {
        EXPECT(status == SVDIT_OK, "%s", error.message);
        EXPECT(mallinfo2().hblkhd > before + kBytes / 2, "64 MB are not seen");
        expect_ok([&](svdit_error *e) {
          return svdit_memory_free(backend, SVDIT_MEMORY_HOST, memory, e);
        });
      } else {
        ++failed;
        EXPECT(status == SVDIT_OUT_OF_MEMORY && memory == nullptr, "status %d", status);
      }
      EXPECT(mallinfo2().hblkhd == before, "%zu bytes are lost", mallinfo2().hblkhd - before);
    }
    EXPECT(failed >= 1, "only %lld allocations failed", (long long)failed);
    svdit_backend_close(backend);
  });
}

}  // namespace

int main() {
  test_open();
  test_memory();
  test_plan(SVDIT_FP32, 1);
  test_plan(SVDIT_E4M3, 1);
  test_sweep();
  test_linear(SVDIT_FP32, 5);
  test_linear(SVDIT_BF16, 5);  // of fp32 copies
  return report.finish();
}

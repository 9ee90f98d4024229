// The rest of the CUDA backend on a real GPU through the C ABI: events, memory, misuse, what cannot
// be had. usage: gpu_runtime_test
#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "test/device/on_device.h"
#include "test/reference.h"

using namespace svdit::test;

namespace {

// What one stream writes another reads once it has waited for the event.
void test_events() {
  report.run("an event orders two streams and tells the time", [&] {
    constexpr size_t kBytes = 1 << 20;
    Device first(kBytes), second(kBytes);
    svdit_stream a = nullptr, b = nullptr;
    svdit_event begin = nullptr, end = nullptr;
    for (svdit_stream *s : {&a, &b}) {
      expect_ok([&](svdit_error *e) { return svdit_stream_create(backend, s, e); });
    }
    for (svdit_event *event : {&begin, &end}) {
      expect_ok([&](svdit_error *e) { return svdit_event_create(backend, event, e); });
    }
    for (int round = 0; round < 8; ++round) {
      expect_ok([&](svdit_error *e) { return svdit_event_record(backend, begin, a, e); });
      good(cudaMemsetAsync(first.data(), round, kBytes, (cudaStream_t)a), "memset");
      expect_ok([&](svdit_error *e) { return svdit_event_record(backend, end, a, e); });
      expect_ok([&](svdit_error *e) { return svdit_stream_wait(backend, b, end, e); });
      expect_ok([&](svdit_error *e) {
        return svdit_memory_copy(backend, second.data(), first.data(), kBytes, b, e);
      });
      expect_ok([&](svdit_error *e) { return svdit_stream_synchronize(backend, b, e); });
      std::vector<char> back(kBytes);
      second.to(back.data());
      EXPECT(std::count(back.begin(), back.end(), (char)round) == (long)kBytes, "round %d", round);
      int32_t done = 0;
      float ms = -1;
      expect_ok([&](svdit_error *e) { return svdit_event_query(backend, end, &done, e); });
      expect_ok([&](svdit_error *e) { return svdit_event_elapsed(backend, begin, end, &ms, e); });
      EXPECT(done == 1 && ms > 0 && ms < 1000, "done %d after %g ms", done, ms);
    }
    for (svdit_event event : {begin, end}) {
      expect_ok([&](svdit_error *e) { return svdit_event_destroy(backend, event, e); });
    }
    for (svdit_stream s : {a, b}) {
      expect_ok([&](svdit_error *e) { return svdit_stream_destroy(backend, s, e); });
    }
  });
}

void test_runtime() {
  report.run("misuse is refused, memory goes back and forth", [&] {
    TestCase c = prompt_case(50);
    Random random(3);
    const TestData data(c, random, Strides::kBatchTokenHead);
    OnDevice device(c, data);
    const Planned planned(c);
    planned.use(device.args);
    svdit_attention_args args = device.args;
    args.k.data = (char *)args.k.data + 8;
    args.k.extent_bytes += 8;
    expect_status(
        SVDIT_INVALID_ARGUMENT,
        [&](svdit_error *e) { return svdit_attention(planned.plan, &args, nullptr, e); }, "k:");
    args = device.args;
    args.workspace = nullptr;
    expect_status(
        SVDIT_INVALID_ARGUMENT,
        [&](svdit_error *e) { return svdit_attention(planned.plan, &args, nullptr, e); },
        "workspace");
    c.type = SVDIT_FP32;
    const PlanDesc desc(c);
    svdit_plan *plan = nullptr;
    expect_status(
        SVDIT_UNSUPPORTED,
        [&](svdit_error *e) { return svdit_plan_create(backend, &desc.desc, &plan, e); },
        "element_type");
    void *huge = nullptr;
    expect_status(
        SVDIT_OUT_OF_MEMORY,
        [&](svdit_error *e) {
          return svdit_memory_allocate(backend, SVDIT_MEMORY_DEVICE, (uint64_t)1 << 50, &huge, e);
        },
        "allocating device memory");
    EXPECT(cudaGetLastError() == cudaSuccess,
           "an error of the library's shows in the caller's next call");
    void *pinned = nullptr, *memory = nullptr;
    std::vector<char> bytes(1000), back(1000);
    for (char &b : bytes) b = (char)random.bits();
    expect_ok([&](svdit_error *e) {
      return svdit_memory_allocate(backend, SVDIT_MEMORY_HOST, 1000, &pinned, e);
    });
    expect_ok([&](svdit_error *e) {
      return svdit_memory_allocate(backend, SVDIT_MEMORY_DEVICE, 1000, &memory, e);
    });
    EXPECT((uintptr_t)pinned % 256 == 0 && (uintptr_t)memory % 256 == 0);
    std::memcpy(pinned, bytes.data(), 1000);
    expect_ok([&](svdit_error *e) {
      return svdit_memory_copy(backend, memory, pinned, 1000, nullptr, e);
    });
    expect_ok([&](svdit_error *e) {
      return svdit_memory_copy(backend, back.data(), memory, 1000, nullptr, e);
    });
    expect_ok([&](svdit_error *e) { return svdit_stream_synchronize(backend, nullptr, e); });
    EXPECT(back == bytes);
    svdit_memory_free(backend, SVDIT_MEMORY_HOST, pinned, nullptr);
    svdit_memory_free(backend, SVDIT_MEMORY_DEVICE, memory, nullptr);
  });
}

// SVDIT_CUDA_KERNELS names a family of attention kernels; what it cannot be is refused by name.
void test_families() {
  report.run("a family of kernels that is not there is refused", [&] {
    const char *before = std::getenv("SVDIT_CUDA_KERNELS");
    const std::string kept = before == nullptr ? "" : before;
    svdit_backend_info info{};
    info.struct_bytes = sizeof info;
    expect_ok([&](svdit_error *e) { return svdit_backend_describe(backend, &info, e); });
    const TestCase c = prompt_case(1);
    const PlanDesc desc(c);
    const auto create = [&](svdit_error *e) {
      svdit_plan *plan = nullptr;
      const svdit_status status = svdit_plan_create(backend, &desc.desc, &plan, e);
      svdit_plan_destroy(plan);
      return status;
    };
    setenv("SVDIT_CUDA_KERNELS", "sm70", 1);
    expect_status(SVDIT_INVALID_ARGUMENT, create, "SVDIT_CUDA_KERNELS is sm70");
    setenv("SVDIT_CUDA_KERNELS", "sm80", 1);
    expect_ok(create);
    setenv("SVDIT_CUDA_KERNELS", "sm90", 1);
    if (info.compute_capability == 90) {
      expect_ok(create);
    } else {
      expect_status(SVDIT_UNSUPPORTED, create, "SVDIT_CUDA_KERNELS is sm90");
    }
    if (before == nullptr) {
      unsetenv("SVDIT_CUDA_KERNELS");
    } else {
      setenv("SVDIT_CUDA_KERNELS", kept.c_str(), 1);
    }
  });
}

}  // namespace

int main() {
  if (!open_cuda()) return 1;
  test_events();
  test_runtime();
  test_families();
  svdit_backend_close(backend);
  return report.finish();
}

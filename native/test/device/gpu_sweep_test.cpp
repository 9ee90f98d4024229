// The CUDA backend's sweep through the C ABI, on a real GPU or on the simulated device: random
// sweeps against the double-precision definition and against the CPU backend's on the same numbers,
// the same bits again, misuse. usage: gpu_sweep_test [SEED [COUNT]]
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "test/sweep_cases.h"

using namespace svdit::test;

namespace {

svdit_backend *cpu = nullptr, *gpu = nullptr;
svdit_stream stream = nullptr;

// A copy on the device.
class Device {
 public:
  explicit Device(uint64_t bytes, const void *host = nullptr) {
    expect_ok([&](svdit_error *e) {
      return svdit_memory_allocate(gpu, SVDIT_MEMORY_DEVICE, bytes > 0 ? bytes : 1, &data, e);
    });
    if (host != nullptr) {
      expect_ok(
          [&](svdit_error *e) { return svdit_memory_copy(gpu, data, host, bytes, stream, e); });
    }
  }
  ~Device() { svdit_memory_free(gpu, SVDIT_MEMORY_DEVICE, data, nullptr); }
  Device(const Device &) = delete;
  void *data = nullptr;
};

class Planned {
 public:
  Planned(svdit_backend *backend, const TestCase &c) {
    const PlanDesc desc(c);
    expect_ok([&](svdit_error *e) { return svdit_plan_create(backend, &desc.desc, &plan, e); });
  }
  ~Planned() { svdit_plan_destroy(plan); }
  svdit_plan *plan = nullptr;
};

// A case's tensors on the device, and the workspace its sweep asks for.
class OnDevice {
 public:
  OnDevice(const SweepData &data, const svdit_plan *plan) : args(data.args()) {
    for (svdit_tensor *t : {&args.q, &args.k, &args.v}) {
      tensors_.push_back(std::make_unique<Device>(t->extent_bytes, t->data));
      t->data = tensors_.back()->data;
    }
    expect_ok([&](svdit_error *e) {
      return svdit_sweep_workspace(plan, &args, &args.workspace_bytes, e);
    });
    EXPECT(args.workspace_bytes > 0);
    tensors_.push_back(std::make_unique<Device>(args.workspace_bytes));
    args.workspace = tensors_.back()->data;
  }
  svdit_sweep_args args;

 private:
  std::vector<std::unique_ptr<Device>> tensors_;
};

SweepCase random_case_of(Random &random, bool small) {
  TestCase c;
  c.type = random.chance(0.5) ? SVDIT_BF16 : SVDIT_FP16;
  c.head_dim = random.chance(0.5) ? 64 : 128;
  c.block = random.chance(0.5) ? 64 : 128;
  c.frames = (int32_t)random.between(2, small ? 4 : 9);
  c.height = (int32_t)random.between(2, small ? 8 : 14);
  c.width = (int32_t)random.between(2, small ? 9 : 15);
  if (random.chance(0.7)) {
    c.text = (int32_t)random.between(1, 150);
    c.text_first = random.chance(0.5);
  }
  if (random.chance(0.3)) c.scale = 0.3f * random.normal();
  return random_sweep(random, c);
}

void expect_near(const std::vector<double> &got, const std::vector<double> &expected,
                 const std::vector<double> &norm, double unit, const char *what) {
  const size_t each = expected.size() / norm.size();
  for (size_t i = 0; i < got.size(); ++i) {
    const double room = unit * (std::fabs(expected[i]) + norm[i / each]);
    EXPECT(std::fabs(got[i] - expected[i]) <= room, "%s[%d] is %g, the CPU's %g", what, (int)i,
           got[i], expected[i]);
  }
}

void test_random_sweeps(uint64_t seed, int count, bool small) {
  const Strides strides[] = {Strides::kBatchHeadToken, Strides::kBatchTokenHead,
                             Strides::kAlignedGaps};
  for (int i = 0; i < count; ++i, ++seed) {
    Random random(seed * 7919);  // neighbouring seeds begin alike
    const SweepCase s = random_case_of(random, small);
    report.run("seed " + std::to_string(seed) + ": " + s.c.describe(), [&] {
      const SweepData data(s, random, strides[random.between(0, 2)]);
      const Planned on_cpu(cpu, s.c), on_gpu(gpu, s.c);
      const svdit_sweep_args host = data.args();
      expect_ok([&](svdit_error *e) { return svdit_sweep(on_cpu.plan, &host, nullptr, e); });
      const SweepData::Results of_cpu = data.got;
      const OnDevice device(data, on_gpu.plan);
      expect_ok([&](svdit_error *e) { return svdit_sweep(on_gpu.plan, &device.args, stream, e); });
      data.expect_matches();
      const double unit = s.c.type == SVDIT_FP16 ? 2e-3 : 1e-2;
      expect_near(data.got.error, of_cpu.error, of_cpu.norm, unit, "error");
      expect_near(data.got.norm, of_cpu.norm, of_cpu.norm, unit, "norm");
      const SweepData::Results first = data.got;
      expect_ok([&](svdit_error *e) { return svdit_sweep(on_gpu.plan, &device.args, stream, e); });
      EXPECT(data.got == first, "other bits the second time");
    });
  }
}

// The sweep of an E4M3 plan is that of bf16, to the bit.
void test_e4m3() {
  report.run("an E4M3 plan sweeps as one of bf16 does", [] {
    Random random(11);
    SweepCase s = random_case_of(random, true);
    s.c.type = SVDIT_BF16;
    const SweepData data(s, random, Strides::kBatchTokenHead);
    SweepData::Results got[2];
    for (const uint32_t type : {SVDIT_BF16, SVDIT_E4M3}) {
      TestCase c = s.c;
      c.type = type;
      const Planned planned(gpu, c);
      const OnDevice device(data, planned.plan);
      expect_ok([&](svdit_error *e) { return svdit_sweep(planned.plan, &device.args, stream, e); });
      data.expect_matches();
      got[type == SVDIT_E4M3] = data.got;
    }
    EXPECT(got[0] == got[1], "other bits");
  });
}

void test_misuse() {
  report.run("misuse", [&] {
    Random random(1);
    SweepCase s;
    s.c.type = SVDIT_BF16;
    s.c.width = 100;
    s.c.text = 5;
    s.c.patterns.resize(1);
    s.head_end = 1;
    s.query_blocks = {0};
    const SweepData data(s, random, Strides::kBatchHeadToken);
    const Planned planned(gpu, s.c);
    const OnDevice device(data, planned.plan);
    const auto refused = [&](svdit_status status, const char *word, auto change) {
      svdit_sweep_args args = device.args;
      change(args);
      expect_status(
          status, [&](svdit_error *e) { return svdit_sweep(planned.plan, &args, stream, e); },
          word);
    };
    refused(SVDIT_INVALID_ARGUMENT, "workspace_bytes", [](auto &a) { --a.workspace_bytes; });
    refused(SVDIT_INVALID_ARGUMENT, "workspace_bytes", [](auto &a) { a.workspace = nullptr; });
    refused(SVDIT_INVALID_ARGUMENT, "workspace",
            [](auto &a) { a.workspace = (char *)a.workspace + 8; });
    refused(SVDIT_INVALID_ARGUMENT, "q: the address",
            [](auto &a) { a.q.data = (char *)a.q.data + 8; });
    static const int32_t too_many[] = {6};
    refused(SVDIT_INVALID_ARGUMENT, "text_valid[0] is 6", [](auto &a) { a.text_valid = too_many; });
  });
}

}  // namespace

int main(int count, char **arguments) {
  svdit_backend_options options{};
  options.struct_bytes = sizeof options;
  options.kind = SVDIT_BACKEND_CUDA;
  svdit_error error = new_error();
  if (svdit_backend_open(&options, &gpu, &error) != SVDIT_OK) {
    std::printf("no CUDA backend: %s\n", error.message);
    return 1;
  }
  cpu = open_cpu(SVDIT_CPU_TIER_AUTO, 2);
  expect_ok([&](svdit_error *e) { return svdit_stream_create(gpu, &stream, e); });
  svdit_backend_info info{};
  info.struct_bytes = sizeof info;
  expect_ok([&](svdit_error *e) { return svdit_backend_describe(gpu, &info, e); });
  const bool small = std::strncmp(info.name, "Simulated", 9) == 0;
  test_random_sweeps(count > 1 ? std::strtoull(arguments[1], nullptr, 10) : 300,
                     count > 2 ? std::atoi(arguments[2])
                     : small   ? 6
                               : 60,
                     small);
  const char *kernels = std::getenv("SVDIT_CUDA_KERNELS");
  if (info.compute_capability == 90 && (kernels == nullptr || kernels == std::string("sm90"))) {
    test_e4m3();
  }
  test_misuse();
  expect_ok([&](svdit_error *e) { return svdit_stream_destroy(gpu, stream, e); });
  svdit_backend_close(cpu);
  svdit_backend_close(gpu);
  return report.finish();
}

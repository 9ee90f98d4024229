// The CUDA backend on a real GPU through the C ABI: fixtures, random shapes against the
// double-precision definition, graph capture, streams, misuse. usage: gpu_test [--small] [SEED
// [COUNT]]; --small is for compute-sanitizer, and what the simulated device (native/sim/cudart)
// gets anyway.
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "test/cases.h"
#include "test/fixture.h"
#include "test/reference.h"

using namespace svdit::test;

namespace {

svdit_backend *backend = nullptr;

bool good(cudaError_t code, const char *what) {
  if (code != cudaSuccess) report.fail("%s: %s", what, cudaGetErrorString(code));
  return code == cudaSuccess;
}

// Device memory of the backend, poisoned.
class Device {
 public:
  explicit Device(uint64_t bytes) : bytes_(bytes) {
    expect_ok([&](svdit_error *e) {
      return svdit_memory_allocate(backend, SVDIT_MEMORY_DEVICE, bytes_ > 0 ? bytes_ : 1, &data_,
                                   e);
    });
    good(cudaMemset(data_, 0xff, bytes_), "cudaMemset");
  }
  ~Device() { svdit_memory_free(backend, SVDIT_MEMORY_DEVICE, data_, nullptr); }
  Device(const Device &) = delete;
  void from(const void *host) {
    good(cudaMemcpy(data_, host, bytes_, cudaMemcpyHostToDevice), "copy in");
  }
  void to(void *host) const {
    good(cudaMemcpy(host, data_, bytes_, cudaMemcpyDeviceToHost), "copy out");
  }
  void *data() const { return data_; }

 private:
  uint64_t bytes_;
  void *data_ = nullptr;
};

// A case's tensors on the device; the host's copies are TestData's.
struct OnDevice {
  OnDevice(const TestCase &c, const TestData &host)
      : c(c),
        host(host),
        args(host.args(c)),
        q(args.q.extent_bytes),
        k(args.k.extent_bytes),
        v(args.v.extent_bytes),
        out(args.out.extent_bytes),
        lse(args.lse_bytes),
        valid(c.text_valid.size() * 4) {
    q.from(args.q.data);
    k.from(args.k.data);
    v.from(args.v.data);
    if (!c.text_valid.empty()) valid.from(c.text_valid.data());
    args.q.data = q.data();
    args.k.data = k.data();
    args.v.data = v.data();
    args.out.data = out.data();
    args.lse = (float *)lse.data();
    if (!c.text_valid.empty()) args.text_valid = (const int32_t *)valid.data();
  }
  void fetch() const {
    good(cudaDeviceSynchronize(), "attention");
    out.to(host.out.tensor().data);
    lse.to(host.lse_bytes.data());
  }

  const TestCase &c;
  const TestData &host;
  svdit_attention_args args;
  Device q, k, v, out, lse, valid;
};

class Planned {
 public:
  explicit Planned(const TestCase &c) {
    const PlanDesc desc(c);
    expect_ok([&](svdit_error *e) { return svdit_plan_create(backend, &desc.desc, &plan, e); });
    uint64_t bytes = 0;
    expect_ok([&](svdit_error *e) { return svdit_plan_workspace(plan, c.batch, &bytes, e); });
    workspace = std::make_unique<Device>(bytes);
    workspace_bytes = bytes;
  }
  ~Planned() { svdit_plan_destroy(plan); }
  void use(svdit_attention_args &args) const {
    args.workspace = workspace->data();
    args.workspace_bytes = workspace_bytes;
  }
  svdit_plan *plan = nullptr;
  std::unique_ptr<Device> workspace;
  uint64_t workspace_bytes = 0;
};

void attend(const TestCase &c, const TestData &data) {
  OnDevice device(c, data);
  const Planned planned(c);
  planned.use(device.args);
  expect_ok(
      [&](svdit_error *e) { return svdit_attention(planned.plan, &device.args, nullptr, e); });
  device.fetch();
}

TestCase random_sequence(Random &random, bool small) {
  TestCase c;
  c.type = random.chance(0.5) ? SVDIT_BF16 : SVDIT_FP16;
  c.head_dim = random.chance(0.5) ? 64 : 128;
  c.block = random.chance(0.5) ? 64 : 128;
  c.batch = (int32_t)random.between(1, 2);
  c.frames = (int32_t)random.between(1, small ? 4 : 9);
  c.height = (int32_t)random.between(1, small ? 8 : 14);
  c.width = (int32_t)random.between(1, small ? 9 : 15);
  if (random.chance(0.7)) {
    c.text = (int32_t)random.between(1, 150);
    c.text_first = random.chance(0.5);
    if (random.chance(0.7)) {
      for (int32_t b = 0; b < c.batch; ++b)
        c.text_valid.push_back((int32_t)random.between(0, c.text));
    }
  }
  if (random.chance(0.2)) c.scale = 0.3f * random.normal();
  const int32_t heads = (int32_t)random.between(1, 4);
  for (int32_t h = 0; h < heads; ++h) {
    c.patterns.push_back(random_pattern(random, c, (uint32_t)random.between(0, SVDIT_MODE_BLOCKS)));
  }
  return c;
}

void test_random_shapes(uint64_t seed, int count, bool small) {
  const Strides strides[] = {Strides::kBatchHeadToken, Strides::kBatchTokenHead,
                             Strides::kAlignedGaps};
  for (int i = 0; i < count; ++i, ++seed) {
    Random random(seed);
    const TestCase c = random_sequence(random, small);
    const Strides chosen = strides[random.between(0, 2)];
    report.run("seed " + std::to_string(seed) + ": " + c.describe(), [&] {
      const TestData data(c, random, chosen);
      attend(c, data);
      expect_matches(c, data);
    });
  }
}

void test_fixtures(const std::string &folder) {
  int used = 0;
  for (const std::string &path : fixture_paths(folder)) {
    const Fixture fixture(path);
    const TestCase &c = fixture.test_case;
    if ((c.block != 64 && c.block != 128) || (c.head_dim != 64 && c.head_dim != 128)) continue;
    ++used;
    report.run("fixture " + path, [&] {
      Random random(1);
      const TestData data(c, random, Strides::kBatchTokenHead);
      fixture.fill(data);
      attend(c, data);
      fixture.expect_matches(data);
    });
  }
  report.run("fixtures in " + folder, [&] { EXPECT(used >= 8, "%d usable", used); });
}

TestCase prompt_case(int32_t valid) {
  TestCase c;
  c.type = SVDIT_BF16;
  c.head_dim = 64;
  c.block = 64;
  c.frames = 4;
  c.height = 6;
  c.width = 9;
  c.text = 50;
  c.text_valid = {valid};
  Random random(8);
  for (uint32_t mode :
       {SVDIT_MODE_FULL, SVDIT_MODE_SKIP, SVDIT_MODE_DIAGONAL, SVDIT_MODE_MULTI_DIAGONAL}) {
    c.patterns.push_back(random_pattern(random, c, mode));
  }
  return c;
}

// A layer captured once serves other prompts: text_valid is read when the graph runs.
void test_graph() {
  report.run("a captured layer serves another prompt", [&] {
    TestCase c = prompt_case(50);
    Random random(3);
    const TestData data(c, random, Strides::kBatchTokenHead);
    OnDevice device(c, data);
    const Planned planned(c);
    planned.use(device.args);
    svdit_stream stream = nullptr;
    expect_ok([&](svdit_error *e) { return svdit_stream_create(backend, &stream, e); });
    auto *queue = (cudaStream_t)stream;
    svdit_graph *graph = nullptr;
    expect_ok([&](svdit_error *e) { return svdit_capture_begin(backend, stream, e); });
    expect_ok(
        [&](svdit_error *e) { return svdit_attention(planned.plan, &device.args, stream, e); });
    void *meanwhile = nullptr;  // memory comes and goes during a capture
    expect_ok([&](svdit_error *e) {
      return svdit_memory_allocate(backend, SVDIT_MEMORY_DEVICE, 100, &meanwhile, e);
    });
    expect_ok([&](svdit_error *e) {
      return svdit_memory_free(backend, SVDIT_MEMORY_DEVICE, meanwhile, e);
    });
    expect_ok([&](svdit_error *e) { return svdit_capture_end(backend, stream, &graph, e); });
    if (graph == nullptr) return;
    for (const int32_t valid : {50, 7, 0, 33}) {
      c.text_valid = {valid};
      device.valid.from(&valid);
      good(cudaMemsetAsync(device.out.data(), 0xff, device.args.out.extent_bytes, queue), "poison");
      expect_ok([&](svdit_error *e) { return svdit_graph_launch(graph, stream, e); });
      device.fetch();
      expect_matches(c, data);
    }
    svdit_graph_destroy(graph);
    // What may not be captured breaks the capture, not the device.
    expect_ok([&](svdit_error *e) { return svdit_capture_begin(backend, stream, e); });
    expect_status(
        SVDIT_DEVICE_ERROR,
        [&](svdit_error *e) { return svdit_stream_synchronize(backend, stream, e); }, "captur");
    expect_ok([&](svdit_error *e) { return svdit_capture_end(backend, stream, nullptr, e); });
    expect_ok([&](svdit_error *e) { return svdit_stream_synchronize(backend, stream, e); });
    expect_ok([&](svdit_error *e) { return svdit_stream_destroy(backend, stream, e); });
  });
}

// One plan on four streams with a workspace each.
void test_streams() {
  report.run("one plan on four streams", [&] {
    const TestCase c = prompt_case(21);
    std::vector<std::unique_ptr<TestData>> data;
    std::vector<std::unique_ptr<OnDevice>> device;
    std::vector<std::unique_ptr<Planned>> planned;
    std::vector<svdit_stream> streams(4);
    for (int i = 0; i < 4; ++i) {
      Random random(40 + i);
      data.push_back(std::make_unique<TestData>(c, random, Strides::kBatchTokenHead));
      device.push_back(std::make_unique<OnDevice>(c, *data[i]));
      planned.push_back(std::make_unique<Planned>(c));
      planned[i]->use(device[i]->args);
      expect_ok([&](svdit_error *e) { return svdit_stream_create(backend, &streams[i], e); });
    }
    for (int round = 0; round < 20; ++round) {
      for (int i = 0; i < 4; ++i) {
        expect_ok([&](svdit_error *e) {
          return svdit_attention(planned[0]->plan, &device[i]->args, streams[i], e);
        });
      }
    }
    for (int i = 0; i < 4; ++i) {
      device[i]->fetch();
      expect_matches(c, *data[i]);
      expect_ok([&](svdit_error *e) { return svdit_stream_destroy(backend, streams[i], e); });
    }
  });
}

// One launch over all heads, or one a group: the same bytes. Which is faster is measured.
void test_launches() {
  report.run("one launch and a launch a group give the same bytes", [&] {
    TestCase c = prompt_case(33);
    Random random(12);
    for (uint32_t mode : {SVDIT_MODE_DIAGONAL, SVDIT_MODE_BLOCKS, SVDIT_MODE_SKIP}) {
      c.patterns.push_back(random_pattern(random, c, mode));
    }
    const TestData data(c, random, Strides::kBatchTokenHead);
    OnDevice device(c, data);
    const Planned planned(c);
    planned.use(device.args);
    std::vector<char> bytes[2];
    const svdit_tensor out = data.out.tensor();
    for (const uint32_t launches : {SVDIT_LAUNCHES_TOGETHER, SVDIT_LAUNCHES_APART}) {
      device.args.launches = launches;
      good(cudaMemset(device.out.data(), 0xff, out.extent_bytes), "poison");
      expect_ok(
          [&](svdit_error *e) { return svdit_attention(planned.plan, &device.args, nullptr, e); });
      device.fetch();
      expect_matches(c, data);
      bytes[launches - 1].assign((char *)out.data, (char *)out.data + out.extent_bytes);
    }
    EXPECT(bytes[0] == bytes[1]);
    float times[2] = {-1, -1};
    device.args.launches = SVDIT_LAUNCHES_CHOSEN;
    expect_ok([&](svdit_error *e) {
      return svdit_plan_tune(planned.plan, &device.args, nullptr, times, e);
    });
    EXPECT(times[0] > 0 && times[1] > 0, "%g and %g ms", times[0], times[1]);
    expect_ok(
        [&](svdit_error *e) { return svdit_attention(planned.plan, &device.args, nullptr, e); });
    device.fetch();
    expect_matches(c, data);
    device.args.launches = 3;
    expect_status(
        SVDIT_INVALID_ARGUMENT,
        [&](svdit_error *e) { return svdit_attention(planned.plan, &device.args, nullptr, e); },
        "launches is 3");
  });
}

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

int main(int count, char **arguments) {
  bool small = count > 1 && std::strcmp(arguments[1], "--small") == 0;
  if (small) --count, ++arguments;
  svdit_backend_options options{};
  options.struct_bytes = sizeof options;
  options.kind = SVDIT_BACKEND_CUDA;
  svdit_error error = new_error();
  if (svdit_backend_open(&options, &backend, &error) != SVDIT_OK) {
    std::printf("no CUDA backend: %s\n", error.message);
    return 1;
  }
  svdit_backend_info info{};
  info.struct_bytes = sizeof info;
  expect_ok([&](svdit_error *e) { return svdit_backend_describe(backend, &info, e); });
  small = small || std::strncmp(info.name, "Simulated", 9) == 0;
  const char *cases = std::getenv("SVDIT_CASES");
  if (!small) test_fixtures(cases ? cases : "src/test/resources/cases/attention");
  test_random_shapes(count > 1 ? std::strtoull(arguments[1], nullptr, 10) : 9000,
                     count > 2 ? std::atoi(arguments[2])
                     : small   ? 6
                               : 200,
                     small);
  test_graph();
  test_streams();
  test_events();
  test_launches();
  test_runtime();
  test_families();
  svdit_backend_close(backend);
  return report.finish();
}

// Attention of the CUDA backend on a real GPU through the C ABI: fixtures, random shapes against
// the double-precision definition, graph capture, streams; in E4M3 too where the device has it.
// usage: gpu_test [--small] [SEED [COUNT]]; --small is for compute-sanitizer, and what the
// simulated device (native/sim/cudart) gets anyway.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "test/device/on_device.h"
#include "test/fixture.h"
#include "test/quantised.h"
#include "test/reference.h"

using namespace svdit::test;

namespace {

// Whether plans are also made of E4M3: the device multiplies it, and SVDIT_CUDA_KERNELS leaves it.
bool has_e4m3 = false;

TestCase random_sequence(Random &random, bool small, bool e4m3) {
  TestCase c;
  c.type = random.chance(0.5) ? SVDIT_BF16 : SVDIT_FP16;
  if (e4m3) c.type = SVDIT_E4M3;
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

void test_random_shapes(uint64_t seed, int count, bool small, bool e4m3) {
  const Strides strides[] = {Strides::kBatchHeadToken, Strides::kBatchTokenHead,
                             Strides::kAlignedGaps};
  for (int i = 0; i < count; ++i, ++seed) {
    Random random(seed);
    const TestCase c = random_sequence(random, small, e4m3);
    const Strides chosen = strides[random.between(0, 2)];
    report.run("seed " + std::to_string(seed) + ": " + c.describe(), [&] {
      const TestData data(c, random, chosen);
      attend(c, data);
      expect_matches(c, data);
    });
  }
}

// A fixture as it is, and in E4M3; then with both types' distance from float64.
void test_fixture(Fixture &fixture, const std::string &path) {
  TestCase &c = fixture.test_case;
  OutputError errors[2];
  const uint32_t types[] = {SVDIT_BF16, SVDIT_E4M3};
  report.run("fixture " + path, [&] {
    Random random(1);
    const TestData data(c, random, Strides::kBatchTokenHead);
    fixture.fill(data);
    attend(c, data);
    fixture.expect_matches(data);
  });
  if (!has_e4m3) return;
  report.run("fixture " + path + " in E4M3", [&] {
    for (int i = 0; i < 2; ++i) {
      c.type = types[i];
      Random random(1);
      const TestData data(c, random, Strides::kBatchTokenHead);
      fixture.fill(data);
      attend(c, data);
      fixture.expect_matches(data);
      errors[i] = output_error(c, data);
    }
  });
  std::printf("      relative RMS error of bf16 %.5f, of e4m3 %.5f\n", errors[0].relative_rms,
              errors[1].relative_rms);
}

void test_fixtures(const std::string &folder) {
  int used = 0;
  for (const std::string &path : fixture_paths(folder)) {
    Fixture fixture(path);
    const TestCase &c = fixture.test_case;
    if ((c.block != 64 && c.block != 128) || (c.head_dim != 64 && c.head_dim != 128)) continue;
    ++used;
    test_fixture(fixture, path);
  }
  report.run("fixtures in " + folder, [&] { EXPECT(used >= 8, "%d usable", used); });
}

std::string in_type(const char *name, uint32_t type) {
  return type == SVDIT_E4M3 ? std::string(name) + " in E4M3" : name;
}

// A layer captured once serves other prompts: text_valid is read when the graph runs.
void test_graph(uint32_t type) {
  report.run(in_type("a captured layer serves another prompt", type), [&] {
    TestCase c = prompt_case(50, type);
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
void test_streams(uint32_t type, int rounds) {
  report.run(in_type("one plan on four streams", type), [&] {
    const TestCase c = prompt_case(21, type);
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
    for (int round = 0; round < rounds; ++round) {
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
void test_launches(uint32_t type) {
  report.run(in_type("one launch and a launch a group give the same bytes", type), [&] {
    TestCase c = prompt_case(33, type);
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
    // Of a part of the heads, the others' rows are not touched.
    device.args.head_begin = 1;
    device.args.head_end = 2;
    good(cudaMemset(device.out.data(), 0xff, out.extent_bytes), "poison");
    expect_ok([&](svdit_error *e) {
      return svdit_plan_tune(planned.plan, &device.args, nullptr, times, e);
    });
    device.fetch();
    for (int32_t head = 0; head < c.heads(); ++head) {
      const bool written = !std::isnan(data.out.at(0, head, 0, 0));
      EXPECT(written == (head == 1), "head %d", head);
    }
    device.args.head_begin = device.args.head_end = 0;
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

// A call over a part of the heads and blocks rounds what it needs, wherever the workspace of the
// whole call has it.
void test_parts() {
  report.run("a layer in parts in E4M3", [&] {
    const TestCase c = prompt_case(33, SVDIT_E4M3);
    Random random(15);
    const TestData data(c, random, Strides::kAlignedGaps);
    OnDevice device(c, data);
    const Planned planned(c);
    planned.use(device.args);
    const int32_t blocks = c.video_blocks() + 1;  // one of text
    for (int32_t head = 0; head < c.heads(); head += 2) {
      for (int32_t block = 0; block < blocks; block += 2) {
        device.args.head_begin = head;
        device.args.head_end = std::min(head + 2, c.heads());
        device.args.query_block_begin = block;
        device.args.query_block_end = std::min(block + 2, blocks);
        good(cudaMemset(planned.workspace->data(), 0xff, planned.workspace_bytes), "poison");
        expect_ok([&](svdit_error *e) {
          return svdit_attention(planned.plan, &device.args, nullptr, e);
        });
      }
    }
    device.fetch();
    expect_matches(c, data);
  });
}

// Which tokens share a scale; a mistake there does not show in data of a usual spread.
void test_uneven() {
  for (const int32_t text : {0, 90}) {
    const TestCase c = uneven_case(text == 0 ? 128 : 64, text == 0 ? 64 : 128, text, true);
    report.run("uneven " + c.describe(), [&] {
      Random random(16);
      const TestData data(c, random, Strides::kAlignedGaps);
      make_uneven(c, data);
      attend(c, data);
      expect_matches(c, data);
    });
  }
}

// Where the device does not multiply e4m3, or SVDIT_CUDA_KERNELS forbids it, that is said.
void test_no_e4m3() {
  report.run("E4M3 is refused by name", [&] {
    const TestCase c = prompt_case(1, SVDIT_E4M3);
    const PlanDesc desc(c);
    svdit_plan *plan = nullptr;
    expect_status(
        SVDIT_UNSUPPORTED,
        [&](svdit_error *e) { return svdit_plan_create(backend, &desc.desc, &plan, e); }, "E4M3",
        "9.0");
  });
}

}  // namespace

int main(int count, char **arguments) {
  bool small = count > 1 && std::strcmp(arguments[1], "--small") == 0;
  if (small) --count, ++arguments;
  if (!open_cuda()) return 1;
  svdit_backend_info info{};
  info.struct_bytes = sizeof info;
  expect_ok([&](svdit_error *e) { return svdit_backend_describe(backend, &info, e); });
  const bool simulated = std::strncmp(info.name, "Simulated", 9) == 0;
  small = small || simulated;
  if (!simulated) e4m3_lse_bound = 1e-3;  // 2^-10: a score of a few such sums
  const char *kernels = std::getenv("SVDIT_CUDA_KERNELS");
  has_e4m3 =
      info.compute_capability == 90 && (kernels == nullptr || kernels == std::string("sm90"));
  const char *cases = std::getenv("SVDIT_CASES");
  if (!small || cases) test_fixtures(cases ? cases : "src/test/resources/cases/attention");
  const uint64_t seed = count > 1 ? std::strtoull(arguments[1], nullptr, 10) : 9000;
  const int shapes = count > 2 ? std::atoi(arguments[2]) : small ? 6 : 200;
  test_random_shapes(seed, shapes, small, false);
  test_graph(SVDIT_BF16);
  test_streams(SVDIT_BF16, 20);
  test_launches(SVDIT_BF16);
  if (has_e4m3) {
    test_random_shapes(seed + 100000, small ? shapes / 3 : shapes, small, true);
    test_graph(SVDIT_E4M3);
    test_streams(SVDIT_E4M3, small ? 3 : 20);
    test_launches(SVDIT_E4M3);
    test_parts();
    test_uneven();
  } else {
    test_no_e4m3();
  }
  svdit_backend_close(backend);
  return report.finish();
}

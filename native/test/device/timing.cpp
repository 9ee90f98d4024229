// Times attention at the geometry of three models, one JSON line a measurement: the median, least
// and most of CUDA-event times, and TFLOP/s counted on visible (query, key) pairs. The families of
// kernels that the device runs, and E4M3, take turns, so that clocks and neighbours hit them alike;
// SVDIT_CUDA_KERNELS leaves one family. E4M3's time is that of the whole call, its pass that rounds
// q, k and v included; relative_rms is how far its output is from that of the same kernels in bf16.
// "nothing visible" is a call whose heads see no key: what is done beside attention, that is
// permuting, rounding and writing zeros. Text is left out: for timing the video decides. Inputs are
// random, never zeros. usage: timing [--brief] [--small] [--heads=N] [CASE ...]; CASE: hunyuan |
// wan14b | cogvideox. --brief measures a few only, with the newest kernels; --small cuts the sizes,
// to see that it runs; --heads leaves N heads, for a profiler that runs a kernel many times.
#include <cuda_runtime_api.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "test/cases.h"
#include "test/device/measure.h"

using namespace svdit::gpu;
using namespace svdit::test;

namespace {

struct Geometry {
  const char *name;
  int32_t frames, height, width, heads, head_dim;
};
constexpr Geometry kGeometry[] = {{"hunyuan", 33, 45, 80, 24, 128},
                                  {"wan14b", 21, 45, 80, 40, 128},
                                  {"cogvideox", 11, 48, 85, 48, 64}};
constexpr double kDensities[] = {0.1, 0.3};
constexpr int kStreams = 4;

svdit_backend *backend = nullptr;
bool brief = false, small = false;
int32_t most_heads = INT32_MAX;

// A family of attention kernels and what it computes in.
struct Variant {
  const char *name, *kernels;
  uint32_t type;
};
std::vector<Variant> variants;

// Normal numbers: a drawn piece, repeated with a prime length so that rows differ.
void *random_tensor(uint64_t elements, uint64_t seed) {
  constexpr uint64_t kPiece = 16777213;
  std::vector<uint16_t> piece(std::min(kPiece, elements));
  Random random(seed);
  for (uint16_t &x : piece) from_float(SVDIT_BF16, random.normal(), &x);
  char *device = nullptr;
  must(cudaMalloc((void **)&device, elements * 2), "cudaMalloc");
  for (uint64_t at = 0; at < elements; at += kPiece) {
    must(cudaMemcpy(device + at * 2, piece.data(), std::min(kPiece, elements - at) * 2,
                    cudaMemcpyHostToDevice),
         "cudaMemcpy");
  }
  return device;
}

TestPattern pattern_of(uint32_t mode, double density, const TestCase &c) {
  TestPattern pattern;
  pattern.mode = mode;
  if (mode == SVDIT_MODE_MULTI_DIAGONAL) pattern.order = SVDIT_ORDER_TOKEN_MAJOR;
  if (mode == SVDIT_MODE_DIAGONAL || mode == SVDIT_MODE_MULTI_DIAGONAL) {
    pattern.window = (int64_t)(density * c.video() / 2);
  } else if (mode == SVDIT_MODE_VERTICAL_STRIPE) {
    const int32_t stripes = std::max(1, (int32_t)std::lround(density * c.video_blocks()));
    for (int32_t i = 0; i < stripes; ++i) {
      pattern.blocks.push_back((int32_t)((int64_t)i * c.video_blocks() / stripes));
    }
  }
  return pattern;
}

// A plan for a case, of one variant, with what its calls need.
struct Layer {
  Layer(TestCase c, const svdit_attention_args &tensors, int workspaces, const Variant &variant)
      : variant(variant), args(tensors) {
    c.type = variant.type;
    const PlanDesc desc(c);
    setenv("SVDIT_CUDA_KERNELS", variant.kernels, 1);
    must([&](svdit_error *e) { return svdit_plan_create(backend, &desc.desc, &plan, e); });
    must([&](svdit_error *e) { return svdit_plan_workspace(plan, 1, &args.workspace_bytes, e); });
    for (int i = 0; i < workspaces; ++i) {
      workspace.push_back(nullptr);
      must(cudaMalloc(&workspace.back(), args.workspace_bytes), "cudaMalloc");
    }
    std::vector<double> densities(c.heads());
    must([&](svdit_error *e) { return svdit_plan_density(plan, -1, densities.data(), e); });
    for (double d : densities) density += d / c.heads();
    flop = 4.0 * c.heads() * c.video() * c.video() * c.head_dim * density;
  }
  ~Layer() {
    svdit_plan_destroy(plan);
    for (void *w : workspace) cudaFree(w);
  }
  void run(int slot, int32_t head_begin, int32_t head_end, cudaStream_t stream) {
    args.workspace = workspace[slot];
    args.head_begin = head_begin;
    args.head_end = head_end;
    must([&](svdit_error *e) { return svdit_attention(plan, &args, stream, e); });
  }
  const Variant variant;
  svdit_plan *plan = nullptr;
  std::vector<void *> workspace;
  svdit_attention_args args;
  double density = 0, flop = 0;
};

using Layers = std::vector<std::unique_ptr<Layer>>;
Layers layers_of(const TestCase &c, const svdit_attention_args &tensors, int workspaces) {
  Layers layers;
  for (const Variant &variant : variants) {
    layers.push_back(std::make_unique<Layer>(c, tensors, workspaces, variant));
  }
  return layers;
}

// What a layer gives for the first heads.
std::vector<uint16_t> output_of(Layer &layer, const TestCase &c,
                                const std::function<void(Layer &)> &run) {
  const int32_t heads = std::min(c.heads(), 3);
  std::vector<uint16_t> out((size_t)heads * c.video() * c.head_dim);
  must(cudaMemset(layer.args.out.data, 0xff, layer.args.out.extent_bytes), "cudaMemset");
  run(layer);
  must(cudaDeviceSynchronize(), "attention");
  must(cudaMemcpy(out.data(), layer.args.out.data, out.size() * 2, cudaMemcpyDeviceToHost),
       "cudaMemcpy");
  return out;
}

// The root of the mean squared difference, over that of the numbers themselves; NaN where any is.
double relative_rms(const std::vector<uint16_t> &numbers, const std::vector<uint16_t> &others) {
  const auto value = [](uint16_t bits) { return std::bit_cast<float>((uint32_t)bits << 16); };
  double difference = 0, size = 0;
  for (size_t i = 0; i < numbers.size(); ++i) {
    const double x = value(numbers[i]), y = value(others[i]);
    difference += (x - y) * (x - y);
    size += x * x;
  }
  return std::sqrt(difference / size);
}

void say(const Geometry &g, const TestCase &c, const char *what, double arg, const Layer &layer,
         const Times &t, double error) {
  std::printf(
      "{\"case\": \"%s\", \"who\": \"svdit %s\", \"type\": \"%s\", \"what\": \"%s\", \"arg\": %g, "
      "\"block\": %d, \"tokens\": %d, \"heads\": %d, \"dim\": %d, \"density\": %.4f, \"ms\": %.4f, "
      "\"least\": %.4f, \"most\": %.4f, \"tflops\": %.1f",
      g.name, layer.variant.name, layer.variant.type == SVDIT_E4M3 ? "e4m3" : "bf16", what, arg,
      c.block, c.video(), c.heads(), c.head_dim, layer.density, t.median, t.least, t.most,
      layer.flop / t.median / 1e9);
  if (std::isnan(error)) {
    std::printf(", \"relative_rms\": null");
  } else if (error >= 0) {
    std::printf(", \"relative_rms\": %.5f", error);
  }
  std::printf("}\n");
  std::fflush(stdout);
}

// Times what run does with the layer of each variant.
void measure(const Geometry &g, const TestCase &c, const char *what, double arg,
             const Layers &layers, cudaStream_t stream, const std::function<void(Layer &)> &run) {
  std::vector<std::function<void()>> works;
  for (const auto &layer : layers) works.push_back([&run, &layer] { run(*layer); });
  const std::vector<Times> times = time_ms(stream, works);
  for (size_t i = 0; i < layers.size(); ++i) {
    double error = -1;
    if (i > 0 && layers[i]->variant.type == SVDIT_E4M3 && layers[i]->density > 0) {
      error = relative_rms(output_of(*layers[i - 1], c, run), output_of(*layers[i], c, run));
    }
    say(g, c, what, arg, *layers[i], times[i], error);
  }
}

// A layer of mixed heads: in one launch, with a launch a group, as the plan chooses once it was
// tuned, and with a launch a head over four streams.
void time_mixed(const Geometry &g, TestCase c, const svdit_attention_args &tensors,
                cudaStream_t *streams) {
  c.patterns.clear();
  for (int32_t h = 0; h < g.heads; ++h) {
    const uint32_t modes[] = {SVDIT_MODE_FULL,           SVDIT_MODE_DIAGONAL,
                              SVDIT_MODE_MULTI_DIAGONAL, SVDIT_MODE_VERTICAL_STRIPE,
                              SVDIT_MODE_SKIP,           SVDIT_MODE_DIAGONAL};
    c.patterns.push_back(pattern_of(modes[h % 6], kDensities[h / 6 % 2], c));
  }
  const Layers layers = layers_of(c, tensors, kStreams);
  const struct {
    uint32_t launches;
    const char *name;
  } ways[] = {{SVDIT_LAUNCHES_TOGETHER, "mixed, one launch"},
              {SVDIT_LAUNCHES_APART, "mixed, a launch a group"},
              {SVDIT_LAUNCHES_CHOSEN, "mixed, as tuned"}};
  for (const auto &layer : layers) {
    layer->args.workspace = layer->workspace[0];
    must([&](svdit_error *e) {
      return svdit_plan_tune(layer->plan, &layer->args, streams[0], nullptr, e);
    });
  }
  for (const auto &[launches, name] : ways) {
    measure(g, c, name, 0, layers, streams[0], [&, rule = launches](Layer &layer) {
      layer.args.launches = rule;
      layer.run(0, 0, g.heads, streams[0]);
    });
  }
  cudaEvent_t fork, join[kStreams];
  must(cudaEventCreateWithFlags(&fork, cudaEventDisableTiming), "event");
  for (cudaEvent_t &e : join) must(cudaEventCreateWithFlags(&e, cudaEventDisableTiming), "event");
  measure(g, c, "mixed, a launch a head, four streams", 0, layers, streams[0], [&](Layer &layer) {
    must(cudaEventRecord(fork, streams[0]), "fork");
    for (int s = 1; s < kStreams; ++s) must(cudaStreamWaitEvent(streams[s], fork, 0), "fork");
    for (int32_t h = 0; h < g.heads; ++h) layer.run(h % kStreams, h, h + 1, streams[h % kStreams]);
    for (int s = 1; s < kStreams; ++s) {
      must(cudaEventRecord(join[s], streams[s]), "join");
      must(cudaStreamWaitEvent(streams[0], join[s], 0), "join");
    }
  });
}

// The search's pass over 32 query blocks of every head, with ten windows, a projection and mass.
// All variants have the same.
void time_sweep(const Geometry &g, TestCase c, const svdit_attention_args &tensors,
                cudaStream_t stream) {
  constexpr int32_t kWindows = 10;
  const int32_t sampled = std::min(32, c.video_blocks());
  c.patterns.assign(g.heads, TestPattern{});
  const Layer layer(c, tensors, 0, variants.front());
  std::vector<int32_t> query_blocks;
  std::vector<int64_t> stops;
  for (int32_t i = 0; i < sampled; ++i) {
    query_blocks.push_back((int32_t)((int64_t)i * c.video_blocks() / sampled));
  }
  for (int32_t i = 0; i < kWindows; ++i) stops.push_back((int64_t)i * c.video() / (2 * kWindows));
  const size_t results = (size_t)g.heads * sampled;
  std::vector<float> gram((size_t)g.heads * c.head_dim * c.head_dim);
  Random random(9);
  for (float &x : gram) x = random.normal();
  std::vector<double> error(results * kWindows), norm(results), mass(results * c.video_blocks());
  svdit_sweep_args args{};
  args.struct_bytes = sizeof args;
  args.batch = 1;
  args.q = tensors.q;
  args.k = tensors.k;
  args.v = tensors.v;
  args.rule = SVDIT_SWEEP_DISTANCE;
  args.query_block_count = sampled;
  args.query_blocks = query_blocks.data();
  args.stop_count = kWindows;
  args.stops = stops.data();
  args.gram = gram.data();
  args.error = error.data();
  args.norm = norm.data();
  args.mass = mass.data();
  for (const uint32_t order : {SVDIT_ORDER_FRAME_MAJOR, SVDIT_ORDER_TOKEN_MAJOR}) {
    args.order = order;
    must([&](svdit_error *e) {
      return svdit_sweep_workspace(layer.plan, &args, &args.workspace_bytes, e);
    });
    must(cudaMalloc(&args.workspace, args.workspace_bytes), "cudaMalloc");
    const Times t =
        time_ms(stream, {[&] {
                  must([&](svdit_error *e) { return svdit_sweep(layer.plan, &args, stream, e); });
                }})[0];
    const double flop = 4.0 * results * c.block * c.video() * c.head_dim;
    std::printf(
        "{\"case\": \"%s\", \"who\": \"svdit sm80\", \"what\": \"sweep, %s\", \"block\": %d, "
        "\"tokens\": %d, \"heads\": %d, \"dim\": %d, \"query_blocks\": %d, \"windows\": %d, "
        "\"workspace\": %llu, \"ms\": %.4f, \"least\": %.4f, \"most\": %.4f, \"tflops\": %.1f}\n",
        g.name, order == SVDIT_ORDER_FRAME_MAJOR ? "frame-major" : "token-major", c.block,
        c.video(), c.heads(), c.head_dim, sampled, kWindows,
        (unsigned long long)args.workspace_bytes, t.median, t.least, t.most, flop / t.median / 1e9);
    std::fflush(stdout);
    must(cudaFree(args.workspace), "cudaFree");
  }
}

void time_geometry(const Geometry &g, cudaStream_t *streams) {
  TestCase c;
  c.type = SVDIT_BF16;
  c.frames = g.frames;
  c.height = g.height;
  c.width = g.width;
  c.head_dim = g.head_dim;
  const uint64_t elements = (uint64_t)g.heads * c.video() * g.head_dim;
  svdit_attention_args args{};
  args.struct_bytes = sizeof args;
  args.batch = 1;
  uint64_t seed = 1;
  for (svdit_tensor *t : {&args.q, &args.k, &args.v, &args.out}) {
    *t = {random_tensor(elements, seed++), elements * 2, (int64_t)elements,
          (int64_t)c.video() * g.head_dim, g.head_dim};
  }
  const struct {
    uint32_t mode;
    const char *name;
  } modes[] = {{SVDIT_MODE_DIAGONAL, "diagonal"},
               {SVDIT_MODE_MULTI_DIAGONAL, "multi-diagonal"},
               {SVDIT_MODE_VERTICAL_STRIPE, "vertical-stripe"}};
  for (const int32_t block : {128, 64}) {
    c.block = block;
    const auto alike = [&](const TestPattern &pattern, const char *name, double arg) {
      c.patterns.assign(g.heads, pattern);
      measure(g, c, name, arg, layers_of(c, args, 1), streams[0],
              [&](Layer &layer) { layer.run(0, 0, g.heads, streams[0]); });
    };
    alike(TestPattern{}, "full", 1);
    if (brief) {
      alike(pattern_of(SVDIT_MODE_DIAGONAL, kDensities[0], c), "diagonal", kDensities[0]);
      continue;
    }
    for (const double density : kDensities) {
      for (const auto &[mode, name] : modes) alike(pattern_of(mode, density, c), name, density);
    }
    time_mixed(g, c, args, streams);
    TestPattern nothing;
    nothing.mode = SVDIT_MODE_BLOCKS;
    nothing.lists.resize(c.video_blocks());
    alike(nothing, "nothing visible", 0);
    nothing.order = SVDIT_ORDER_TOKEN_MAJOR;
    alike(nothing, "nothing visible, token-major", 0);
    time_sweep(g, c, args, streams[0]);
    alike(TestPattern{}, "full, again", 1);  // the spread between the two is noise
  }
  for (const svdit_tensor *t : {&args.q, &args.k, &args.v, &args.out}) cudaFree(t->data);
}

// What the device runs of what SVDIT_CUDA_KERNELS names, or of all. A variant that cannot even make
// a plan is reported and left out.
void choose_variants(int32_t capability) {
  const char *named = std::getenv("SVDIT_CUDA_KERNELS");
  const std::string wanted = named == nullptr ? "" : named;
  TestCase c;
  c.width = 256;
  c.patterns.resize(1);
  for (const Variant &variant : {Variant{"sm80", "sm80", SVDIT_BF16},
                                 {"sm90", "sm90", SVDIT_BF16},
                                 {"sm90 e4m3", "sm90", SVDIT_E4M3}}) {
    if (!wanted.empty() && wanted != variant.kernels) continue;
    if (capability != 90 && variant.kernels == std::string("sm90")) continue;
    if (brief && wanted.empty() && capability == 90 && variant.kernels == std::string("sm80")) {
      continue;
    }
    c.type = variant.type;
    const PlanDesc desc(c);
    svdit_plan *plan = nullptr;
    svdit_error error = new_error();
    setenv("SVDIT_CUDA_KERNELS", variant.kernels, 1);
    if (svdit_plan_create(backend, &desc.desc, &plan, &error) == SVDIT_OK) {
      variants.push_back(variant);
    } else {
      std::printf("{\"who\": \"svdit %s\", \"error\": \"%s\"}\n", variant.name, error.message);
    }
    svdit_plan_destroy(plan);
  }
}

}  // namespace

int main(int count, char **arguments) {
  std::vector<std::string> wanted;
  for (int i = 1; i < count; ++i) {
    if (std::strcmp(arguments[i], "--brief") == 0) {
      brief = true;
    } else if (std::strcmp(arguments[i], "--small") == 0) {
      small = true;
    } else if (std::strncmp(arguments[i], "--heads=", 8) == 0) {
      most_heads = std::max(1, std::atoi(arguments[i] + 8));
    } else {
      wanted.push_back(arguments[i]);
    }
  }
  svdit_backend_options options{};
  options.struct_bytes = sizeof options;
  options.kind = SVDIT_BACKEND_CUDA;
  must([&](svdit_error *e) { return svdit_backend_open(&options, &backend, e); });
  svdit_backend_info info{};
  info.struct_bytes = sizeof info;
  must([&](svdit_error *e) { return svdit_backend_describe(backend, &info, e); });
  choose_variants(info.compute_capability);
  if (variants.empty()) return 1;
  cudaStream_t streams[kStreams];
  for (cudaStream_t &stream : streams) must(cudaStreamCreate(&stream), "cudaStreamCreate");
  for (Geometry g : kGeometry) {
    if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), g.name) == wanted.end()) {
      continue;
    }
    if (small) g = {g.name, 2, 11, 8, 6, g.head_dim};
    g.heads = std::min(g.heads, most_heads);
    time_geometry(g, streams);
  }
  svdit_backend_close(backend);
  return 0;
}

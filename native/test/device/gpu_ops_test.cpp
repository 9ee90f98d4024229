// A denoiser's other operations of the CUDA backend through the C ABI, on a real GPU or on the
// simulated device: against the CPU backend's, and products against double arithmetic; in a
// captured graph; misuse. Products need cuBLASLt 13, which SVDIT_CUBLASLT may name; where there is
// none the test says so and fails.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "test/cases.h"

using namespace svdit::test;

namespace {

svdit_backend *cpu = nullptr, *gpu = nullptr;
svdit_stream stream = nullptr;

constexpr uint32_t kTypes[] = {SVDIT_BF16, SVDIT_FP16, SVDIT_FP32};

const char *name_of(uint32_t type) {
  return type == SVDIT_BF16 ? "bf16" : type == SVDIT_FP16 ? "fp16" : "fp32";
}

template <class Args>
Args new_args() {
  Args args{};
  args.struct_bytes = sizeof args;
  return args;
}

void copy(void *to, const void *from, uint64_t bytes) {
  expect_ok([&](svdit_error *e) { return svdit_memory_copy(gpu, to, from, bytes, stream, e); });
}
void synchronize() {
  expect_ok([&](svdit_error *e) { return svdit_stream_synchronize(gpu, stream, e); });
}

// The same matrix in host memory, twice, and on the device: what the CPU makes of it, what it was,
// and what the GPU makes of it.
class Both {
 public:
  Both(uint32_t type, int64_t rows, int64_t columns, int64_t gap = 0, int64_t first = 0)
      : type(type), rows(rows), columns(columns), stride(columns + gap), first_(first) {
    host.resize((size_t)((rows * stride + first) * element_bytes(type)));
    expect_ok([&](svdit_error *e) {
      return svdit_memory_allocate(gpu, SVDIT_MEMORY_DEVICE, host.size(), &device, e);
    });
  }
  ~Both() { svdit_memory_free(gpu, SVDIT_MEMORY_DEVICE, device, nullptr); }
  Both(const Both &) = delete;
  Both &fill(Random &random, float deviation = 1) {
    for (int64_t i = 0; i < rows * stride + first_; ++i)
      from_float(type, 0.1f + deviation * random.normal(),
                 &host[(size_t)(i * element_bytes(type))]);
    return upload();
  }
  Both &upload() {
    copy(device, host.data(), host.size());
    return *this;
  }
  void fetch() {
    fetched.resize(host.size());
    copy(fetched.data(), device, host.size());
    synchronize();
  }
  svdit_matrix of(void *base, int64_t begin, int64_t end) const {
    svdit_matrix m{};
    m.data = (char *)base + (first_ + begin * stride) * element_bytes(type);
    m.extent_bytes = (uint64_t)(((end - begin - 1) * stride + columns) * element_bytes(type));
    m.rows = end - begin;
    m.columns = columns;
    m.row_stride = stride;
    m.element_type = type;
    return m;
  }
  svdit_matrix on(bool device_side, int64_t begin = 0, int64_t end = -1) {
    return of(device_side ? device : host.data(), begin, end < 0 ? rows : end);
  }
  double at(const std::vector<char> &bytes, int64_t row, int64_t column) const {
    return to_double(type,
                     &bytes[(size_t)((first_ + row * stride + column) * element_bytes(type))]);
  }
  // Every byte outside of the matrix as the CPU left it, every element within slack of it.
  void expect_same(const char *what, double relative) {
    fetch();
    const double unit = type == SVDIT_FP32 ? 0 : type == SVDIT_BF16 ? 0x1p-7 : 0x1p-10;
    for (int64_t i = 0; i < rows * stride + first_; ++i) {
      const int64_t within = i - first_;
      const size_t offset = (size_t)(i * element_bytes(type));
      if (within < 0 || within % stride >= columns) {
        EXPECT(std::memcmp(&host[offset], &fetched[offset], (size_t)element_bytes(type)) == 0,
               "%s: the gap at element %lld was written", what, (long long)i);
        continue;
      }
      const double want = to_double(type, &host[offset]), got = to_double(type, &fetched[offset]);
      if (std::fabs(got - want) <= (relative + unit) * (std::fabs(want) + 1)) continue;
      report.fail("%s [%lld, %lld] is %.9g, the CPU's %.9g", what, (long long)(within / stride),
                  (long long)(within % stride), got, want);
      return;
    }
  }

  const uint32_t type;
  const int64_t rows, columns, stride;
  std::vector<char> host, fetched;
  void *device = nullptr;

 private:
  int64_t first_;
};

// A call on both backends: on_device says whose addresses it is to be given.
template <class Call>
void on_both(const Call &call) {
  for (const bool device : {false, true}) {
    expect_ok([&](svdit_error *e) {
      return call(device ? gpu : cpu, device, device ? stream : nullptr, e);
    });
  }
}

void test_norms() {
  Random random(5);
  for (const int64_t columns : {1536, 3072, 5120, 4104, 96}) {
    for (const bool rms : {false, true}) {
      report.run(
          std::string(rms ? "rms" : "layer") + " norm after a residual, " +
              std::to_string(columns) + " columns",
          [&] {
            const uint32_t type = kTypes[columns % 3];
            Both x(type, 7, columns, 8), sum(SVDIT_FP32, 7, columns, 4),
                gate(SVDIT_FP32, 1, columns);
            Both scale(SVDIT_FP32, 1, columns), shift(SVDIT_FP32, 1, columns);
            for (Both *m : {&x, &sum, &gate, &scale, &shift}) m->fill(random);
            on_both([&](svdit_backend *backend, bool device, svdit_stream s, svdit_error *e) {
              auto residual = new_args<svdit_residual_args>();
              residual.x = x.on(device);
              residual.gate = gate.on(device);
              residual.y = sum.on(device);
              auto norm = new_args<svdit_norm_args>();
              norm.kind = rms ? SVDIT_NORM_RMS : SVDIT_NORM_LAYER;
              norm.x = sum.on(device);
              norm.y = x.on(device);  // in the place of what was added
              norm.scale = scale.on(device);
              norm.shift = shift.on(device);
              norm.epsilon = 1e-6f;
              return svdit_residual_norm(backend, &residual, &norm, s, e);
            });
            sum.expect_same("sum", 1e-6);
            x.expect_same("norm", 5e-6);
          });
    }
  }
  for (const int64_t head_dim : {64, 128, 12}) {
    for (const int64_t first : {0, 1}) {
      report.run(
          "norm a head and rotation, heads of " + std::to_string(head_dim) +
              (first != 0 ? ", unaligned" : ""),
          [&] {
            const uint32_t type = first != 0 ? SVDIT_FP16 : SVDIT_BF16;
            Both x(type, 9, 3 * head_dim, 8, first), weight(SVDIT_BF16, 1, head_dim);
            Both cosine(SVDIT_FP32, 5, head_dim / 2), sine(SVDIT_FP32, 5, head_dim / 2);
            for (Both *m : {&x, &weight, &cosine, &sine}) m->fill(random);
            on_both([&](svdit_backend *backend, bool device, svdit_stream s, svdit_error *e) {
              auto norm = new_args<svdit_norm_args>();
              norm.kind = SVDIT_NORM_RMS;
              norm.x = norm.y = x.on(device);
              norm.weight = weight.on(device);
              norm.group_columns = head_dim;
              norm.epsilon = 1e-6f;
              auto rope = new_args<svdit_rope_args>();
              rope.head_dim = (int32_t)head_dim;
              rope.x = x.on(device, 2, 7);
              rope.cosine = cosine.on(device);
              rope.sine = sine.on(device);
              return svdit_norm_rope(backend, &norm, &rope, s, e);
            });
            // The CPU rounds between the two.
            x.expect_same("rotated", type == SVDIT_BF16 ? 0x1p-6 : 0x1p-9);
          });
    }
  }
  report.run("a rotation that a norm cannot take along", [&] {  // groups of 5 columns
    Both x(SVDIT_FP32, 3, 10), cosine(SVDIT_FP32, 3, 1), sine(SVDIT_FP32, 3, 1);
    for (Both *m : {&x, &cosine, &sine}) m->fill(random);
    on_both([&](svdit_backend *backend, bool device, svdit_stream s, svdit_error *e) {
      auto norm = new_args<svdit_norm_args>();
      norm.x = norm.y = x.on(device);
      norm.group_columns = 5;
      auto rope = new_args<svdit_rope_args>();
      rope.head_dim = 2;
      rope.x = x.on(device);
      rope.cosine = cosine.on(device);
      rope.sine = sine.on(device);
      return svdit_norm_rope(backend, &norm, &rope, s, e);
    });
    x.expect_same("rotated", 1e-5);
  });
}

void test_conversions() {
  Random random(6);
  for (const uint32_t x_type : kTypes) {
    for (const uint32_t y_type : kTypes) {
      report.run(std::string("convert ") + name_of(x_type) + " to " + name_of(y_type), [&] {
        for (uint32_t activation = 0; activation <= SVDIT_ACTIVATION_QUICK_GELU; ++activation) {
          Both x(x_type, 5, 120, 8), y(y_type, 5, 120, activation % 2 ? 8 : 3);
          x.fill(random, 3);
          y.fill(random);
          on_both([&](svdit_backend *backend, bool device, svdit_stream s, svdit_error *e) {
            auto args = new_args<svdit_convert_args>();
            args.x = x.on(device);
            args.y = y.on(device);
            args.activation = activation;
            return svdit_convert(backend, &args, s, e);
          });
          y.expect_same("converted", 3e-6);
        }
      });
    }
  }
}

// What attention with a bias is made of, and Llama's rotation.
void test_attention_parts() {
  Random random(7);
  for (const uint32_t x_type : kTypes) {
    for (const uint32_t y_type : kTypes) {
      report.run(std::string("softmax ") + name_of(x_type) + " to " + name_of(y_type), [&] {
        for (const int64_t columns : {5, 128, 3001}) {
          for (const int64_t group : {0, 1, 3}) {
            Both x(x_type, 7, columns, 8), y(y_type, 7, columns, group == 1 ? 3 : 8);
            Both bias(SVDIT_FP32, 7, columns, 8);
            for (Both *m : {&x, &y, &bias}) m->fill(random, 3);
            on_both([&](svdit_backend *backend, bool device, svdit_stream s, svdit_error *e) {
              auto args = new_args<svdit_softmax_args>();
              args.x = x.on(device);
              if (group != 1) args.bias = bias.on(device);
              args.y = y.on(device);
              args.scale = 0.25f;
              args.valid = group == 3 ? columns : (columns + 1) / 2;
              args.first_row = group == 0 ? 0 : 2;
              args.group = group;
              return svdit_softmax(backend, &args, s, e);
            });
            y.expect_same("softmax", 3e-6);
          }
        }
      });
    }
    report.run(std::string("products by element and transposes, ") + name_of(x_type), [&] {
      Both a(x_type, 9, 70, 8), b(SVDIT_FP32, 9, 70, 4), y(x_type, 9, 70, 3);
      Both turned(x_type, 70, 9, 2);
      for (Both *m : {&a, &b, &y, &turned}) m->fill(random);
      on_both([&](svdit_backend *backend, bool device, svdit_stream s, svdit_error *e) {
        auto args = new_args<svdit_multiply_args>();
        args.a = a.on(device);
        args.b = b.on(device);
        args.y = y.on(device);
        return svdit_multiply(backend, &args, s, e);
      });
      y.expect_same("product", 1e-6);
      on_both([&](svdit_backend *backend, bool device, svdit_stream s, svdit_error *e) {
        auto args = new_args<svdit_transpose_args>();
        args.x = a.on(device);
        args.y = turned.on(device);
        return svdit_transpose(backend, &args, s, e);
      });
      turned.expect_same("transpose", 0);
    });
    report.run(std::string("rotation by halves, ") + name_of(x_type), [&] {
      for (const int64_t head_dim : {2, 8, 12, 128}) {
        Both x(x_type, 5, 3 * head_dim, 3);
        Both cosine(SVDIT_FP32, 5, head_dim / 2), sine(SVDIT_FP32, 5, head_dim / 2, 1);
        for (Both *m : {&x, &cosine, &sine}) m->fill(random);
        on_both([&](svdit_backend *backend, bool device, svdit_stream s, svdit_error *e) {
          auto args = new_args<svdit_rope_args>();
          args.head_dim = (int32_t)head_dim;
          args.pairs = SVDIT_PAIRS_HALVES;
          args.x = x.on(device);
          args.cosine = cosine.on(device);
          args.sine = sine.on(device);
          return svdit_rope(backend, &args, s, e);
        });
        x.expect_same("rotated", 1e-6);
      }
    });
  }
}

double activated(uint32_t activation, double x) {
  if (activation == SVDIT_ACTIVATION_SILU) return x / (1 + std::exp(-x));
  if (activation == SVDIT_ACTIVATION_GELU_TANH)
    return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
  return x;
}

struct ProductCase {
  int64_t rows, outputs, inputs;
  uint32_t type, y_type;
  int bias_type;  // -1: none
  uint32_t activation;
  bool own_workspace;
};

svdit_linear_args linear_of(const ProductCase &c, Both &x, Both &weight, Both &bias, Both &y) {
  auto args = new_args<svdit_linear_args>();
  args.x = x.on(true);
  args.weight = weight.on(true);
  if (c.bias_type >= 0) args.bias = bias.on(true);
  args.y = y.on(true);
  args.activation = c.activation;
  return args;
}

// The stand-in for cuBLASLt was told to refuse every epilogue.
const bool without_epilogues = std::getenv("SVDIT_SIM_CUBLASLT") != nullptr;

void expect_product(const ProductCase &c, Both &x, Both &weight, Both &bias, Both &y) {
  y.fetch();
  for (int64_t r = 0; r < c.rows; ++r) {
    for (int64_t o = 0; o < c.outputs; ++o) {
      const double added = c.bias_type >= 0 ? bias.at(bias.host, 0, o) : 0;
      double sum = added, size = std::fabs(sum);
      for (int64_t i = 0; i < c.inputs; ++i) {
        const double product = x.at(x.host, r, i) * weight.at(weight.host, o, i);
        sum += product;
        size += std::fabs(product);
      }
      const double want = activated(c.activation, sum);
      // Sums in fp32 in any order; two roundings where bias or activation take a pass of their own.
      const double unit = c.y_type == SVDIT_FP32 ? 0 : c.y_type == SVDIT_BF16 ? 0x1p-7 : 0x1p-10;
      double slack = 1.2 * (double)(c.inputs + 2) * 0x1p-24 * size + 2e-6 +
                     unit * (std::fabs(want) + std::fabs(sum));
      // Where cuBLASLt does nothing beside the product, that is rounded before the bias is added.
      if (without_epilogues) slack += unit * std::fabs(sum - added);
      const double got = y.at(y.fetched, r, o);
      if (std::fabs(got - want) <= slack) continue;
      report.fail("[%lld, %lld] is %.9g, expected %.9g +- %.2g", (long long)r, (long long)o, got,
                  want, slack);
      return;
    }
  }
}

void test_products() {
  const ProductCase cases[] = {
      {33, 48, 40, SVDIT_BF16, SVDIT_BF16, SVDIT_BF16, SVDIT_ACTIVATION_NONE, false},
      {33, 48, 40, SVDIT_BF16, SVDIT_BF16, SVDIT_BF16, SVDIT_ACTIVATION_GELU_TANH, true},
      {33, 48, 40, SVDIT_BF16, SVDIT_BF16, SVDIT_BF16, SVDIT_ACTIVATION_SILU, false},
      {1, 96, 256, SVDIT_BF16, SVDIT_FP32, SVDIT_BF16, SVDIT_ACTIVATION_NONE, false},
      {9, 24, 16, SVDIT_BF16, SVDIT_FP32, SVDIT_BF16, SVDIT_ACTIVATION_GELU_TANH, false},
      {17, 64, 32, SVDIT_FP16, SVDIT_FP16, SVDIT_FP16, SVDIT_ACTIVATION_GELU_TANH, false},
      {17, 64, 32, SVDIT_FP16, SVDIT_FP32, -1, SVDIT_ACTIVATION_NONE, true},
      {20, 36, 300, SVDIT_FP32, SVDIT_FP32, SVDIT_FP32, SVDIT_ACTIVATION_SILU, false},
      {20, 36, 300, SVDIT_FP32, SVDIT_FP32, SVDIT_FP32, SVDIT_ACTIVATION_GELU_TANH, true},
      {5, 12, 8, SVDIT_FP32, SVDIT_FP32, -1, SVDIT_ACTIVATION_GELU_TANH, false}};
  Random random(8);
  for (const ProductCase &c : cases) {
    report.run(
        std::string("product ") + name_of(c.type) + " to " + name_of(c.y_type) + " [" +
            std::to_string(c.rows) + ", " + std::to_string(c.inputs) + "] x " +
            std::to_string(c.outputs) + " bias " + std::to_string(c.bias_type) + " activation " +
            std::to_string(c.activation),
        [&] {
          Both x(c.type, c.rows, c.inputs, 8), weight(c.type, c.outputs, c.inputs);
          Both bias(c.bias_type < 0 ? (uint32_t)SVDIT_FP32 : (uint32_t)c.bias_type, 1, c.outputs);
          Both y(c.y_type, c.rows, c.outputs, 16), workspace(SVDIT_FP32, 1, 1 << 16);
          for (Both *m : {&x, &weight, &bias, &y}) m->fill(random);
          auto args = linear_of(c, x, weight, bias, y);
          if (c.own_workspace) {
            args.workspace = workspace.device;
            args.workspace_bytes = workspace.host.size();
          }
          // Twice: the second takes the algorithm that was kept, with another bias.
          for (int round = 0; round < 2; ++round) {
            if (round == 1) bias.fill(random);
            expect_ok([&](svdit_error *e) { return svdit_linear(gpu, &args, stream, e); });
            expect_product(c, x, weight, bias, y);
          }
          const std::vector<char> before = y.host;
          for (int64_t r = 0; r < c.rows; ++r) {
            const size_t gap = (size_t)((r * y.stride + c.outputs) * element_bytes(c.y_type));
            EXPECT(std::memcmp(&before[gap], &y.fetched[gap],
                               (size_t)(16 * element_bytes(c.y_type))) == 0,
                   "the gap of row %lld was written", (long long)r);
          }
        });
  }
}

// A chain of operations as a graph, on other numbers.
void test_graph() {
  report.run("a captured chain of operations", [] {
    Random random(9);
    const ProductCase c{
        12, 64, 32, SVDIT_BF16, SVDIT_BF16, SVDIT_BF16, SVDIT_ACTIVATION_GELU_TANH, false};
    Both x(c.type, c.rows, c.inputs), weight(c.type, c.outputs, c.inputs),
        bias(c.type, 1, c.outputs);
    Both y(c.y_type, c.rows, c.outputs), sum(SVDIT_FP32, c.rows, c.outputs);
    for (Both *m : {&x, &weight, &bias, &y, &sum}) m->fill(random);
    const auto linear = linear_of(c, x, weight, bias, y);
    auto residual = new_args<svdit_residual_args>();
    residual.x = y.on(true);
    residual.y = sum.on(true);
    const auto chain = [&] {
      expect_ok([&](svdit_error *e) { return svdit_linear(gpu, &linear, stream, e); });
      expect_ok([&](svdit_error *e) { return svdit_residual(gpu, &residual, stream, e); });
    };
    chain();  // chooses the algorithm, before the capture
    synchronize();
    svdit_graph *graph = nullptr;
    expect_ok([&](svdit_error *e) { return svdit_capture_begin(gpu, stream, e); });
    chain();
    expect_ok([&](svdit_error *e) { return svdit_capture_end(gpu, stream, &graph, e); });
    for (int round = 0; round < 2; ++round) {
      x.fill(random);
      sum.upload();
      expect_ok([&](svdit_error *e) { return svdit_graph_launch(graph, stream, e); });
      expect_product(c, x, weight, bias, y);
      sum.fetch();
      for (int64_t i = 0; i < c.outputs; ++i) {
        const double want = sum.at(sum.host, 3, i) + y.at(y.fetched, 3, i);
        EXPECT(std::fabs(sum.at(sum.fetched, 3, i) - want) < 1e-5);
      }
    }
    svdit_graph_destroy(graph);
  });
}

void test_misuse() {
  report.run("misuse is refused", [] {
    Both x(SVDIT_BF16, 2, 8200);
    auto norm = new_args<svdit_norm_args>();
    norm.x = norm.y = x.on(true);
    expect_status(
        SVDIT_UNSUPPORTED, [&](svdit_error *e) { return svdit_norm(gpu, &norm, stream, e); },
        "8200 columns", "8192");
    expect_status(
        SVDIT_INVALID_ARGUMENT, [&](svdit_error *e) { return svdit_matmul_library(gpu, "", e); },
        "already", "cuBLASLt 13");
    auto linear = new_args<svdit_linear_args>();
    linear.x = linear.weight = x.on(true, 0, 1);
    Both y(SVDIT_FP32, 1, 1);
    linear.y = y.on(true);
    linear.workspace = (char *)x.device + 16;
    linear.workspace_bytes = 64;
    expect_status(
        SVDIT_INVALID_ARGUMENT,
        [&](svdit_error *e) { return svdit_linear(gpu, &linear, stream, e); }, "256 bytes");
  });
}

// Before a library is opened.
void test_library() {
  report.run("what is said where there is no cuBLASLt", [] {
    Both x(SVDIT_FP32, 1, 8), y(SVDIT_FP32, 1, 1);
    auto linear = new_args<svdit_linear_args>();
    linear.x = linear.weight = x.on(true);
    linear.y = y.on(true);
    expect_status(
        SVDIT_UNAVAILABLE, [&](svdit_error *e) { return svdit_linear(gpu, &linear, stream, e); },
        "no matrix library");
    expect_status(
        SVDIT_UNAVAILABLE,
        [&](svdit_error *e) { return svdit_matmul_library(gpu, "/no/such/cublas.so", e); },
        "no cuBLASLt 13", "/no/such/cublas.so");
    expect_status(
        SVDIT_UNAVAILABLE,
        [&](svdit_error *e) { return svdit_matmul_library(gpu, "libm.so.6", e); }, "no function",
        "cublasLt");
  });
  report.run("cuBLASLt is opened", [] {
    const char *path = std::getenv("SVDIT_CUBLASLT");
    expect_ok(
        [&](svdit_error *e) { return svdit_matmul_library(gpu, path == nullptr ? "" : path, e); });
  });
}

}  // namespace

int main() {
  auto options = new_args<svdit_backend_options>();
  options.threads = 2;
  expect_ok([&](svdit_error *e) { return svdit_backend_open(&options, &cpu, e); });
  options.kind = SVDIT_BACKEND_CUDA;
  options.threads = 0;
  svdit_error error = new_error();
  if (svdit_backend_open(&options, &gpu, &error) != SVDIT_OK) {
    std::printf("no CUDA backend: %s\n", error.message);
    return 1;
  }
  expect_ok([&](svdit_error *e) { return svdit_stream_create(gpu, &stream, e); });
  test_library();
  test_norms();
  test_conversions();
  test_attention_parts();
  test_products();
  test_graph();
  test_misuse();
  expect_ok([&](svdit_error *e) { return svdit_stream_destroy(gpu, stream, e); });
  svdit_backend_close(gpu);
  svdit_backend_close(cpu);
  return report.finish();
}

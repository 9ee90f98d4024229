// A denoiser's other operations through the ABI: two in one give what one after the other gives,
// and what does not fit together is refused and leaves everything as it was.
#include <cstring>
#include <string>
#include <vector>

#include "test/cases.h"

using namespace svdit::test;

namespace {

svdit_backend *backend = nullptr;

constexpr int64_t kRows = 6, kColumns = 24, kHeadDim = 8;

template <class Args>
Args new_args() {
  Args args{};
  args.struct_bytes = sizeof args;
  return args;
}

struct Floats {
  Floats(int64_t rows, int64_t columns, uint64_t seed) : rows(rows), columns(columns) {
    Random random(seed);
    values.resize((size_t)(rows * columns));
    for (float &v : values) v = random.normal();
  }
  svdit_matrix matrix() { return part(0, rows); }
  svdit_matrix part(int64_t begin, int64_t end) {
    svdit_matrix m{};
    m.data = values.data() + begin * columns;
    m.extent_bytes = (uint64_t)((end - begin) * columns) * 4;
    m.rows = end - begin;
    m.columns = m.row_stride = columns;
    m.element_type = SVDIT_FP32;
    return m;
  }
  int64_t rows, columns;
  std::vector<float> values;
};

// One after the other, and both in one call.
struct Pair {
  explicit Pair(int64_t rows = kRows, int64_t columns = kColumns)
      : x(rows, columns, 1),
        sum(rows, columns, 2),
        y(rows, columns, 3),
        gate(1, columns, 4),
        weight(1, columns, 5),
        scale(1, columns, 6),
        cosine(rows - 2, kHeadDim / 2, 7),
        sine(rows - 2, kHeadDim / 2, 8) {}
  Floats x, sum, y, gate, weight, scale, cosine, sine;

  svdit_residual_args residual() {
    auto args = new_args<svdit_residual_args>();
    args.x = x.matrix();
    args.gate = gate.matrix();
    args.y = sum.matrix();
    return args;
  }
  svdit_norm_args norm() {
    auto args = new_args<svdit_norm_args>();
    args.x = sum.matrix();
    args.y = y.matrix();
    args.weight = weight.matrix();
    args.scale = scale.matrix();
    args.epsilon = 1e-6f;
    return args;
  }
  svdit_rope_args rope() {
    auto args = new_args<svdit_rope_args>();
    args.head_dim = kHeadDim;
    args.x = y.part(1, y.rows - 1);
    args.cosine = cosine.matrix();
    args.sine = sine.matrix();
    return args;
  }
};

void test_pairs() {
  // The larger ones are spread over threads, and hand on several rows at once or less than one.
  const int64_t sizes[][2] = {{kRows, kColumns}, {1001, 96}, {37, 4096}};
  for (const auto &[rows, columns] : sizes) {
    const std::string size = std::to_string(rows) + " x " + std::to_string(columns);
    report.run("a residual and the norm of it, " + size, [rows = rows, columns = columns] {
      Pair apart(rows, columns), together(rows, columns);
      const auto residual = apart.residual();
      const auto norm = apart.norm();
      expect_ok([&](svdit_error *e) { return svdit_residual(backend, &residual, nullptr, e); });
      expect_ok([&](svdit_error *e) { return svdit_norm(backend, &norm, nullptr, e); });
      const auto first = together.residual();
      const auto second = together.norm();
      expect_ok([&](svdit_error *e) {
        return svdit_residual_norm(backend, &first, &second, nullptr, e);
      });
      EXPECT(apart.y.values == together.y.values && apart.sum.values == together.sum.values);
      EXPECT(apart.y.values != Pair(rows, columns).y.values);
    });
    report.run("a norm and the rotation of some rows, " + size, [rows = rows, columns = columns] {
      Pair apart(rows, columns), together(rows, columns);
      const auto norm = apart.norm();
      const auto rope = apart.rope();
      expect_ok([&](svdit_error *e) { return svdit_norm(backend, &norm, nullptr, e); });
      expect_ok([&](svdit_error *e) { return svdit_rope(backend, &rope, nullptr, e); });
      const auto first = together.norm();
      const auto second = together.rope();
      expect_ok(
          [&](svdit_error *e) { return svdit_norm_rope(backend, &first, &second, nullptr, e); });
      EXPECT(apart.y.values == together.y.values);
    });
  }
}

void test_refusals() {
  report.run("operations that do not fit together are refused", [] {
    Pair p;
    auto residual = p.residual();
    auto norm = p.norm();
    auto rope = p.rope();
    const auto expect_refused = [&](const char *word, bool with_rope) {
      expect_status(
          SVDIT_INVALID_ARGUMENT,
          [&](svdit_error *e) {
            return with_rope ? svdit_norm_rope(backend, &norm, &rope, nullptr, e)
                             : svdit_residual_norm(backend, &residual, &norm, nullptr, e);
          },
          word);
      EXPECT(p.sum.values == Pair().sum.values && p.y.values == Pair().y.values, "%s: written",
             word);
    };
    residual.y = p.y.matrix();
    expect_refused("residual.y", false);
    residual = p.residual();
    norm.y = p.x.part(0, kRows);
    norm.y.row_stride = kColumns;
    norm.y.data = p.x.values.data();
    residual.x = p.x.part(0, kRows);
    residual.x.data = p.x.values.data() + 1;  // overlaps norm.y without being it
    residual.x.extent_bytes += 64;
    expect_refused("overlaps residual.x", false);
    residual = p.residual();
    norm = p.norm();
    norm.weight = p.sum.part(2, 3);
    expect_refused("norm.weight", false);
    norm = p.norm();
    rope.x = p.x.part(1, 5);
    expect_refused("rope.x is not rows", true);
    rope.x = p.y.part(1, 5);
    rope.x.data = p.y.values.data() + kColumns + 2;
    expect_refused("rope.x is not rows", true);
    rope = p.rope();
    rope.cosine = p.y.part(0, 1);
    rope.cosine.rows = 4;
    rope.cosine.columns = rope.cosine.row_stride = kHeadDim / 2;
    expect_refused("overlaps", true);
  });
  report.run("an unknown activation is refused", [] {
    Pair p;
    auto convert = new_args<svdit_convert_args>();
    convert.x = p.x.matrix();
    convert.y = p.y.matrix();
    convert.activation = 5;
    expect_status(
        SVDIT_INVALID_ARGUMENT,
        [&](svdit_error *e) { return svdit_convert(backend, &convert, nullptr, e); },
        "activation is 5");
    auto linear = new_args<svdit_linear_args>();
    linear.x = p.x.matrix();
    linear.activation = SVDIT_ACTIVATION_GELU_ERF;
    expect_status(
        SVDIT_INVALID_ARGUMENT,
        [&](svdit_error *e) { return svdit_linear(backend, &linear, nullptr, e); },
        "activation is 3");
  });
}

void test_transpose() {
  report.run("a transpose of every type, of whole squares and ragged ones", [] {
    const int64_t sizes[][2] = {{1, 1}, {1, 65}, {32, 64}, {33, 31}, {70, 129}};
    for (const auto &[rows, columns] : sizes) {
      for (uint32_t type : {SVDIT_BF16, SVDIT_FP16, SVDIT_FP32}) {
        const int64_t bytes = type == SVDIT_FP32 ? 4 : 2;
        const int64_t x_stride = columns + 3, y_stride = rows + 5;
        std::vector<char> x((size_t)(rows * x_stride * bytes)),
            y((size_t)(columns * y_stride * bytes), 0x5a);
        for (size_t i = 0; i < x.size(); ++i) x[i] = (char)(i * 7 + i / 251);
        auto args = new_args<svdit_transpose_args>();
        const auto describe = [&](svdit_matrix *m, std::vector<char> &of, int64_t r, int64_t c,
                                  int64_t stride) {
          m->data = of.data();
          m->extent_bytes = of.size();
          m->rows = r, m->columns = c, m->row_stride = stride;
          m->element_type = type;
        };
        describe(&args.x, x, rows, columns, x_stride);
        describe(&args.y, y, columns, rows, y_stride);
        expect_ok([&](svdit_error *e) { return svdit_transpose(backend, &args, nullptr, e); });
        for (int64_t c = 0; c < columns; ++c) {
          for (int64_t r = 0; r < y_stride; ++r) {
            const char *got = &y[(size_t)((c * y_stride + r) * bytes)];
            const char gap[4] = {0x5a, 0x5a, 0x5a, 0x5a};
            const char *want = r < rows ? &x[(size_t)((r * x_stride + c) * bytes)] : gap;
            EXPECT(std::memcmp(got, want, (size_t)bytes) == 0, "[%lld, %lld] of %lld x %lld",
                   (long long)c, (long long)r, (long long)columns, (long long)rows);
          }
        }
      }
    }
  });
}

void test_attention_refusals() {
  report.run("softmaxes, products and transposes that do not fit are refused", [] {
    Floats x(4, 6, 1), y(4, 6, 2), turned(6, 4, 3);
    const std::vector<float> before = y.values;
    auto softmax = new_args<svdit_softmax_args>();
    const auto refused = [&](const char *word) {
      expect_status(
          SVDIT_INVALID_ARGUMENT,
          [&](svdit_error *e) { return svdit_softmax(backend, &softmax, nullptr, e); }, word);
      EXPECT(y.values == before, "%s: written", word);
    };
    softmax.x = x.matrix(), softmax.y = y.matrix(), softmax.scale = 1;
    refused("valid is 0");
    softmax.valid = 7;
    refused("valid is 7");
    softmax.valid = 6, softmax.first_row = 2;
    refused("first_row 2");
    softmax.first_row = 0, softmax.group = -1;
    refused("group is -1");
    softmax.group = 0, softmax.bias = x.part(0, 3);
    refused("bias");
    softmax.bias = y.matrix();
    refused("bias");
    auto multiply = new_args<svdit_multiply_args>();
    multiply.a = x.matrix(), multiply.b = turned.matrix(), multiply.y = y.matrix();
    expect_status(
        SVDIT_INVALID_ARGUMENT,
        [&](svdit_error *e) { return svdit_multiply(backend, &multiply, nullptr, e); }, "b");
    auto transpose = new_args<svdit_transpose_args>();
    transpose.x = x.matrix(), transpose.y = y.matrix();
    expect_status(
        SVDIT_INVALID_ARGUMENT,
        [&](svdit_error *e) { return svdit_transpose(backend, &transpose, nullptr, e); }, "y");
    auto rope = new_args<svdit_rope_args>();
    rope.x = y.matrix(), rope.head_dim = 2, rope.pairs = 2;
    expect_status(
        SVDIT_INVALID_ARGUMENT,
        [&](svdit_error *e) { return svdit_rope(backend, &rope, nullptr, e); }, "pairs is 2");
    EXPECT(y.values == before);
    Pair p;
    const auto norm = p.norm();
    auto rotated = p.rope();
    rotated.pairs = SVDIT_PAIRS_HALVES;
    expect_status(
        SVDIT_INVALID_ARGUMENT,
        [&](svdit_error *e) { return svdit_norm_rope(backend, &norm, &rotated, nullptr, e); },
        "rope.pairs is 1");
  });
}

}  // namespace

int main() {
  svdit_backend_options options{};
  options.struct_bytes = sizeof options;
  options.threads = 2;
  expect_ok([&](svdit_error *e) { return svdit_backend_open(&options, &backend, e); });
  test_pairs();
  test_refusals();
  test_transpose();
  test_attention_refusals();
  svdit_backend_close(backend);
  return report.finish();
}

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
    convert.activation = 4;
    expect_status(
        SVDIT_INVALID_ARGUMENT,
        [&](svdit_error *e) { return svdit_convert(backend, &convert, nullptr, e); },
        "activation is 4");
    auto linear = new_args<svdit_linear_args>();
    linear.x = p.x.matrix();
    linear.activation = SVDIT_ACTIVATION_GELU_ERF;
    expect_status(
        SVDIT_INVALID_ARGUMENT,
        [&](svdit_error *e) { return svdit_linear(backend, &linear, nullptr, e); },
        "activation is 3");
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
  svdit_backend_close(backend);
  return report.finish();
}

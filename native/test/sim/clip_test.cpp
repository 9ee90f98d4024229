// The CUDA kernels of a video autoencoder in the simulator, against loops over pixels: gathering for
// convolutions, group norms, spreading of channels. Nothing past an allocation's end may be touched
// (AddressSanitizer watches).
#include <cmath>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "backend/conv.h"
#include "base/error.h"
#include "test/cases.h"
#include "test/sim/simulated_ops.h"

using namespace svdit::test;
namespace cuda = svdit::cuda;

namespace {

int64_t bytes_of(uint32_t type) { return type == SVDIT_FP32 ? 4 : 2; }

// Rows with `gap` elements between them; they end where the allocation does.
class Clip {
 public:
  Clip(uint32_t type, int64_t rows, int64_t columns, int64_t gap, uint64_t seed)
      : type_(type),
        rows_(rows),
        columns_(columns),
        stride_(columns + gap),
        memory_(new char[(size_t)bytes()]) {
    Random random(seed);
    std::memset(memory_.get(), 0x5a, (size_t)bytes());
    for (int64_t i = 0; i < rows * columns; ++i)
      from_float(type, random.normal() + 0.5f, at(i / columns, i % columns));
  }
  double operator()(int64_t row, int64_t column) const { return to_double(type_, at(row, column)); }
  svdit_matrix matrix() const {
    svdit_matrix m{};
    m.data = memory_.get();
    m.extent_bytes = (uint64_t)bytes();
    m.rows = rows_;
    m.columns = columns_;
    m.row_stride = stride_;
    m.element_type = type_;
    return m;
  }
  char *at(int64_t row, int64_t column) const {
    return memory_.get() + (row * stride_ + column) * bytes_of(type_);
  }

 private:
  int64_t bytes() const { return ((rows_ - 1) * stride_ + columns_) * bytes_of(type_); }
  uint32_t type_;
  int64_t rows_, columns_, stride_;
  std::unique_ptr<char[]> memory_;
};

struct ConvCase {
  const char *name;
  uint32_t type;
  int64_t channels, gap;
  int32_t frames, height, width;
  int32_t kernel[3], stride[3];
  int32_t pad_frames, pad[4];
  int kept;
  int32_t repeat;
  uint32_t repeat_frames, padding, padding_frames;
};

void test_gather(const ConvCase &c) {
  report.run(std::string("gather ") + c.name, [&] {
    Clip x(c.type, int64_t{c.frames} * c.height * c.width, c.channels, c.gap, 1);
    Clip earlier(c.type, c.height * c.width, c.channels, 0, 2);
    Clip before(c.type, c.height * c.width, c.channels, c.gap, 3);
    svdit_conv_args a{};
    a.x = x.matrix();
    if (c.kept >= 1) a.before = before.matrix();
    if (c.kept == 2) a.earlier = earlier.matrix();
    a.frames = c.frames, a.height = c.height, a.width = c.width;
    a.kernel_frames = c.kernel[0], a.kernel_height = c.kernel[1], a.kernel_width = c.kernel[2];
    a.stride_frames = c.stride[0], a.stride_height = c.stride[1], a.stride_width = c.stride[2];
    a.pad_frames = c.pad_frames, a.pad_top = c.pad[0], a.pad_bottom = c.pad[1];
    a.pad_left = c.pad[2], a.pad_right = c.pad[3];
    a.repeat = c.repeat, a.repeat_frames = c.repeat_frames;
    a.padding = c.padding, a.padding_frames = c.padding_frames;
    const svdit::ConvPlaces places(a);
    const int64_t all = places.out_frames * places.out_height * places.out_width;
    const int64_t taps = c.kernel[0] * c.kernel[1] * c.kernel[2], first = all / 3;
    std::unique_ptr<char[]> to(
        new char[(size_t)((all - first) * taps * c.channels * bytes_of(c.type))]);
    try {
      run(cuda::prepare_gather(a, to.get(), first, all - first), 5);
    } catch (const std::exception &error) {
      report.fail("%s", error.what());
    }
    for (int64_t place = first; place < all; ++place) {
      const int64_t t = place / places.out_width / places.out_height;
      const int64_t h = place / places.out_width % places.out_height, w = place % places.out_width;
      int64_t at = (place - first) * taps * c.channels;
      for (int kh = 0; kh < c.kernel[1]; ++kh) {
        for (int kw = 0; kw < c.kernel[2]; ++kw) {
          for (int kt = 0; kt < c.kernel[0]; ++kt) {
            int64_t row = h * c.stride[1] + kh - c.pad[0], column = w * c.stride[2] + kw - c.pad[2];
            int64_t frame = t * c.stride[0] + kt - c.pad_frames - c.kept;
            const int64_t rows = c.height * c.repeat, columns = c.width * c.repeat;
            if (c.padding == SVDIT_PAD_REPLICATE) {
              row = std::min(std::max<int64_t>(row, 0), rows - 1);
              column = std::min(std::max<int64_t>(column, 0), columns - 1);
            }
            if (c.padding_frames == SVDIT_PAD_REPLICATE)
              frame = std::max<int64_t>(frame, -c.kept);
            const bool zero = row < 0 || row >= rows || column < 0 || column >= columns ||
                              frame < -c.kept;
            if (frame > 0 && c.repeat_frames != SVDIT_FRAMES_ONCE)
              frame = c.repeat_frames == SVDIT_FRAMES_TWICE ? frame / 2 : (frame + 1) / 2;
            const int64_t pixel = row / c.repeat * c.width + column / c.repeat;
            for (int64_t k = 0; k < c.channels; ++k, ++at) {
              const double want = zero          ? 0
                                  : frame == -1 ? before(pixel, k)
                                  : frame == -2
                                      ? earlier(pixel, k)
                                      : x(frame * c.height * c.width + pixel, k);
              const double got = to_double(c.type, to.get() + at * bytes_of(c.type));
              if (got != want) report.fail("place %lld: %g, expected %g", (long long)place, got, want);
            }
          }
        }
      }
    }
  });
}

void test_group_norm(uint32_t x_type, uint32_t y_type, int32_t frames, int32_t height,
                     int32_t width, int64_t channels, int32_t groups, int64_t gap, bool mapped,
                     bool silu) {
  report.run("group norm " + std::to_string(frames * height * width) + " x " +
                 std::to_string(channels) + (mapped ? " mapped" : "") + (silu ? " SiLU" : ""),
             [&] {
               const int64_t rows = int64_t{frames} * height * width;
               const int32_t map_frames = frames == 1 ? 1 : frames / 2 + frames % 2;
               const int32_t map_height = height / 2, map_width = width / 2;
               Clip x(x_type, rows, channels, gap, 1), y(y_type, rows, channels, gap, 2);
               Clip weight(SVDIT_FP32, 1, channels, 0, 3), bias(SVDIT_BF16, 1, channels, 0, 4);
               const int64_t map_rows =
                   mapped ? int64_t{map_frames} * map_height * map_width : 1;
               Clip scale(x_type, map_rows, channels, gap, 5), shift(x_type, map_rows, channels, 0, 6);
               svdit_group_norm_args a{};
               a.x = x.matrix(), a.y = y.matrix();
               a.weight = weight.matrix(), a.bias = bias.matrix();
               if (mapped) {
                 a.scale = scale.matrix(), a.shift = shift.matrix();
                 a.frames = frames, a.height = height, a.width = width;
                 a.map_frames = map_frames, a.map_height = map_height, a.map_width = map_width;
               }
               a.groups = groups;
               a.epsilon = 1e-6f;
               a.activation = silu ? SVDIT_ACTIVATION_SILU : SVDIT_ACTIVATION_NONE;
               std::vector<float> workspace((size_t)1 << 18);
               a.workspace = workspace.data();
               a.workspace_bytes = workspace.size() * 4;
               try {
                 run(cuda::prepare_group_norm(a), 7);
               } catch (const std::exception &error) {
                 report.fail("%s", error.what());
               }
               const int64_t group = channels / groups;
               for (int64_t begin = 0; begin < channels; begin += group) {
                 double mean = 0, variance = 0;
                 for (int64_t i = 0; i < rows * group; ++i)
                   mean += x(i / group, begin + i % group) / (double)(rows * group);
                 for (int64_t i = 0; i < rows * group; ++i) {
                   variance += std::pow(x(i / group, begin + i % group) - mean, 2) /
                               (double)(rows * group);
                 }
                 for (int64_t i = 0; i < rows * group; ++i) {
                   const int64_t row = i / group, k = begin + i % group;
                   const int64_t t = row / width / height, h = row / width % height;
                   const int64_t pixel =
                       (svdit::map_frame(t, frames, map_frames) * map_height + h / 2) * map_width +
                       row % width / 2;
                   double v = (x(row, k) - mean) / std::sqrt(variance + 1e-6) * weight(0, k) +
                              bias(0, k);
                   if (mapped) v = v * scale(pixel, k) + shift(pixel, k);
                   if (silu) v = v / (1 + std::exp(-v));
                   const double slack =
                       1e-5 * (std::fabs(v) + 1) +
                       (y_type == SVDIT_FP32 ? 0 : std::ldexp(std::fabs(v), y_type == SVDIT_BF16 ? -8 : -11));
                   if (!(std::fabs(y(row, k) - v) <= slack))
                     report.fail("[%lld, %lld] is %g, expected %g", (long long)row, (long long)k,
                                 y(row, k), v);
                 }
               }
             });
}

void test_spread(uint32_t type, int64_t in, int64_t out, int32_t factor_frames, int32_t first) {
  report.run("spread " + std::to_string(in) + " to " + std::to_string(out), [&] {
    const int32_t frames = 2, height = 3, width = 2;
    const int64_t made = frames * factor_frames - first;
    Clip x(type, frames * height * width, in, 1, 1);
    Clip y(SVDIT_FP32, made * height * 2 * width * 2, out, 0, 2), was(SVDIT_FP32, made * height * 2 * width * 2, out, 0, 2);
    svdit_spread_args a{};
    a.frames = frames, a.height = height, a.width = width;
    a.x = x.matrix(), a.y = y.matrix();
    a.factor_frames = factor_frames, a.factor = 2, a.first = first;
    try {
      run(cuda::prepare_spread(a), 3);
    } catch (const std::exception &error) {
      report.fail("%s", error.what());
    }
    const int64_t parts = factor_frames * 4;
    for (int64_t row = 0; row < made * height * 2 * width * 2; ++row) {
      const int64_t w = row % (2 * width), h = row / (2 * width) % (2 * height);
      const int64_t t = row / (4 * width * height) + first;
      const int64_t pixel = (t / factor_frames * height + h / 2) * width + w / 2;
      const int64_t part = (t % factor_frames * 2 + h % 2) * 2 + w % 2;
      for (int64_t o = 0; o < out; ++o) {
        const double want = was(row, o) + x(pixel, (o * parts + part) / (out * parts / in));
        if (std::fabs(y(row, o) - want) > 1e-6 * (1 + std::fabs(want)))
          report.fail("[%lld, %lld]", (long long)row, (long long)o);
      }
    }
  });
}

void test_refusals() {
  report.run("too small a workspace", [] {
    svdit_conv_args a{};
    Clip x(SVDIT_FP32, 300, 8, 0, 1), weight(SVDIT_FP32, 4, 27 * 8, 0, 1), y(SVDIT_FP32, 300, 4, 0, 1);
    a.x = x.matrix(), a.weight = weight.matrix(), a.y = y.matrix();
    a.workspace_bytes = 2 * 27 * 8 * 4 * 127;
    bool refused = false;
    try {
      cuda::places_at_once(a, a.workspace_bytes / 2);
    } catch (const svdit::Error &error) {
      refused = error.status() == SVDIT_INVALID_ARGUMENT &&
                std::strstr(error.what(), "twice 128 rows of weight") != nullptr;
    }
    EXPECT(refused);
    EXPECT(cuda::places_at_once(a, 27 * 8 * 4 * 290) == 256);
  });
}

}  // namespace

int main() {
  const uint32_t bf16 = SVDIT_BF16, fp16 = SVDIT_FP16, fp32 = SVDIT_FP32;
  const ConvCase cases[] = {
      {"causal, two kept", bf16, 8, 0, 1, 4, 5, {3, 3, 3}, {1, 1, 1}, 0, {1, 1, 1, 1}, 2, 1, 0, 0, 0},
      {"causal, one kept, unaligned", bf16, 5, 3, 2, 4, 5, {3, 3, 3}, {1, 1, 1}, 1, {1, 1, 1, 1}, 1, 1, 0, 0, 0},
      {"causal, none kept", fp32, 4, 4, 2, 3, 3, {3, 3, 3}, {1, 1, 1}, 2, {1, 1, 1, 1}, 0, 1, 0, 0, 0},
      {"replicating", fp32, 3, 0, 2, 3, 4, {3, 3, 3}, {1, 1, 1}, 2, {1, 1, 1, 1}, 0, 1, 0, 1, 1},
      {"replicating, strided", fp16, 8, 8, 5, 6, 5, {3, 3, 3}, {2, 2, 2}, 2, {1, 1, 1, 1}, 0, 1, 0, 1, 1},
      {"first frame repeated, then kept", bf16, 8, 0, 2, 3, 3, {3, 3, 3}, {1, 1, 1}, 1, {1, 1, 1, 1}, 1, 1, 0, 0, 1},
      {"upsampled", bf16, 16, 0, 2, 3, 4, {1, 3, 3}, {1, 1, 1}, 0, {1, 1, 1, 1}, 0, 2, 0, 0, 0},
      {"upsampled, frames twice", fp32, 4, 0, 2, 2, 3, {1, 3, 3}, {1, 1, 1}, 0, {1, 1, 1, 1}, 0, 2, 1, 0, 0},
      {"upsampled, frames twice but first", fp32, 8, 0, 3, 2, 3, {3, 3, 3}, {1, 1, 1}, 2, {1, 1, 1, 1}, 0, 2, 2, 1, 1},
      {"halved", fp32, 4, 0, 2, 5, 6, {1, 3, 3}, {1, 2, 2}, 0, {0, 1, 0, 1}, 0, 1, 0, 0, 0},
      {"over time", bf16, 8, 16, 2, 2, 3, {3, 1, 1}, {1, 1, 1}, 0, {0, 0, 0, 0}, 2, 1, 0, 0, 0},
  };
  for (const ConvCase &c : cases) test_gather(c);
  test_group_norm(fp32, fp32, 1, 4, 6, 8, 2, 0, false, false);
  test_group_norm(bf16, bf16, 2, 6, 8, 16, 4, 8, false, true);
  test_group_norm(fp16, fp32, 1, 3, 5, 9, 3, 1, false, true);
  test_group_norm(fp32, fp32, 2, 50, 50, 8, 1, 0, false, true);  // several splits
  test_group_norm(fp32, fp32, 5, 4, 6, 8, 2, 0, true, true);
  test_group_norm(bf16, bf16, 4, 4, 4, 24, 4, 0, true, false);
  test_spread(fp32, 8, 8, 2, 0);
  test_spread(bf16, 16, 8, 1, 0);
  test_spread(bf16, 16, 12, 2, 1);
  test_refusals();
  return report.finish();
}

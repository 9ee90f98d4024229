#include "test/quantised.h"

#include <algorithm>
#include <cmath>

#include "test/reference.h"

namespace svdit::test {

double to_e4m3(double x) {
  int exponent = 0;
  std::frexp(x, &exponent);  // |x| = 0.5 .. 1 times 2^exponent
  const int last_place = std::max(exponent - 4, -9);
  return std::ldexp(std::nearbyint(std::ldexp(x, -last_place)), last_place);
}

int32_t least_exponent(double largest) {
  int32_t exponent = -60;
  while (largest > std::ldexp(448, exponent)) ++exponent;
  return exponent;
}

namespace {

// One head of one batch row: rounds the tokens of a segment as they are lined up, 64 to a scale.
void round_segment(const TestTensor &tensor, int32_t b, int32_t h,
                   const std::vector<int32_t> &tokens, std::vector<float> &to) {
  for (size_t begin = 0; begin < tokens.size(); begin += 64) {
    const size_t end = std::min(begin + 64, tokens.size());
    double largest = 0;
    for (size_t t = begin; t < end; ++t) {
      const float *x = tensor.values(b, h, tokens[t]);
      for (int32_t i = 0; i < tensor.d; ++i) largest = std::max<double>(largest, std::fabs(x[i]));
    }
    const int32_t exponent = least_exponent(largest);
    for (size_t t = begin; t < end; ++t) {
      const float *x = tensor.values(b, h, tokens[t]);
      float *y = &to[tensor.index(b, h, tokens[t])];
      for (int32_t i = 0; i < tensor.d; ++i) {
        y[i] = (float)std::ldexp(to_e4m3(std::ldexp(x[i], -exponent)), exponent);
      }
    }
  }
}

std::vector<int32_t> text_tokens(int32_t begin, int32_t count) {
  std::vector<int32_t> tokens(count);
  for (int32_t i = 0; i < count; ++i) tokens[i] = begin + i;
  return tokens;
}

// What the rounding depends on besides the numbers.
std::vector<int32_t> rounding_of(const TestCase &c) {
  std::vector<int32_t> all;
  for (const TestPattern &p : c.patterns) {
    all.insert(all.end(), {(int32_t)p.order, p.tile_t, p.tile_h, p.tile_w});
  }
  for (int32_t b = 0; b < c.batch; ++b) all.push_back(c.valid(b));
  return all;
}

}  // namespace

Quantised::Quantised(const TestCase &c, const TestData &data)
    : q(data.q.index(c.batch, 0, 0), NAN),
      k(data.k.index(c.batch, 0, 0), NAN),
      v(k.size(), NAN),
      made_for_(rounding_of(c)) {
  const int32_t video_begin = c.text_first ? c.text : 0;
  const int32_t text_begin = c.text_first ? 0 : c.video();
  const bool cross = c.key_tokens > 0;
  for (int32_t h = 0; h < c.heads(); ++h) {
    const std::vector<int32_t> place = places(c, c.patterns[h]);
    std::vector<int32_t> video(place.size());
    for (size_t stored = 0; stored < place.size(); ++stored) {
      video[place[stored]] = video_begin + (int32_t)stored;
    }
    for (int32_t b = 0; b < c.batch; ++b) {
      round_segment(data.q, b, h, video, q);
      round_segment(data.q, b, h, text_tokens(text_begin, c.text), q);
      const std::vector<int32_t> text = text_tokens(cross ? 0 : text_begin, c.valid(b));
      for (const auto &[from, to] : {std::pair(&data.k, &k), std::pair(&data.v, &v)}) {
        if (!cross) round_segment(*from, b, h, video, *to);
        round_segment(*from, b, h, text, *to);
      }
    }
  }
}

TestCase uneven_case(int32_t head_dim, int32_t block, int32_t text, bool text_first) {
  TestCase c;
  c.type = SVDIT_E4M3;
  c.frames = 4;
  c.height = 6;
  c.width = 17;
  c.text = text;
  c.text_first = text_first;
  if (text > 0) c.text_valid = {text - 20};
  c.block = block;
  c.head_dim = head_dim;
  // Products of the rounded numbers reach thousands here. Hopper's sums of e4m3 products keep 13
  // bits below the largest term (accumulation.cuh), so at the usual scale logits would be off by
  // 0.1; at this one they are of the size that data of a usual spread has.
  c.scale = 0x1p-11f;
  for (uint32_t order = SVDIT_ORDER_FRAME_MAJOR; order <= SVDIT_ORDER_TILE_MAJOR; ++order) {
    TestPattern pattern;
    pattern.mode = SVDIT_MODE_VERTICAL_STRIPE;
    pattern.order = order;
    if (order == SVDIT_ORDER_TILE_MAJOR) pattern.tile_t = pattern.tile_h = pattern.tile_w = 3;
    for (int32_t b = 1; b < c.video_blocks(); b += 2) pattern.blocks.push_back(b);
    c.patterns.push_back(pattern);
  }
  return c;
}

void make_uneven(const TestCase &c, const TestData &data) {
  constexpr float kLarge = 0x1p14f;
  for (int32_t h = 0; h < c.heads(); ++h) {
    const Visibility visibility(c, h);
    for (int32_t b = 0; b < c.batch; ++b) {
      for (int32_t t = 0; t < c.queries(); ++t) {
        const auto times = [&](const TestTensor &tensor, int32_t i, float factor) {
          from_float(tensor.type, factor * (float)tensor.at(b, h, t, i),
                     tensor.row(b, h, t) + i * element_bytes(tensor.type));
        };
        // Text blocks are numbered on after the video's.
        const int32_t block = visibility.query_block(t), video = c.video_blocks();
        const float factor = (block < video ? block : block - video) % 2 == 0 ? kLarge : 1;
        times(data.q, 0, factor);
        times(data.q, 1, 0);
        times(data.k, 0, 0);
        times(data.k, 1, factor);
        for (int32_t i = 0; c.text == 0 && i < c.head_dim; ++i) times(data.v, i, factor);
      }
    }
  }
}

const Quantised &Quantised::of(const TestCase &c, const TestData &data) {
  if (data.quantised == nullptr || data.quantised->made_for_ != rounding_of(c)) {
    data.quantised.reset(new Quantised(c, data));
  }
  return *data.quantised;
}

}  // namespace svdit::test

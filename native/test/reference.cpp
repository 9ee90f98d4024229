#include "test/reference.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "test/quantised.h"

namespace svdit::test {

std::vector<int32_t> places(const TestCase &c, const TestPattern &p) {
  struct Token {
    std::array<int32_t, 6> key;
    int32_t stored;
  };
  std::vector<Token> tokens;
  for (int32_t t = 0, stored = 0; t < c.frames; ++t) {
    for (int32_t h = 0; h < c.height; ++h) {
      for (int32_t w = 0; w < c.width; ++w, ++stored) {
        std::array<int32_t, 6> key{0, 0, 0, t, h, w};
        if (p.order == SVDIT_ORDER_TOKEN_MAJOR) key = {0, 0, 0, h, w, t};
        if (p.order == SVDIT_ORDER_TILE_MAJOR) {
          key = {t / p.tile_t, h / p.tile_h, w / p.tile_w, t, h, w};
        }
        tokens.push_back({key, stored});
      }
    }
  }
  std::sort(tokens.begin(), tokens.end(),
            [](const Token &a, const Token &b) { return a.key < b.key; });
  std::vector<int32_t> place(tokens.size());
  for (size_t i = 0; i < tokens.size(); ++i) place[tokens[i].stored] = (int32_t)i;
  return place;
}

Visibility::Visibility(const TestCase &c, int32_t head)
    : c_(c), pattern_(c.patterns[head]), place_(places(c, c.patterns[head])) {}

int32_t Visibility::query_block(int32_t query) const {
  const int32_t text_begin = c_.text_first ? 0 : c_.video();
  const int32_t text = query - text_begin;
  if (text >= 0 && text < c_.text) return c_.video_blocks() + text / c_.block;
  return place_[query - (c_.text_first ? c_.text : 0)] / c_.block;
}

bool Visibility::block_sees(int32_t a, int32_t b) const {
  const auto has = [](const std::vector<int32_t> &set, int32_t x) {
    return std::find(set.begin(), set.end(), x) != set.end();
  };
  switch (pattern_.mode) {
    case SVDIT_MODE_SKIP:
      return false;
    case SVDIT_MODE_VERTICAL_STRIPE:
      return has(pattern_.blocks, b);
    case SVDIT_MODE_BLOCKS:
      return has(pattern_.lists[a], b);
    case SVDIT_MODE_DIAGONAL:
    case SVDIT_MODE_MULTI_DIAGONAL: {
      const auto low = [&](int64_t x) { return x * c_.block; };
      const auto high = [&](int64_t x) {
        return std::min<int64_t>((x + 1) * c_.block, c_.video()) - 1;
      };
      const int64_t distance = std::max<int64_t>({low(a) - high(b), low(b) - high(a), 0});
      return distance <= pattern_.window || has(pattern_.blocks, b);
    }
    default:
      return true;
  }
}

bool Visibility::sees(int32_t query, int32_t key, int32_t text_valid) const {
  if (pattern_.mode == SVDIT_MODE_SKIP) return false;
  if (c_.key_tokens > 0) return key < text_valid;
  const int32_t video_begin = c_.text_first ? c_.text : 0;
  const int32_t text_begin = c_.text_first ? 0 : c_.video();
  const auto is_video = [&](int32_t token) {
    return token >= video_begin && token < video_begin + c_.video();
  };
  if (!is_video(key)) return key - text_begin < text_valid;
  if (!is_video(query)) return true;
  return block_sees(place_[query - video_begin] / c_.block, place_[key - video_begin] / c_.block);
}

namespace {

// The rows that are multiplied, and how weights are rounded.
struct Rows {
  const float *q, *k, *v;
};

Rows rows_of(const TestCase &c, const TestData &data, int32_t b, int32_t h, int32_t query) {
  if (c.type != SVDIT_E4M3) {
    return {data.q.values(b, h, query), data.k.values(b, h, 0), data.v.values(b, h, 0)};
  }
  const Quantised &rounded = Quantised::of(c, data);
  return {&rounded.q[data.q.index(b, h, query)], &rounded.k[data.k.index(b, h, 0)],
          &rounded.v[data.v.index(b, h, 0)]};
}

// A weight of a row whose largest is 1.
float rounded_weight(uint32_t type, float weight, float sum) {
  return type == SVDIT_E4M3 ? (float)to_e4m3(0x1p8 * weight) / (0x1p8f * sum)
                            : rounded(type, weight / sum);
}

}  // namespace

ReferenceRow reference_row(const TestCase &c, const TestData &data, int32_t b, int32_t h,
                           int32_t query, const std::function<bool(int32_t)> &sees) {
  const int32_t d = c.head_dim;
  const double scale = c.scale == 0 ? 1 / std::sqrt((double)d) : c.scale;
  ReferenceRow row{std::vector<double>(d, 0), std::vector<float>(d, 0), -INFINITY, {}, {}};
  std::vector<double> logits;
  std::vector<float> low_logits;
  const Rows rows = rows_of(c, data, b, h, query);
  double max = -INFINITY;
  float low_max = -INFINITY;
  for (int32_t key = 0; key < c.keys(); ++key) {
    if (!sees(key)) continue;
    const float *k = rows.k + (size_t)key * d;
    double dot = 0;
    float low = 0;
    for (int32_t i = 0; i < d; ++i) {
      dot += (double)rows.q[i] * k[i];
      low += rows.q[i] * k[i];
    }
    row.keys.push_back(key);
    logits.push_back(dot * scale);
    low_logits.push_back(low * (float)scale);
    max = std::max(max, logits.back());
    low_max = std::max(low_max, low_logits.back());
  }
  if (row.keys.empty()) return row;
  double sum = 0;
  float low_sum = 0;
  for (size_t j = 0; j < row.keys.size(); ++j) {
    row.weights.push_back(std::exp(logits[j] - max));
    low_logits[j] = std::exp(low_logits[j] - low_max);
    sum += row.weights[j];
    low_sum += low_logits[j];
  }
  for (size_t j = 0; j < row.keys.size(); ++j) {
    const double p = row.weights[j] /= sum;
    const float low_p = rounded_weight(c.type, low_logits[j], low_sum);
    const float *v = rows.v + (size_t)row.keys[j] * d;
    for (int32_t i = 0; i < d; ++i) {
      row.out[i] += p * v[i];
      row.low[i] += low_p * v[i];
    }
  }
  for (float &x : row.low) x = rounded(tensor_type(c.type), x);
  row.lse = max + std::log(sum);
  return row;
}

void Accuracy::add(double out, double low, double ref) {
  const double error = std::fabs(out - ref), low_error = std::fabs(low - ref);
  bad_ |= !(error < INFINITY);
  max_out_ = std::max(max_out_, error);
  max_low_ = std::max(max_low_, low_error);
  sum_out_ += error;
  sum_low_ += low_error;
  max_ref_ = std::max(max_ref_, std::fabs(ref));
  ++count_;
}

void Accuracy::expect_within() const {
  const double floor = type_ == SVDIT_FP32   ? 1e-6
                       : type_ == SVDIT_FP16 ? std::ldexp(max_ref_, -12)
                                             : std::ldexp(max_ref_, -9);
  EXPECT(!bad_, "an output is NaN or infinite");
  EXPECT(max_out_ <= 2 * max_low_ + floor, "largest error %g, bound %g", max_out_,
         2 * max_low_ + floor);
  EXPECT(sum_out_ <= 2 * sum_low_ + floor * (double)count_, "mean error %g, bound %g",
         sum_out_ / (double)count_, 2 * sum_low_ / (double)count_ + floor);
}

void expect_matches(const TestCase &c, const TestData &data) {
  Accuracy accuracy(c.type);
  double worst_lse = 0;
  bool wrong_empty = false;
  for (int32_t h = 0; h < c.heads(); ++h) {
    const Visibility visibility(c, h);
    for (int32_t b = 0; b < c.batch; ++b) {
      for (int32_t query = 0; query < c.queries(); ++query) {
        const ReferenceRow row = reference_row(c, data, b, h, query, [&](int32_t key) {
          return visibility.sees(query, key, c.valid(b));
        });
        const double lse = data.lse(c, b, h, query);
        if (std::isinf(row.lse)) {
          wrong_empty |= !(std::isinf(lse) && lse < 0);
          for (int32_t i = 0; i < c.head_dim; ++i) {
            wrong_empty |= data.out.at(b, h, query, i) != 0;
          }
          continue;
        }
        const double error = std::fabs(lse - row.lse) / (1 + std::fabs(row.lse));
        if (!(error <= worst_lse)) worst_lse = error;
        for (int32_t i = 0; i < c.head_dim; ++i) {
          accuracy.add(data.out.at(b, h, query, i), row.low[i], row.out[i]);
        }
      }
    }
  }
  accuracy.expect_within();
  EXPECT(worst_lse <= (c.type == SVDIT_E4M3 ? e4m3_lse_bound : 1e-5), "LSE is off by %g",
         worst_lse);
  EXPECT(!wrong_empty, "a row that sees nothing is not 0 with LSE -inf");
  EXPECT(data.out.touched_gaps() == 0, "bytes between out's rows were written");
}

OutputError output_error(const TestCase &c, const TestData &data) {
  TestCase stored = c;
  stored.type = tensor_type(c.type);
  double largest = 0, errors = 0, squares = 0;
  for (int32_t h = 0; h < c.heads(); ++h) {
    const Visibility visibility(c, h);
    for (int32_t b = 0; b < c.batch; ++b) {
      for (int32_t query = 0; query < c.queries(); ++query) {
        const ReferenceRow row = reference_row(stored, data, b, h, query, [&](int32_t key) {
          return visibility.sees(query, key, c.valid(b));
        });
        for (int32_t i = 0; i < c.head_dim; ++i) {
          const double error = data.out.at(b, h, query, i) - row.out[i];
          largest = std::max(largest, std::fabs(error));
          errors += error * error;
          squares += row.out[i] * row.out[i];
        }
      }
    }
  }
  return {largest, squares > 0 ? std::sqrt(errors / squares) : 0};
}

}  // namespace svdit::test

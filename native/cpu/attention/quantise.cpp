#include "cpu/attention/quantise.h"

#include <algorithm>
#include <bit>

#include "base/bf16.h"
#include "base/error.h"
#include "cpu/attention/attention.h"
#include "plan/e4m3.h"

namespace svdit {
namespace {

constexpr int32_t kBf16Bytes = 2;

// Least and largest |element|, as the bits of a bf16 number without its sign: they are ordered as
// the numbers are. Nothing branches here and below, so that the compiler makes vectors of it.
struct Extent {
  int16_t least, largest;
};

Extent extent_of(const uint16_t *row, int32_t head_dim) {
  Extent extent{0x7fff, 0};
  for (int32_t i = 0; i < head_dim; ++i) {
    const auto magnitude = static_cast<int16_t>(row[i] & 0x7fff);
    extent.least = std::min(extent.least, magnitude);
    extent.largest = std::max(extent.largest, magnitude);
  }
  return extent;
}

constexpr int16_t kInfinity = 0x7f80;  // as the bits of a bf16 number; beyond it are NaNs

// The largest |element| that is no NaN.
int16_t largest_number(const uint16_t *row, int32_t head_dim) {
  int16_t largest = 0;
  for (int32_t i = 0; i < head_dim; ++i) {
    const auto magnitude = static_cast<int16_t>(row[i] & 0x7fff);
    largest = std::max(largest, magnitude > kInfinity ? int16_t{0} : magnitude);
  }
  return largest;
}

// Of the seven bits behind an element's first three stay; ties to even.
void round_normal(const uint16_t *__restrict from, uint16_t *__restrict to, int32_t head_dim) {
  for (int32_t i = 0; i < head_dim; ++i) {
    to[i] = static_cast<uint16_t>((from[i] + 7 + (from[i] >> 4 & 1)) & 0xfff0);
  }
}

// Bits of floats: of 2^-6, e4m3's least power of two with three bits behind it; and what, added to
// those of a power of two, gives 1.5 2^20 times it.
constexpr int32_t kLeastNormal = (127 - 6) << 23;
constexpr int32_t kTimesLarge = (20 << 23) + (1 << 22);

// Elements of any size. One between a power of two and its double is added to 1.5 2^20 times that
// power, whose last place in fp32 is the power's eighth, and so rounded to three bits; one below
// 2^-6 is rounded as if that were its power.
void round_any(const uint16_t *__restrict from, uint16_t *__restrict to, int32_t head_dim,
               int32_t exponent) {
  const float scale = power_of_two(exponent), inverse = power_of_two(-exponent);
  for (int32_t i = 0; i < head_dim; ++i) {
    const float x = from_bf16(from[i]) * inverse;
    const int32_t power = std::max(std::bit_cast<int32_t>(x) & 0x7f800000, kLeastNormal);
    // Unsigned, because that of infinity and NaN runs over; both stay what they are all the same.
    const float large =
        std::bit_cast<float>(static_cast<uint32_t>(power) + static_cast<uint32_t>(kTimesLarge));
    to[i] = static_cast<uint16_t>(std::bit_cast<uint32_t>((x + large - large) * scale) >> 16);
  }
}

// Tokens of a segment that share a scale, by position; the segment's last may be short.
struct Stretch {
  Run positions;
  bool video;
};

int32_t stretches_of(Run segment) {
  return (segment.end - segment.begin + kScaleTokens - 1) / kScaleTokens;
}

Stretch stretch_of(int32_t i, Run video, Run text) {
  const int32_t video_stretches = stretches_of(video);
  const bool is_video = i < video_stretches;
  const Run segment = is_video ? video : text;
  const int32_t begin = segment.begin + (is_video ? i : i - video_stretches) * kScaleTokens;
  return {{begin, std::min(begin + kScaleTokens, segment.end)}, is_video};
}

// Whether one of args' query blocks holds one of the stretch's tokens.
bool asked_for(const Layout &layout, const svdit_attention_args &args, const Stretch &stretch) {
  const int32_t segment = stretch.video ? layout.query_video_begin : layout.query_text_begin;
  const int32_t before = stretch.video ? 0 : layout.query_video_blocks;
  const auto block = [&](int32_t position) { return before + (position - segment) / layout.block; };
  return block(stretch.positions.begin) < args.query_block_end &&
         block(stretch.positions.end - 1) >= args.query_block_begin;
}

// Where the copies lie in the workspace: [batch, heads, tokens, head_dim], one after the other.
svdit_attention_args with_copies(const Plan &plan, const svdit_attention_args &args) {
  svdit_attention_args copies = args;
  char *at = static_cast<char *>(args.workspace);
  for (const auto tensor :
       {&svdit_attention_args::q, &svdit_attention_args::k, &svdit_attention_args::v}) {
    const int64_t token = plan.head_dim;
    const int64_t head =
        token * (tensor == &svdit_attention_args::q ? plan.query_tokens() : plan.key_tokens());
    const int64_t row = head * plan.head_count();
    const uint64_t bytes = static_cast<uint64_t>(row) * args.batch * kBf16Bytes;
    copies.*tensor = {at, bytes, row, head, token};
    at += bytes;
  }
  return copies;
}

}  // namespace

void quantise_rows(const Rows &from, const Rows &to, const int32_t *tokens, int32_t count,
                   int32_t head_dim) {
  const auto row = [tokens](const Rows &rows, int32_t i) {
    return reinterpret_cast<uint16_t *>(rows.data + tokens[i] * rows.stride);
  };
  int16_t least[kScaleTokens], largest = 0;
  for (int32_t i = 0; i < count; ++i) {
    const Extent extent = extent_of(row(from, i), head_dim);
    least[i] = extent.least;
    largest = std::max(largest, extent.largest);
  }
  // A NaN stays one in its place and has no say in the scale, which is its neighbours' too. Looked
  // for apart, because hardly any call has one.
  const bool nan = largest > kInfinity;
  if (nan) {
    largest = 0;
    for (int32_t i = 0; i < count; ++i) {
      largest = std::max(largest, largest_number(row(from, i), head_dim));
    }
  }
  const int32_t exponent = scale_exponent(from_bf16(static_cast<uint16_t>(largest)));
  const auto least_normal =
      static_cast<int16_t>(std::bit_cast<uint32_t>(power_of_two(exponent - 6)) >> 16);
  for (int32_t i = 0; i < count; ++i) {
    if (least[i] >= least_normal && !nan) {
      round_normal(row(from, i), row(to, i), head_dim);
    } else {
      round_any(row(from, i), row(to, i), head_dim, exponent);
    }
  }
}

uint64_t quantised_bytes(const Plan &plan, int32_t batch) {
  __extension__ typedef unsigned __int128 Wide;
  const Wide rows =
      static_cast<Wide>(plan.query_tokens()) + 2 * static_cast<Wide>(plan.key_tokens());
  const Wide bytes = rows * plan.head_count() * batch * plan.head_dim * kBf16Bytes;
  return static_cast<uint64_t>(std::min<Wide>(bytes, UINT64_MAX));
}

svdit_attention_args quantise(const Plan &plan, ThreadPool &pool,
                              const svdit_attention_args &args) {
  if (reinterpret_cast<uintptr_t>(args.workspace) % 16 != 0) {
    fail(SVDIT_INVALID_ARGUMENT, "workspace is %p, an E4M3 plan needs a multiple of 16",
         args.workspace);
  }
  const svdit_attention_args copies = with_copies(plan, args);

  const Layout &layout = plan.layout;
  const Run query_video{layout.query_video_begin, layout.query_video_begin + layout.query_video};
  const Run query_text{layout.query_text_begin, layout.query_text_begin + layout.query_text};
  const int32_t of_q = stretches_of(query_video) + stretches_of(query_text);
  const int32_t of_k = stretches_of(layout.key_video_run()) + stretches_of(layout.key_text_run());
  const int64_t heads = args.head_end - args.head_begin, stretches = of_q + 2 * (int64_t)of_k;

  pool.for_each(args.batch * heads * stretches, [&](int64_t item) {
    const auto i = static_cast<int32_t>(item % stretches);
    const auto head = static_cast<int32_t>(args.head_begin + item / stretches % heads);
    const auto row = static_cast<int32_t>(item / stretches / heads);
    if (plan.heads[head].mode == Mode::kSkip) return;
    require_not_cancelled(args);

    Stretch stretch;
    auto tensor = &svdit_attention_args::q;
    if (i < of_q) {
      stretch = stretch_of(i, query_video, query_text);
      if (!asked_for(layout, args, stretch)) return;
    } else {
      Run text = layout.key_text_run();
      if (args.text_valid != nullptr) text.end = text.begin + args.text_valid[row];
      stretch = stretch_of((i - of_q) % of_k, layout.key_video_run(), text);
      if (stretch.positions.begin >= stretch.positions.end) return;
      tensor = i < of_q + of_k ? &svdit_attention_args::k : &svdit_attention_args::v;
    }
    const std::vector<int32_t> &order = plan.orders[plan.heads[head].order].stored;
    const StoredTokens stored(stretch.video ? query_video.begin : 0,
                              stretch.video ? layout.query_video : 0, order);
    int32_t tokens[kScaleTokens];
    stored.list(stretch.positions.begin, stretch.positions.end, tokens);
    quantise_rows(rows_of(args.*tensor, row, head, kBf16Bytes),
                  rows_of(copies.*tensor, row, head, kBf16Bytes), tokens,
                  stretch.positions.end - stretch.positions.begin, plan.head_dim);
  });
  return copies;
}

}  // namespace svdit

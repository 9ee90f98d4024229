#include "cuda/host/sweep_call.h"

#include <algorithm>
#include <cstring>

#include "base/bf16.h"
#include "base/error.h"
#include "cuda/host/prepare.h"

namespace svdit::cuda {

SweepCall::SweepCall(const Plan &plan, const svdit_sweep_args &args, int32_t resident)
    : plan_(plan), args_(args), heads_(args.head_end - args.head_begin) {
  for (const auto &[tensor, name] :
       {std::pair(&args.q, "q"), std::pair(&args.k, "k"), std::pair(&args.v, "v")}) {
    view_of(*tensor, name);
  }
  const int64_t per_row = static_cast<int64_t>(heads_) * args.query_block_count;
  if (per_row > INT32_MAX / 2 / args.batch) {
    fail(SVDIT_UNSUPPORTED, "batch %d with %d heads and %d query blocks is more than CUDA takes",
         args.batch, heads_, args.query_block_count);
  }
  const int64_t items = args.batch * per_row;
  const Layout &layout = plan.layout;
  const int32_t video_blocks = layout.key_video_blocks, dim = plan.head_dim;
  blocks_ = static_cast<int32_t>(std::min<int64_t>(resident, items));
  words_ = (video_blocks + 31) / 32;
  video_tiles_ = (layout.key_video - 1) / kSweepTile + 1;

  counter_ = place(1, sizeof(uint32_t));
  query_blocks_ = place(args.query_block_count, sizeof(int32_t));
  stops_ = place(args.stop_count, sizeof(int64_t));
  first_ = place(args.first == nullptr ? 0 : args.first_offsets[heads_], sizeof(int32_t));
  first_offsets_ = place(heads_ + 1, sizeof(int64_t));
  listed_ = place(static_cast<uint64_t>(heads_) * words_, sizeof(uint32_t));
  text_valid_ = place(args.batch, sizeof(int32_t));
  stored_ = place(args.order == SVDIT_ORDER_FRAME_MAJOR ? 0 : layout.key_video, sizeof(int32_t));
  gram_ = place(args.gram == nullptr ? 0 : 2 * static_cast<uint64_t>(heads_) * dim * dim, 2);
  inputs_end_ = end_;

  error_ = place(items * args.stop_count, sizeof(double));
  norm_ = place(items, sizeof(double));
  const int64_t block_elements = static_cast<int64_t>(layout.block) * dim;
  reference_ = place(args.reference == nullptr ? 0 : items * block_elements, sizeof(float));
  mass_ = place(args.mass == nullptr ? 0 : items * video_blocks, sizeof(double));
  tile_sums_ = (args.stop_count + 1) * block_elements * static_cast<int64_t>(sizeof(float));
  scratch_bytes_ = tile_sums_;
  if (args.mass != nullptr) {
    scratch_bytes_ += static_cast<int64_t>(video_tiles_) * layout.block * sizeof(float);
  }
  scratch_ = place(blocks_, scratch_bytes_);
}

SweepCall::Place SweepCall::place(uint64_t elements, uint64_t element_bytes) {
  const Place place{end_, elements * element_bytes};
  end_ += (place.bytes + 255) / 256 * 256;
  return place;
}

template <class T>
T *SweepCall::at(const Place &place) const {
  return place.bytes == 0
             ? nullptr
             : reinterpret_cast<T *>(static_cast<char *>(args_.workspace) + place.begin);
}

std::vector<char> SweepCall::inputs() const {
  std::vector<char> bytes(inputs_end_);
  const auto put = [&](const Place &place, const void *from) {
    if (place.bytes > 0) std::memcpy(&bytes[place.begin], from, place.bytes);
  };
  put(query_blocks_, args_.query_blocks);
  put(stops_, args_.stops);
  auto *listed = reinterpret_cast<uint32_t *>(&bytes[listed_.begin]);
  if (args_.first != nullptr) {
    put(first_, args_.first);
    put(first_offsets_, args_.first_offsets);
    for (int32_t h = 0; h < heads_; ++h) {
      for (int64_t i = args_.first_offsets[h]; i < args_.first_offsets[h + 1]; ++i) {
        listed[h * words_ + args_.first[i] / 32] |= 1u << args_.first[i] % 32;
      }
    }
  }
  if (args_.text_valid != nullptr) {
    put(text_valid_, args_.text_valid);
  } else {
    std::fill_n(reinterpret_cast<int32_t *>(&bytes[text_valid_.begin]), args_.batch,
                plan_.layout.key_text);
  }
  if (stored_.bytes > 0) {
    const std::vector<int32_t> stored =
        stored_tokens(plan_.sequence, {args_.order, args_.tile_t, args_.tile_h, args_.tile_w});
    auto *const to = reinterpret_cast<int32_t *>(&bytes[stored_.begin]);
    for (int32_t i = 0; i < plan_.layout.key_video; ++i) to[i] = stored.empty() ? i : stored[i];
  }
  if (gram_.bytes > 0) {
    auto *const to = reinterpret_cast<uint16_t *>(&bytes[gram_.begin]);
    const int64_t size = static_cast<int64_t>(plan_.head_dim) * plan_.head_dim;
    for (int64_t i = 0; i < heads_ * size; ++i) {
      const uint16_t high = to_bf16(args_.gram[i]);
      const int64_t at = i / size * 2 * size + i % size;
      to[at] = high;
      to[at + size] = to_bf16(args_.gram[i] - from_bf16(high));
    }
  }
  return bytes;
}

SweepParams SweepCall::params() const {
  if (reinterpret_cast<uintptr_t>(args_.workspace) % 16 != 0) {
    fail(SVDIT_INVALID_ARGUMENT, "workspace is %p, CUDA needs a multiple of 16", args_.workspace);
  }
  SweepParams p{};
  p.q = view_of(args_.q, "q");
  p.k = view_of(args_.k, "k");
  p.v = view_of(args_.v, "v");
  p.text_valid = at<int32_t>(text_valid_);
  p.scale_log2 = cuda::scale_log2(args_.scale);
  p.negative_scale = args_.scale < 0;
  p.layout = plan_.layout;
  p.rule = {args_.rule == SVDIT_SWEEP_RANKED,
            args_.stop_count,
            at<int64_t>(stops_),
            at<int32_t>(first_),
            at<int64_t>(first_offsets_),
            at<uint32_t>(listed_),
            words_};
  p.stored = at<int32_t>(stored_);
  p.query_blocks = at<int32_t>(query_blocks_);
  p.gram = at<char>(gram_);
  p.error = at<double>(error_);
  p.norm = at<double>(norm_);
  p.reference = at<float>(reference_);
  p.mass = at<double>(mass_);
  p.scratch = at<char>(scratch_);
  p.scratch_bytes = scratch_bytes_;
  p.tile_sums = tile_sums_;
  p.next_item = at<uint32_t>(counter_);
  p.batch = args_.batch;
  p.head_begin = args_.head_begin;
  p.head_count = heads_;
  p.query_block_count = args_.query_block_count;
  p.video_tiles = video_tiles_;
  return p;
}

std::vector<SweepCall::Result> SweepCall::results() const {
  std::vector<Result> results;
  const auto add = [&](void *to, const Place &place) {
    if (place.bytes > 0) results.push_back({to, at<char>(place), place.bytes});
  };
  add(args_.error, error_);
  add(args_.norm, norm_);
  add(args_.reference, reference_);
  add(args_.mass, mass_);
  return results;
}

}  // namespace svdit::cuda

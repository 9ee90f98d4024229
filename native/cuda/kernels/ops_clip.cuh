// The operations of a video autoencoder on clips: gathering what a convolution's kernel sees, the
// statistics of a group norm and what is done with them, and spreading channels over pixels.
#ifndef SVDIT_CUDA_OPS_CLIP_CUH
#define SVDIT_CUDA_OPS_CLIP_CUH

#include <cmath>

#include "backend/conv.h"
#include "cuda/kernels/ops_each.cuh"

namespace svdit::cuda {

// Where a place's tap reads channel 0; NULL for zeros.
__device__ __forceinline__ const char *tap_source(const GatherParams &p, std::int64_t place,
                                                  int tap) {
  const std::int64_t line = place / p.out_width;
  const int column = static_cast<int>(place - line * p.out_width);
  const int frame = static_cast<int>(line / p.out_height);
  const int row = static_cast<int>(line - static_cast<std::int64_t>(frame) * p.out_height);
  const int kernel_frame = tap % p.kernel_frames, in_frame = tap / p.kernel_frames;
  int w = column * p.stride_width - p.pad_left + in_frame % p.kernel_width;
  int h = row * p.stride_height - p.pad_top + in_frame / p.kernel_width;
  if (p.padding == SVDIT_PAD_REPLICATE) {
    w = w < 0 ? 0 : w < p.seen_width ? w : p.seen_width - 1;
    h = h < 0 ? 0 : h < p.seen_height ? h : p.seen_height - 1;
  }
  if (w < 0 || w >= p.seen_width || h < 0 || h >= p.seen_height) return nullptr;
  const std::int64_t source =
      conv_frame(static_cast<std::int64_t>(frame) * p.stride_frames + kernel_frame, p.pad_frames,
                 p.kept, p.repeat_frames, p.padding_frames);
  const std::int64_t pixel = static_cast<std::int64_t>(h / p.repeat) * p.width + w / p.repeat;
  if (source == kPadded) return nullptr;
  if (source == -1) return p.before + pixel * p.before_stride;
  if (source == -2) return p.earlier + pixel * p.earlier_stride;
  return p.x.data + (source * p.height * p.width + pixel) * p.x.stride;
}

__global__ void __launch_bounds__(kEachThreads)
    gather_places(const __grid_constant__ GatherParams p) {
  const std::uint32_t taps =
      static_cast<std::uint32_t>(p.kernel_frames * p.kernel_height * p.kernel_width);
  const std::uint32_t step = ptx::block_count() * kEachThreads;
  const int bytes = p.whole_pieces ? 16 : p.x.type == SVDIT_FP32 ? 4 : 2;
  for (std::uint32_t i = ptx::block_index() * kEachThreads + ptx::thread_index(); i < p.pieces;
       i += step) {
    const std::uint32_t tapped = i / p.pieces_per_tap, piece = i - tapped * p.pieces_per_tap;
    const std::uint32_t place = tapped / taps;
    const char *from = tap_source(p, p.first + place, static_cast<int>(tapped - place * taps));
    char *to = p.to + static_cast<std::int64_t>(i) * bytes;
    const std::int64_t at = static_cast<std::int64_t>(piece) * bytes;
    if (p.whole_pieces) {
      ptx::Bits128 zero = {0, 0, 0, 0};
      ptx::store_global_16(to, from == nullptr ? zero : ptx::load_global_16(from + at));
    } else if (bytes == 4) {
      *reinterpret_cast<std::uint32_t *>(to) =
          from == nullptr ? 0 : *reinterpret_cast<const std::uint32_t *>(from + at);
    } else {
      *reinterpret_cast<std::uint16_t *>(to) =
          from == nullptr ? std::uint16_t{0} : *reinterpret_cast<const std::uint16_t *>(from + at);
    }
  }
}

// The sum over the block's threads; each slot is used once between two barriers of the caller.
__device__ __forceinline__ float block_sum(float x, int slot) {
#pragma unroll
  for (int mask = 16; mask > 0; mask /= 2) x += ptx::shuffle_xor(x, mask);
  constexpr int kWarps = kEachThreads / 32;
  const int thread = ptx::thread_index();
  const std::uint32_t at = ptx::shared_memory() + slot * kWarps * 4;
  if (thread % 32 == 0) ptx::store_shared(at + thread / 32 * 4, std::bit_cast<std::uint32_t>(x));
  ptx::barrier();
  x = 0;
#pragma unroll
  for (int warp = 0; warp < kWarps; ++warp) x += float_of(ptx::load_shared(at + warp * 4));
  return x;
}

__device__ __forceinline__ float read_element(const char *row, std::uint32_t type,
                                              std::int64_t column) {
  float value = 0;
  with_element(type, [&](auto element) {
    using Element = decltype(element);
    if constexpr (Element::kBytes == 4) {
      value = reinterpret_cast<const float *>(row)[column];
    } else {
      float unused;
      Element::unpack(reinterpret_cast<const std::uint16_t *>(row)[column], value, unused);
    }
  });
  return value;
}

__device__ __forceinline__ std::int64_t split_begin(std::int64_t rows, int split, int splits) {
  return rows * split / splits;
}

// Deviations are taken from the split's first element, so that a mean far from zero costs no
// digits.
__global__ void __launch_bounds__(kEachThreads)
    group_sums(const __grid_constant__ GroupSumParams p) {
  const int split = ptx::block_index() / p.groups, group = ptx::block_index() % p.groups;
  const std::int64_t begin = split_begin(p.rows, split, p.splits);
  const std::int64_t rows = split_begin(p.rows, split + 1, p.splits) - begin;
  const std::int64_t column = static_cast<std::int64_t>(group) * p.group;
  const float shift = read_element(p.x.data + begin * p.x.stride, p.x.type, column);
  float sum = 0, square = 0;
  for (std::int64_t i = ptx::thread_index(); i < rows * p.group; i += kEachThreads) {
    const std::int64_t row = i / p.group;
    const float v = read_element(p.x.data + (begin + row) * p.x.stride, p.x.type,
                                 column + (i - row * p.group)) -
                    shift;
    sum += v;
    square += v * v;
  }
  sum = block_sum(sum, 0);
  square = block_sum(square, 1);
  if (ptx::thread_index() != 0) return;
  const float count = static_cast<float>(rows * p.group), off = sum / count;
  float *to = p.partial + static_cast<std::int64_t>(ptx::block_index()) * 2;
  to[0] = shift + off;
  to[1] = square - sum * off;
}

__global__ void __launch_bounds__(kEachThreads)
    group_fold(const __grid_constant__ GroupFoldParams p) {
  const int group = ptx::block_index();
  const auto partial = [&](int split) {
    return p.partial + (static_cast<std::int64_t>(split) * p.groups + group) * 2;
  };
  const auto count = [&](int split) {
    return static_cast<float>((split_begin(p.rows, split + 1, p.splits) -
                               split_begin(p.rows, split, p.splits)) *
                              p.group);
  };
  const float all = static_cast<float>(p.rows * p.group), first = partial(0)[0];
  float sum = 0, square = 0;
  for (int split = ptx::thread_index(); split < p.splits; split += kEachThreads)
    sum += count(split) * (partial(split)[0] - first);
  const float mean = first + block_sum(sum, 0) / all;
  for (int split = ptx::thread_index(); split < p.splits; split += kEachThreads) {
    const float off = partial(split)[0] - mean;
    square += partial(split)[1] + count(split) * off * off;
  }
  const float scale = 1.0f / sqrtf(block_sum(square, 1) / all + p.epsilon);
  for (int c = ptx::thread_index(); c < p.group; c += kEachThreads) {
    const std::int64_t column = static_cast<std::int64_t>(group) * p.group + c;
    const float weight =
        p.weight.data == nullptr ? 1.0f : read_element(p.weight.data, p.weight.type, column);
    const float bias =
        p.bias.data == nullptr ? 0.0f : read_element(p.bias.data, p.bias.type, column);
    p.factor[column] = weight * scale;
    p.offset[column] = bias - mean * (weight * scale);
  }
}

__device__ __forceinline__ std::int64_t map_pixel(const AffineParams &p, std::int64_t row) {
  const std::int64_t line = row / p.width;
  const int w = static_cast<int>(row - line * p.width);
  const std::int64_t t = line / p.height;
  const int h = static_cast<int>(line - t * p.height);
  return (map_frame(t, p.frames, p.map_frames) * p.map_height +
          static_cast<std::int64_t>(h) * p.map_height / p.height) *
             p.map_width +
         static_cast<std::int64_t>(w) * p.map_width / p.width;
}

__global__ void __launch_bounds__(kEachThreads)
    affine_rows(const __grid_constant__ AffineParams p) {
  each_piece(p, [&](std::int64_t row, int column, int count, bool whole) {
    Piece v, by;
    read_piece(v, p.x.data + row * p.x.stride, p.x.type, column, count, whole);
    read_piece(by, p.factor, column, count, whole);
#pragma unroll
    for (int e = 0; e < kPiece; ++e) v[e] *= by[e];
    read_piece(by, p.offset, column, count, whole);
#pragma unroll
    for (int e = 0; e < kPiece; ++e) v[e] += by[e];
    if (p.scale.data != nullptr) {
      const std::int64_t pixel = map_pixel(p, row);
      read_piece(by, p.scale.data + pixel * p.scale.stride, p.scale.type, column, count, whole);
#pragma unroll
      for (int e = 0; e < kPiece; ++e) v[e] *= by[e];
      read_piece(by, p.shift.data + pixel * p.shift.stride, p.shift.type, column, count, whole);
#pragma unroll
      for (int e = 0; e < kPiece; ++e) v[e] += by[e];
    }
    if (p.silu) {
#pragma unroll
      for (int e = 0; e < kPiece; ++e) v[e] *= sigmoid(v[e]);
    }
    write_piece(v, p.y.data + row * p.y.stride, p.y.type, column, count, whole);
  });
}

__global__ void __launch_bounds__(kEachThreads)
    spread_rows(const __grid_constant__ SpreadParams p) {
  const int parts = p.factor_frames * p.factor * p.factor;
  each_piece(p, [&](std::int64_t row, int column, int count, bool whole) {
    const int width = p.width * p.factor, height = p.height * p.factor;
    const std::int64_t line = row / width;
    const int w = static_cast<int>(row - line * width);
    const int t = static_cast<int>(line / height) + p.first;
    const int h = static_cast<int>(line % height);
    const std::int64_t pixel =
        (static_cast<std::int64_t>(t / p.factor_frames) * p.height + h / p.factor) * p.width +
        w / p.factor;
    const int part =
        (t % p.factor_frames * p.factor + h % p.factor) * p.factor + w % p.factor;
    const char *from = p.x.data + pixel * p.x.stride;
    char *to = p.y.data + row * p.y.stride;
    Piece v;
    read_piece(v, to, p.y.type, column, count, whole);
#pragma unroll
    for (int e = 0; e < kPiece; ++e) {
      if (e >= count) continue;
      const std::int64_t o = static_cast<std::int64_t>(column + e) * parts + part;
      v[e] += read_element(from, p.x.type,
                           o * p.channels / (static_cast<std::int64_t>(p.columns) * parts));
    }
    write_piece(v, to, p.y.type, column, count, whole);
  });
}

}  // namespace svdit::cuda

#endif

// Norms with all that surrounds them in a denoiser, in one pass over memory: the residual that is
// added before, the affine map and the modulation, the rotary embedding after. A group of columns
// stays in registers of a few lanes, a warp or a block, so x is read once, whatever is done to it.
#ifndef SVDIT_CUDA_OPS_NORM_CUH
#define SVDIT_CUDA_OPS_NORM_CUH

#include <cmath>

#include "cuda/kernels/ops_elements.cuh"

namespace svdit::cuda {

template <int kLanes, int kPieces>
struct Norm {
  static constexpr NormShape kShape = {kLanes, kPieces};
  static constexpr int kWarps = kLanes / 32;  // that share a group; 0: part of one

  // The group that this thread works on, and where in it: piece i begins at column(i).
  struct Place {
    std::int32_t row;
    std::int32_t begin;    // column of the group in its row
    std::int32_t columns;  // of the group; 0 for a thread without one
    int lane;

    __device__ __forceinline__ int column(int i) const { return (i * kLanes + lane) * kPiece; }
    // Whether piece i is read in 16-byte pieces.
    __device__ __forceinline__ bool whole(const NormParams &p, int i) const {
      return p.whole_pieces && count(i) == kPiece;
    }
    // Elements of piece i that the group has.
    __device__ __forceinline__ int count(int i) const {
      const int left = columns - column(i);
      return left < 0 ? 0 : left < kPiece ? left : kPiece;
    }
  };

  static __device__ __forceinline__ Place place_of(const NormParams &p) {
    const int thread = ptx::thread_index();
    const std::int64_t unit =
        static_cast<std::int64_t>(ptx::block_index()) * kShape.groups_per_block() + thread / kLanes;
    const bool present = unit < static_cast<std::int64_t>(p.rows) * p.groups;
    const auto index = static_cast<std::uint32_t>(present ? unit : 0);
    Place place;
    place.row = static_cast<std::int32_t>(index / static_cast<std::uint32_t>(p.groups));
    place.begin = static_cast<std::int32_t>(index - place.row * p.groups) * p.group;
    place.columns = present ? p.group : 0;
    place.lane = thread % kLanes;
    return place;
  }

  // The sum over the group's lanes. Each slot is used once.
  static __device__ __forceinline__ float sum(float x, int slot) {
#pragma unroll
    for (int mask = (kLanes < 32 ? kLanes : 32) / 2; mask > 0; mask /= 2)
      x += ptx::shuffle_xor(x, mask);
    if constexpr (kWarps > 1) {
      const int thread = ptx::thread_index();
      const std::uint32_t at = ptx::shared_memory() + slot * kWarps * 4;
      if (thread % 32 == 0)
        ptx::store_shared(at + thread / 32 * 4, std::bit_cast<std::uint32_t>(x));
      ptx::barrier();
      x = 0;
#pragma unroll
      for (int warp = 0; warp < kWarps; ++warp) x += float_of(ptx::load_shared(at + warp * 4));
    }
    return x;
  }

  // The row's pieces, with what is added to them, which is stored too.
  static __device__ __forceinline__ void read(Piece (&v)[kPieces], const NormParams &p,
                                              const Place &place) {
    char *row = p.x.data + place.row * p.x.stride;
    with_element(p.x.type, [&](auto element) {
      using Element = decltype(element);
#pragma unroll
      for (int i = 0; i < kPieces; ++i) {
        const int count = place.count(i);
        if (place.whole(p, i)) {
          read_whole<Element>(v[i], row, place.begin + place.column(i));
        } else {
          read_some<Element>(v[i], row, place.begin + place.column(i), count);
        }
      }
    });
    if (p.added.data == nullptr) return;
    const char *added = p.added.data + place.row * p.added.stride;
#pragma unroll
    for (int i = 0; i < kPieces; ++i) {
      const int count = place.count(i), column = place.begin + place.column(i);
      const bool whole = place.whole(p, i);
      if (count == 0) continue;
      Piece more;
      read_piece(more, added, p.added.type, column, count, whole);
      if (p.gate != nullptr) {
        Piece gate;
        read_piece(gate, p.gate, column, count, whole);
#pragma unroll
        for (int e = 0; e < kPiece; ++e) more[e] *= gate[e];
      }
#pragma unroll
      for (int e = 0; e < kPiece; ++e) v[i][e] += more[e];
      write_piece(v[i], row, p.x.type, column, count, whole);
    }
  }

  // v = (v - mean) / deviation.
  static __device__ __forceinline__ void normalise(Piece (&v)[kPieces], const NormParams &p,
                                                   const Place &place) {
    const float columns = static_cast<float>(p.group);
    float mean = 0, squares = 0;
    if (!p.rms) {
#pragma unroll
      for (int i = 0; i < kPieces; ++i) {
#pragma unroll
        for (int e = 0; e < kPiece; ++e) mean += v[i][e];
      }
      mean = sum(mean, 0) / columns;
    }
#pragma unroll
    for (int i = 0; i < kPieces; ++i) {
      const int count = place.count(i);
#pragma unroll
      for (int e = 0; e < kPiece; ++e) {
        const float off = e < count ? v[i][e] - mean : 0;
        v[i][e] = off;
        squares += off * off;
      }
    }
    const float scale = 1.0f / sqrtf(sum(squares, 1) / columns + p.epsilon);
#pragma unroll
    for (int i = 0; i < kPieces; ++i) {
#pragma unroll
      for (int e = 0; e < kPiece; ++e) v[i][e] *= scale;
    }
  }

  // A piece of a row vector that is as long as a row, or as a group.
  static __device__ __forceinline__ void read_vector(Piece &v, const RowVector &vector,
                                                     const NormParams &p, const Place &place, int i,
                                                     int count) {
    const int from = vector.columns == p.group ? 0 : place.begin;
    read_piece(v, vector.data, vector.type, from + place.column(i), count, place.whole(p, i));
  }

  static __device__ __forceinline__ void run(const NormParams &p) {
    const Place place = place_of(p);
    Piece v[kPieces];
    read(v, p, place);
    normalise(v, p, place);
    char *row = p.y.data + place.row * p.y.stride;
    const bool rotated = p.rotary.cosine != nullptr && place.row >= p.rotary.row_begin &&
                         place.row < p.rotary.row_end;
#pragma unroll
    for (int i = 0; i < kPieces; ++i) {
      const int count = place.count(i), column = place.begin + place.column(i);
      const bool whole = place.whole(p, i);
      if (count == 0) continue;
      Piece by;
      if (p.weight.data != nullptr) {
        read_vector(by, p.weight, p, place, i, count);
#pragma unroll
        for (int e = 0; e < kPiece; ++e) v[i][e] *= by[e];
      }
      if (p.bias.data != nullptr) {
        read_vector(by, p.bias, p, place, i, count);
#pragma unroll
        for (int e = 0; e < kPiece; ++e) v[i][e] += by[e];
      }
      if (p.scale != nullptr) {
        read_piece(by, p.scale, column, count, whole);
#pragma unroll
        for (int e = 0; e < kPiece; ++e) v[i][e] += v[i][e] * by[e];
      }
      if (p.shift != nullptr) {
        read_piece(by, p.shift, column, count, whole);
#pragma unroll
        for (int e = 0; e < kPiece; ++e) v[i][e] += by[e];
      }
      if (p.silu) {
#pragma unroll
        for (int e = 0; e < kPiece; ++e) v[i][e] *= sigmoid(v[i][e]);
      }
      if (rotated) rotate(v[i], p.rotary, place.row, column, count, whole);
      write_piece(v[i], row, p.y.type, column, count, whole);
    }
  }
};

template <int kLanes, int kPieces>
__global__ void __launch_bounds__(NormShape{kLanes, kPieces}.threads())
    norm_rows(const __grid_constant__ NormParams p) {
  Norm<kLanes, kPieces>::run(p);
}

}  // namespace svdit::cuda

#endif

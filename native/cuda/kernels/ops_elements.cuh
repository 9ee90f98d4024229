// Pieces of eight consecutive elements of a row, as floats: read and written in 16-byte pieces
// where all rows allow it, else element by element.
#ifndef SVDIT_CUDA_OPS_ELEMENTS_CUH
#define SVDIT_CUDA_OPS_ELEMENTS_CUH

#include <bit>

#include "cuda/kernels/ops_params.h"
#include "cuda/ptx/ptx.cuh"
#include "svdit.h"

namespace svdit::cuda {

using Piece = float[kPiece];

__device__ __forceinline__ float float_of(std::uint32_t bits) { return std::bit_cast<float>(bits); }

__device__ __forceinline__ float sigmoid(float x) {
  return 1.0f / (1.0f + ptx::exp2_approx(-1.44269504f * x));
}

struct Bf16Element {
  static constexpr int kBytes = 2;
  static __device__ __forceinline__ void unpack(std::uint32_t two, float &low, float &high) {
    low = float_of(two << 16);
    high = float_of(two & 0xffff0000u);
  }
  static __device__ __forceinline__ std::uint32_t pack(float low, float high) {
    return ptx::pack_bf16(low, high);
  }
};

struct Fp16Element {
  static constexpr int kBytes = 2;
  static __device__ __forceinline__ void unpack(std::uint32_t two, float &low, float &high) {
    ptx::unpack_fp16(two, low, high);
  }
  static __device__ __forceinline__ std::uint32_t pack(float low, float high) {
    return ptx::pack_fp16(low, high);
  }
};

struct Fp32Element {
  static constexpr int kBytes = 4;
};

// Calls f with the element type that type names. The same for all threads, so that the branch costs
// next to nothing beside memory.
template <class F>
__device__ __forceinline__ void with_element(std::uint32_t type, const F &f) {
  if (type == SVDIT_BF16) {
    f(Bf16Element{});
  } else if (type == SVDIT_FP16) {
    f(Fp16Element{});
  } else {
    f(Fp32Element{});
  }
}

__device__ __forceinline__ void read_floats(Piece &v, const char *from, int at) {
  const ptx::Bits128 b = ptx::load_global_16(from);
  v[at] = float_of(b.x);
  v[at + 1] = float_of(b.y);
  v[at + 2] = float_of(b.z);
  v[at + 3] = float_of(b.w);
}

__device__ __forceinline__ void write_floats(const Piece &v, char *to, int at) {
  ptx::store_global_16(
      to, {std::bit_cast<std::uint32_t>(v[at]), std::bit_cast<std::uint32_t>(v[at + 1]),
           std::bit_cast<std::uint32_t>(v[at + 2]), std::bit_cast<std::uint32_t>(v[at + 3])});
}

// v = the piece that begins at element `column` of row; whole, at a multiple of 16 bytes.
template <class Element>
__device__ __forceinline__ void read_whole(Piece &v, const char *row, std::int64_t column) {
  const char *from = row + column * Element::kBytes;
  if constexpr (Element::kBytes == 4) {
    read_floats(v, from, 0);
    read_floats(v, from + 16, 4);
  } else {
    const ptx::Bits128 b = ptx::load_global_16(from);
    Element::unpack(b.x, v[0], v[1]);
    Element::unpack(b.y, v[2], v[3]);
    Element::unpack(b.z, v[4], v[5]);
    Element::unpack(b.w, v[6], v[7]);
  }
}

template <class Element>
__device__ __forceinline__ void write_whole(const Piece &v, char *row, std::int64_t column) {
  char *to = row + column * Element::kBytes;
  if constexpr (Element::kBytes == 4) {
    write_floats(v, to, 0);
    write_floats(v, to + 16, 4);
  } else {
    ptx::store_global_16(to, {Element::pack(v[0], v[1]), Element::pack(v[2], v[3]),
                              Element::pack(v[4], v[5]), Element::pack(v[6], v[7])});
  }
}

// The first `count` elements of a piece; the others of v become 0.
template <class Element>
__device__ __forceinline__ void read_some(Piece &v, const char *row, std::int64_t column,
                                          int count) {
#pragma unroll
  for (int e = 0; e < kPiece; ++e) {
    v[e] = 0;
    if (e >= count) continue;
    if constexpr (Element::kBytes == 4) {
      v[e] = reinterpret_cast<const float *>(row)[column + e];
    } else {
      float unused;
      Element::unpack(reinterpret_cast<const std::uint16_t *>(row)[column + e], v[e], unused);
    }
  }
}

template <class Element>
__device__ __forceinline__ void write_some(const Piece &v, char *row, std::int64_t column,
                                           int count) {
#pragma unroll
  for (int e = 0; e < kPiece; ++e) {
    if (e >= count) continue;
    if constexpr (Element::kBytes == 4) {
      reinterpret_cast<float *>(row)[column + e] = v[e];
    } else {
      reinterpret_cast<std::uint16_t *>(row)[column + e] =
          static_cast<std::uint16_t>(Element::pack(v[e], 0.0f));
    }
  }
}

// Either of them; count is at most the elements the row has left.
__device__ __forceinline__ void read_piece(Piece &v, const char *row, std::uint32_t type,
                                           std::int64_t column, int count, bool whole) {
  with_element(type, [&](auto element) {
    using Element = decltype(element);
    if (whole) {
      read_whole<Element>(v, row, column);
    } else {
      read_some<Element>(v, row, column, count);
    }
  });
}

__device__ __forceinline__ void write_piece(const Piece &v, char *row, std::uint32_t type,
                                            std::int64_t column, int count, bool whole) {
  with_element(type, [&](auto element) {
    using Element = decltype(element);
    if (whole) {
      write_whole<Element>(v, row, column);
    } else {
      write_some<Element>(v, row, column, count);
    }
  });
}

__device__ __forceinline__ void read_piece(Piece &v, const float *row, std::int64_t column,
                                           int count, bool whole) {
  const char *bytes = reinterpret_cast<const char *>(row);
  if (whole) {
    read_whole<Fp32Element>(v, bytes, column);
  } else {
    read_some<Fp32Element>(v, bytes, column, count);
  }
}

// Rotates the piece at `column` of row: pairs (a, b) become (a cos - b sin, b cos + a sin). A piece
// begins at an even column.
__device__ __forceinline__ void rotate(Piece &v, const Rotary &rotary, std::int64_t row, int column,
                                       int count, bool whole) {
  const float *cosine = rotary.cosine + (row - rotary.row_begin) * rotary.cosine_stride;
  const float *sine = rotary.sine + (row - rotary.row_begin) * rotary.sine_stride;
  float c[kPiece / 2], s[kPiece / 2];
  if (whole) {  // a piece lies in one head
    const int pair = column % rotary.head_dim / 2;
    const ptx::Bits128 cs = ptx::load_global_16(cosine + pair);
    const ptx::Bits128 ss = ptx::load_global_16(sine + pair);
    c[0] = float_of(cs.x), c[1] = float_of(cs.y), c[2] = float_of(cs.z), c[3] = float_of(cs.w);
    s[0] = float_of(ss.x), s[1] = float_of(ss.y), s[2] = float_of(ss.z), s[3] = float_of(ss.w);
  } else {
#pragma unroll
    for (int i = 0; i < kPiece / 2; ++i) {
      const int pair = (column + 2 * i) % rotary.head_dim / 2;
      c[i] = 2 * i < count ? cosine[pair] : 0;
      s[i] = 2 * i < count ? sine[pair] : 0;
    }
  }
#pragma unroll
  for (int i = 0; i < kPiece / 2; ++i) {
    const float a = v[2 * i], b = v[2 * i + 1];
    v[2 * i] = a * c[i] - b * s[i];
    v[2 * i + 1] = b * c[i] + a * s[i];
  }
}

}  // namespace svdit::cuda

#endif

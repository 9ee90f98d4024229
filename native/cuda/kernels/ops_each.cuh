// The operations in which every element stands for itself: conversion with activation and bias,
// gated residual, rotary embedding. Threads go over the pieces of all rows.
#ifndef SVDIT_CUDA_OPS_EACH_CUH
#define SVDIT_CUDA_OPS_EACH_CUH

#include <cmath>

#include "cuda/kernels/ops_elements.cuh"

namespace svdit::cuda {

// f(row, column, count, whole) for each piece that is this thread's; count < kPiece at a row's
// short end.
template <class Params, class F>
__device__ __forceinline__ void each_piece(const Params &p, const F &f) {
  const std::uint32_t step = ptx::block_count() * kEachThreads;
  for (std::uint32_t i = ptx::block_index() * kEachThreads + ptx::thread_index(); i < p.pieces;
       i += step) {
    const std::uint32_t row = i / p.pieces_per_row;
    const auto column = static_cast<std::int32_t>(i - row * p.pieces_per_row) * kPiece;
    const std::int32_t left = p.columns - column, count = left < kPiece ? left : kPiece;
    f(static_cast<std::int64_t>(row), column, count, p.whole_pieces && count == kPiece);
  }
}

// f(row, pair) for each pair of a piece that is this thread's.
template <class F>
__device__ __forceinline__ void each_pair_of_piece(const RopeHalvesParams &p, const F &f) {
  const std::uint32_t step = ptx::block_count() * kEachThreads;
  for (std::uint32_t i = ptx::block_index() * kEachThreads + ptx::thread_index(); i < p.pieces;
       i += step) {
    const std::uint32_t row = i / p.pieces_per_row;
    const auto begin = static_cast<std::int32_t>(i - row * p.pieces_per_row) * kPiece;
    const std::int32_t end = begin + kPiece < p.columns ? begin + kPiece : p.columns;
    for (std::int32_t pair = begin; pair < end; ++pair) f(static_cast<std::int64_t>(row), pair);
  }
}

__device__ __forceinline__ void activate(Piece &v, std::uint32_t activation) {
  if (activation == SVDIT_ACTIVATION_SILU) {
#pragma unroll
    for (int e = 0; e < kPiece; ++e) v[e] *= sigmoid(v[e]);
  } else if (activation == SVDIT_ACTIVATION_GELU_TANH) {
    // 0.5 x (1 + tanh(u)) = x sigmoid(2 u), u = sqrt(2 / pi) (x + 0.044715 x^3)
#pragma unroll
    for (int e = 0; e < kPiece; ++e) {
      const float x = v[e];
      v[e] = x * sigmoid(1.59576912f * (x + 0.044715f * x * x * x));
    }
  } else if (activation == SVDIT_ACTIVATION_GELU_ERF) {
#pragma unroll
    for (int e = 0; e < kPiece; ++e) v[e] *= 0.5f * erfcf(-0.707106781f * v[e]);
  } else if (activation == SVDIT_ACTIVATION_QUICK_GELU) {
#pragma unroll
    for (int e = 0; e < kPiece; ++e) v[e] *= sigmoid(1.702f * v[e]);
  }
}

__global__ void __launch_bounds__(kEachThreads)
    convert_rows(const __grid_constant__ ConvertParams p) {
  each_piece(p, [&](std::int64_t row, int column, int count, bool whole) {
    Piece v;
    read_piece(v, p.x.data + row * p.x.stride, p.x.type, column, count, whole);
    if (p.bias.data != nullptr) {
      Piece bias;
      read_piece(bias, p.bias.data, p.bias.type, column, count, whole);
#pragma unroll
      for (int e = 0; e < kPiece; ++e) v[e] += bias[e];
    }
    activate(v, p.activation);
    write_piece(v, p.y.data + row * p.y.stride, p.y.type, column, count, whole);
  });
}

__global__ void __launch_bounds__(kEachThreads)
    residual_rows(const __grid_constant__ ResidualParams p) {
  each_piece(p, [&](std::int64_t row, int column, int count, bool whole) {
    Piece x, y;
    char *to = p.y.data + row * p.y.stride;
    read_piece(x, p.x.data + row * p.x.stride, p.x.type, column, count, whole);
    read_piece(y, to, p.y.type, column, count, whole);
    if (p.gate != nullptr) {
      Piece gate;
      read_piece(gate, p.gate, column, count, whole);
#pragma unroll
      for (int e = 0; e < kPiece; ++e) x[e] *= gate[e];
    }
#pragma unroll
    for (int e = 0; e < kPiece; ++e) y[e] += x[e];
    write_piece(y, to, p.y.type, column, count, whole);
  });
}

__global__ void __launch_bounds__(kEachThreads) rope_rows(const __grid_constant__ RopeParams p) {
  each_piece(p, [&](std::int64_t row, int column, int count, bool whole) {
    Piece v;
    char *at = p.x.data + row * p.x.stride;
    read_piece(v, at, p.x.type, column, count, whole);
    rotate(v, p.rotary, row, column, count, whole);
    write_piece(v, at, p.x.type, column, count, whole);
  });
}

__global__ void __launch_bounds__(kEachThreads)
    rope_halves_rows(const __grid_constant__ RopeHalvesParams p) {
  each_pair_of_piece(p, [&](std::int64_t row, int pair) {
    const int half = p.rotary.head_dim / 2, head = pair / half, i = pair - head * half;
    char *at = p.x.data + row * p.x.stride;
    const int first = head * p.rotary.head_dim + i;
    Piece a, b;
    read_piece(a, at, p.x.type, first, 1, false);
    read_piece(b, at, p.x.type, first + half, 1, false);
    const float c = p.rotary.cosine[row * p.rotary.cosine_stride + i];
    const float s = p.rotary.sine[row * p.rotary.sine_stride + i];
    Piece rotated_a, rotated_b;
    rotated_a[0] = a[0] * c - b[0] * s;
    rotated_b[0] = b[0] * c + a[0] * s;
    write_piece(rotated_a, at, p.x.type, first, 1, false);
    write_piece(rotated_b, at, p.x.type, first + half, 1, false);
  });
}

__global__ void __launch_bounds__(kEachThreads)
    multiply_rows(const __grid_constant__ MultiplyParams p) {
  each_piece(p, [&](std::int64_t row, int column, int count, bool whole) {
    Piece a, b;
    read_piece(a, p.a.data + row * p.a.stride, p.a.type, column, count, whole);
    read_piece(b, p.b.data + row * p.b.stride, p.b.type, column, count, whole);
#pragma unroll
    for (int e = 0; e < kPiece; ++e) a[e] *= b[e];
    write_piece(a, p.y.data + row * p.y.stride, p.y.type, column, count, whole);
  });
}

// Reads go down columns: values of text and of a middle block are few, and the cache has them.
__global__ void __launch_bounds__(kEachThreads)
    transpose_rows(const __grid_constant__ TransposeParams p) {
  const std::uint32_t step = ptx::block_count() * kEachThreads;
  for (std::uint32_t i = ptx::block_index() * kEachThreads + ptx::thread_index(); i < p.pieces;
       i += step) {
    const std::uint32_t row = i / p.pieces_per_row;
    const auto column = static_cast<std::int32_t>(i - row * p.pieces_per_row) * kPiece;
    const std::int32_t left = p.columns - column, count = left < kPiece ? left : kPiece;
    Piece v;
#pragma unroll
    for (int e = 0; e < kPiece; ++e) {
      Piece one;
      one[0] = 0;
      if (e < count) read_piece(one, p.x.data + (column + e) * p.x.stride, p.x.type, row, 1, false);
      v[e] = one[0];
    }
    write_piece(v, p.y.data + row * p.y.stride, p.y.type, column, count, false);
  }
}

}  // namespace svdit::cuda

#endif

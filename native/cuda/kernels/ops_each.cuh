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

}  // namespace svdit::cuda

#endif

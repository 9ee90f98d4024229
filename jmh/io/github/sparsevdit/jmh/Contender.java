package io.github.sparsevdit.jmh;

import io.github.sparsevdit.tensor.ElementType;

/** Who computes dense attention in {@link DenseBenchmark}. */
public enum Contender {
  SVDIT_FP32,
  ONNX_FP32,
  TORCH_FP32,
  SVDIT_BF16,
  TORCH_BF16,
  SVDIT_FP16,
  SVDIT_E4M3;

  Attention open(Inputs inputs) {
    return switch (this) {
      case SVDIT_FP32 -> SvditAttention.dense(inputs, ElementType.FP32);
      case SVDIT_BF16 -> SvditAttention.dense(inputs, ElementType.BF16);
      case SVDIT_FP16 -> SvditAttention.dense(inputs, ElementType.FP16);
      case SVDIT_E4M3 -> SvditAttention.dense(inputs, ElementType.E4M3);
      case ONNX_FP32 -> new OnnxAttention(inputs);
      case TORCH_FP32 -> new TorchAttention(inputs, ElementType.FP32);
      case TORCH_BF16 -> new TorchAttention(inputs, ElementType.BF16);
    };
  }
}

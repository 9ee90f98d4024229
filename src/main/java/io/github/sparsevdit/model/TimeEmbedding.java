package io.github.sparsevdit.model;

import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;

/**
 * linear_2(silu(linear_1(sinus(t)))) with sinus = [cos t f | sin t f], f_i = e^(−ln 10⁴ · i /
 * half); all of it in fp32, as diffusers does, whatever else is computed in.
 */
final class TimeEmbedding {
  private final Linear first;
  private final Linear second;
  private final float[] sinus;
  private final Tensor input;
  private final Tensor hidden;

  /**
   * @param name of the module that holds linear_1 and linear_2
   * @param frequencies length of sinus
   * @param width of the result
   */
  TimeEmbedding(Weights weights, String name, int frequencies, int width) {
    first = weights.linearFp32(name + ".linear_1", frequencies, width);
    second = weights.linearFp32(name + ".linear_2", width, width);
    sinus = new float[frequencies];
    input = weights.buffer(ElementType.FP32, 1, frequencies);
    hidden = weights.buffer(ElementType.FP32, 1, width);
  }

  /** Writes the embedding of t to out [1, width], FP32. */
  void embed(Operations operations, double t, Tensor out) {
    int half = sinus.length / 2;
    for (int i = 0; i < half; i++) {
      float frequency = (float) Math.exp(-(float) Math.log(10000) * i / half);
      float angle = (float) t * frequency;
      sinus[i] = (float) Math.cos(angle);
      sinus[half + i] = (float) Math.sin(angle);
    }
    input.copyFrom(sinus);
    first.apply(operations, input, Activation.SILU, hidden);
    second.apply(operations, hidden, out);
  }
}

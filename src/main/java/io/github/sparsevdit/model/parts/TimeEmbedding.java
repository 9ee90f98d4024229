package io.github.sparsevdit.model.parts;

import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;

/**
 * linear_2(silu(linear_1(sinus(t)))) with sinus = [cos t f | sin t f], f_i = e^(−ln 10⁴ · i /
 * half); all of it in fp32 and in the order diffusers does it in, whatever else is computed in.
 */
public final class TimeEmbedding {
  private final Linear first;
  private final Linear second;
  private final float[] frequencies;
  private final float[] sinus;
  private final Tensor input;
  private final Tensor hidden;

  /**
   * @param name of the module that holds linear_1 and linear_2
   * @param frequencies length of sinus
   * @param width of the result
   */
  public TimeEmbedding(Weights weights, String name, int frequencies, int width) {
    first = weights.linear(name + ".linear_1", frequencies, width);
    second = weights.linear(name + ".linear_2", width, width);
    this.frequencies = frequencies(frequencies / 2);
    sinus = new float[frequencies];
    input = weights.buffer(ElementType.FP32, 1, frequencies);
    hidden = weights.buffer(ElementType.FP32, 1, width);
  }

  /** Writes the embedding of t to out [1, width], FP32. */
  public void embed(Operations operations, double t, Tensor out) {
    int half = sinus.length / 2;
    for (int i = 0; i < half; i++) {
      float angle = (float) t * frequencies[i];
      sinus[i] = (float) Math.cos(angle);
      sinus[half + i] = (float) Math.sin(angle);
    }
    input.copyFrom(sinus);
    first.apply(operations, input, Activation.SILU, hidden);
    second.apply(operations, hidden, out);
  }

  /** e^(−ln 10⁴ · i / half) for i &lt; half. */
  static float[] frequencies(int half) {
    float[] result = new float[half];
    for (int i = 0; i < half; i++) {
      result[i] = exp(-(float) Math.log(10000) * i / half);
    }
    return result;
  }

  /**
   * e^x to 0.56 of an fp32 spacing, in the way of the vector library that PyTorch takes it from:
   * the nearest power of 2^(1/128), and a parabola for the rest. An exactly rounded e^x differs in
   * the last bit of one number in a hundred; times a timestep or guidance of some thousands, that
   * bit turns the angle by 2e-4, and the results by more than fp32 arithmetic does.
   */
  private static float exp(float x) {
    double part = Math.log(2) / 128;
    double whole = Math.rint(x / part);
    double rest = x - whole * part;
    return (float) (Math.pow(2, whole / 128) * (1 + rest + rest * rest / 2));
  }
}

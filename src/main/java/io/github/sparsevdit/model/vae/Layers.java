package io.github.sparsevdit.model.vae;

import io.github.sparsevdit.model.parts.ConvLayout;
import io.github.sparsevdit.model.parts.Linear;
import io.github.sparsevdit.model.parts.Weights;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.util.Arrays;
import java.util.function.BiConsumer;

/**
 * Where a network's layers come from: a checkpoint, whose weights are loaded or only looked for, or
 * nowhere, where only their memory counts.
 */
final class Layers {
  private final Weights weights; // null: they are not loaded
  private final BiConsumer<String, long[]> expected; // hears what is not loaded
  private final ElementType type;
  private long bytes;

  private Layers(Weights weights, BiConsumer<String, long[]> expected, ElementType type) {
    this.weights = weights;
    this.expected = expected;
    this.type = type;
  }

  /** Weights that are loaded. */
  static Layers of(Weights weights, ElementType type) {
    return new Layers(weights, (name, shape) -> {}, type);
  }

  /** Weights that are only named, with their shapes as they are stored. */
  static Layers named(BiConsumer<String, long[]> expected, ElementType type) {
    return new Layers(null, expected, type);
  }

  /** Weights that are only counted. */
  static Layers planned(ElementType type) {
    return named((name, shape) -> {}, type);
  }

  /** Bytes of all weights so far, in the type that is computed in. */
  long bytes() {
    return bytes;
  }

  /** {@code name.weight} [outputs, inputs, frames, height, width] of the layout's kernel. */
  Convolution convolution(String name, int inputs, int outputs, ConvLayout layout) {
    ConvLayout.Extent kernel = layout.kernel();
    return convolution(
        name, inputs, outputs, layout, kernel.frames(), kernel.height(), kernel.width());
  }

  /** {@code name.weight} [outputs, inputs, height, width]: on each frame for itself. */
  Convolution flatConvolution(String name, int inputs, int outputs, ConvLayout layout) {
    return convolution(
        name, inputs, outputs, layout, layout.kernel().height(), layout.kernel().width());
  }

  private Convolution convolution(
      String name, int inputs, int outputs, ConvLayout layout, long... kernel) {
    count((long) outputs * inputs * layout.kernel().volume() + outputs, type);
    long[] shape = new long[kernel.length + 2];
    shape[0] = outputs;
    shape[1] = inputs;
    System.arraycopy(kernel, 0, shape, 2, kernel.length);
    expected.accept(name + ".weight", shape);
    expected.accept(name + ".bias", new long[] {outputs});
    Linear loaded = weights == null ? null : weights.convolution(name, outputs, inputs, kernel);
    return new Convolution(loaded, layout, inputs, outputs);
  }

  /** A convolution of a kernel of one pixel whose weight is a matrix [outputs, inputs]. */
  Convolution linear(String name, int inputs, int outputs) {
    count((long) outputs * inputs + outputs, type);
    expected.accept(name + ".weight", new long[] {outputs, inputs});
    expected.accept(name + ".bias", new long[] {outputs});
    Linear loaded = weights == null ? null : weights.linear(name, inputs, outputs);
    return new Convolution(loaded, ConvLayout.causal(1, 1, 1), inputs, outputs);
  }

  /** Weights that no file holds: [outputs, kernel rows · columns · frames · inputs], no bias. */
  Convolution constant(float[] values, int inputs, int outputs, ConvLayout layout) {
    count(values.length, type);
    Linear made = null;
    if (weights != null) {
      Tensor tensor = weights.constant(type, values, outputs, values.length / outputs);
      made = new Linear(tensor, null, tensor);
    }
    return new Convolution(made, layout, inputs, outputs);
  }

  /** A FP32 row of one number. */
  Tensor row(float value, int channels) {
    count(channels, ElementType.FP32);
    if (weights == null) {
      return null;
    }
    float[] values = new float[channels];
    Arrays.fill(values, value);
    return weights.constant(ElementType.FP32, values, channels);
  }

  GroupNorm groupNorm(String name, int channels, int groups, float epsilon) {
    return new GroupNorm(
        vector(name + ".weight", channels), vector(name + ".bias", channels), groups, epsilon);
  }

  /** A row of as many elements, in the type it is stored in; null where it is not loaded. */
  Tensor vector(String name, int channels, long... ones) {
    long[] shape = new long[ones.length + 1];
    Arrays.fill(shape, 1);
    shape[0] = channels;
    count(channels, ElementType.FP32);
    expected.accept(name, shape);
    return weights == null ? null : weights.stored(name, shape).view(channels);
  }

  private void count(long elements, ElementType each) {
    bytes += elements * each.bytes();
  }
}

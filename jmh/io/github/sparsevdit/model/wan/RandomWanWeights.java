package io.github.sparsevdit.model.wan;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import io.github.sparsevdit.tensor.TensorSource;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;

/**
 * Weights of one of Wan's blocks, BF16 and Gaussian, of a size that keeps what passes through them
 * about as large as it was. The same name always has the same values.
 */
final class RandomWanWeights implements TensorSource {
  private final Backend backend;
  private final int width;
  private final int ffn;
  private final Map<String, Tensor> made = new LinkedHashMap<>();

  RandomWanWeights(Backend backend, int width, int ffn) {
    this.backend = backend;
    this.width = width;
    this.ffn = ffn;
  }

  @Override
  public Set<String> names() {
    return made.keySet();
  }

  @Override
  public boolean has(String name) {
    return true; // made when it is asked for
  }

  @Override
  public Tensor tensor(String name) {
    return made.computeIfAbsent(name, this::make);
  }

  @Override
  public Map<String, String> metadata() {
    return Map.of();
  }

  @Override
  public void close() {
    made.values().forEach(Tensor::close);
  }

  private Tensor make(String name) {
    if (name.endsWith("scale_shift_table")) {
      return gaussian(backend, ElementType.BF16, name, 0, 0.3, 1, 6, width);
    }
    if (name.contains("norm")) {
      double mean = name.endsWith(".weight") ? 1 : 0;
      return gaussian(backend, ElementType.BF16, name, mean, 0.1, width);
    }
    int inputs = name.contains("ffn.net.2") ? ffn : width;
    int outputs = name.contains("ffn.net.0") ? ffn : width;
    return name.endsWith(".bias")
        ? gaussian(backend, ElementType.BF16, name, 0, 0.1, outputs)
        : gaussian(backend, ElementType.BF16, name, 0, 1 / Math.sqrt(inputs), outputs, inputs);
  }

  /** A tensor of Gaussian numbers that seed determines. */
  static Tensor gaussian(
      Backend backend,
      ElementType type,
      String seed,
      double mean,
      double deviation,
      long... shape) {
    Tensor tensor = backend.allocate(type, shape);
    SplittableRandom random = new SplittableRandom(seed.hashCode());
    float[] values = new float[Math.toIntExact(tensor.elements())];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) (mean + deviation * random.nextGaussian());
    }
    return tensor.copyFrom(values);
  }
}

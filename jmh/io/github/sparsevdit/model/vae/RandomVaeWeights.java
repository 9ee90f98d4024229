package io.github.sparsevdit.model.vae;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import io.github.sparsevdit.tensor.TensorSource;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;

/**
 * Weights of a VAE of its true size, FP32 and random, of a size that keeps what passes through them
 * about as large as it was. The same name always has the same values.
 */
final class RandomVaeWeights implements TensorSource {
  private final Backend backend;
  private final Map<String, long[]> shapes = new LinkedHashMap<>();
  private final Map<String, Tensor> made = new LinkedHashMap<>();

  RandomVaeWeights(Backend backend, VaeNetwork network) {
    this.backend = backend;
    network.decoder(Layers.named(shapes::put, ElementType.FP32));
    network.encoder(Layers.named(shapes::put, ElementType.FP32));
  }

  @Override
  public Set<String> names() {
    return shapes.keySet();
  }

  @Override
  public Tensor tensor(String name) {
    return made.computeIfAbsent(name, this::make);
  }

  private Tensor make(String name) {
    long[] shape = shapes.get(name);
    long elements = Arrays.stream(shape).reduce(1, (a, b) -> a * b);
    boolean norm = name.endsWith("gamma");
    double size = name.endsWith("bias") ? 0.02 : norm ? 0.1 : Math.sqrt(3.0 * shape[0] / elements);
    SplittableRandom random = new SplittableRandom(name.hashCode());
    float[] values = new float[(int) elements];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) ((norm ? 1 : 0) + size * random.nextDouble(-1, 1));
    }
    return backend.allocate(ElementType.FP32, shape).copyFrom(values);
  }

  /** Frees the convolutions' weights once they were laid out anew. */
  void forgetConvolutions() {
    shapes.forEach(
        (name, shape) -> {
          if (shape.length >= 4 && name.endsWith(".weight") && made.containsKey(name)) {
            made.remove(name).close();
          }
        });
  }

  @Override
  public Map<String, String> metadata() {
    return Map.of();
  }

  @Override
  public void close() {
    made.values().forEach(Tensor::close);
    made.clear();
  }
}

package io.github.sparsevdit.model.text;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.model.parts.Weights;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Safetensors;
import io.github.sparsevdit.tensor.Tensor;
import io.github.sparsevdit.tensor.TensorSource;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.function.Consumer;
import java.util.function.Predicate;
import java.util.function.ToLongBiFunction;

/**
 * An encoder's weights, mapped, of which one layer at a time is converted or uploaded: a text
 * encoder of 11 GB runs once before a video, beside nothing else of that size.
 */
final class LayerWeights implements AutoCloseable {
  private static final int NAMES_SHOWN = 5;

  private final Safetensors source;
  private final Backend backend;
  private final ElementType type;
  private final String prefix; // before every name in the file; may be empty
  private final String where;
  private final ExecutorService reader =
      Executors.newSingleThreadExecutor(
          Thread.ofPlatform().daemon().name("svdit-encoder-read-ahead").factory());
  private volatile boolean closed;

  /**
   * @param prefixes that the file's names may all begin with, the likeliest first
   * @param first a name that every such network has
   */
  LayerWeights(
      Path folder,
      String variant,
      Backend backend,
      ElementType type,
      String first,
      String... prefixes) {
    this.backend = backend;
    this.type = type;
    where = folder.toString();
    source = Safetensors.open(folder, variant);
    prefix =
        Arrays.stream(prefixes).filter(each -> source.has(each + first)).findFirst().orElse("");
  }

  /**
   * Checks that the file has just these weights, of these shapes.
   *
   * @param ignored others that may be there
   */
  void require(Map<String, long[]> shapes, Predicate<String> ignored) {
    shapes.forEach(
        (name, shape) -> {
          if (!source.has(prefix + name)) {
            throw new IllegalArgumentException(
                "%s: weight %s %s is missing: files are lacking, or config.json is another model's"
                    .formatted(where, prefix + name, Arrays.toString(shape)));
          }
          long[] stored = source.shape(prefix + name);
          if (!Arrays.equals(stored, shape)) {
            throw new IllegalArgumentException(
                "%s: weight %s is %s; the configuration asks for %s: config.json is another model's"
                    .formatted(
                        where, prefix + name, Arrays.toString(stored), Arrays.toString(shape)));
          }
        });
    Set<String> unexpected = new TreeSet<>(source.names());
    shapes.keySet().forEach(name -> unexpected.remove(prefix + name));
    unexpected.removeIf(ignored);
    if (!unexpected.isEmpty()) {
      throw new IllegalArgumentException(
          "%s: %d unexpected weights: %s%s: config.json is another model's, or of a variant that is not supported"
              .formatted(
                  where,
                  unexpected.size(),
                  String.join(", ", unexpected.stream().limit(NAMES_SHOWN).toList()),
                  unexpected.size() > NAMES_SHOWN ? ", …" : ""));
    }
  }

  /** Whether there is a weight of that name. */
  boolean has(String name) {
    return source.has(prefix + name);
  }

  /** A weight as it is stored, in host memory. */
  Tensor stored(String name) {
    return source.tensor(prefix + name);
  }

  /**
   * Hands over the weights whose names begin with a layer's name, without it, for as long as use
   * takes.
   */
  void use(String layer, Consumer<Weights> use) {
    try (Weights weights =
        new Weights(new Layer(prefix + layer), backend, type, name -> false, where)) {
      use.accept(weights);
      if (backend.kind() == Backend.Kind.CUDA) {
        backend.synchronize(); // the layer's weights are freed
      }
    }
  }

  /**
   * Reads the weights whose names begin with a layer's name into memory on another thread, while a
   * layer before it is computed: products that touch a mapped file themselves wait for each part.
   */
  void readAhead(String layer) {
    reader.execute(
        () -> {
          for (String name : source.names()) {
            MemorySegment bytes =
                !closed && name.startsWith(prefix + layer) ? source.bytes(name) : null;
            if (bytes != null && bytes.isMapped()) {
              bytes.load();
            }
          }
        });
  }

  /** The most bytes that a layer's weights take beside those that are mapped. */
  static long copiedBytes(Path folder, String variant, ElementType type) {
    return largestLayer(folder, variant, (source, name) -> source.copiedBytes(name, type));
  }

  /** The most bytes that a layer's weights have in an element type. */
  static long layerBytes(Path folder, String variant, ElementType type) {
    return largestLayer(
        folder,
        variant,
        (source, name) ->
            Arrays.stream(source.shape(name)).reduce(type.bytes(), (all, size) -> all * size));
  }

  private static long largestLayer(
      Path folder, String variant, ToLongBiFunction<Safetensors, String> bytes) {
    Map<String, Long> layers = new LinkedHashMap<>();
    try (Safetensors source = Safetensors.open(folder, variant)) {
      for (String name : source.names()) {
        boolean used = !source.dtype(name).startsWith("I") && !name.contains("embed");
        if (used) {
          // "…layers.3.mlp…" and "…block.3.layer…" go by what stands before the number's end.
          String layer = name.replaceFirst("^(.*?\\.\\d+)\\..*", "$1");
          layers.merge(layer, bytes.applyAsLong(source, name), Long::sum);
        }
      }
    }
    return layers.values().stream().mapToLong(Long::longValue).max().orElse(0);
  }

  @Override
  public void close() {
    closed = true;
    reader.close(); // waits for a weight that is read
    source.close();
  }

  /** A part of the source, which it leaves open. */
  private final class Layer implements TensorSource {
    private final String begin;
    private final Set<String> names = new LinkedHashSet<>();

    Layer(String begin) {
      this.begin = begin;
      for (String name : source.names()) {
        if (name.startsWith(begin)) {
          names.add(name.substring(begin.length()));
        }
      }
    }

    @Override
    public Set<String> names() {
      return names;
    }

    @Override
    public Tensor tensor(String name) {
      return source.tensor(begin + name);
    }

    @Override
    public long[] shape(String name) {
      return source.shape(begin + name);
    }

    @Override
    public Map<String, String> metadata() {
      return Map.of();
    }

    @Override
    public void close() {}
  }
}

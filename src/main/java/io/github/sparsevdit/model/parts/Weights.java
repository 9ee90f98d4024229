package io.github.sparsevdit.model.parts;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.OutOfNativeMemoryException;
import io.github.sparsevdit.internal.Resources;
import io.github.sparsevdit.internal.io.Sha256;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import io.github.sparsevdit.tensor.TensorSource;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Predicate;

/**
 * A checkpoint's weights as a denoiser takes them: each by name, with the shape it must have. One
 * stored in the wanted element type is used where it is mapped; any other is converted once. On a
 * device all of them are uploaded once, and kept there as long as this is open.
 */
public final class Weights implements AutoCloseable {
  private static final int NAMES_SHOWN = 5;

  private final TensorSource source;
  private final Backend backend;
  private final ElementType type;
  private final Predicate<String> inFp32;
  private final String where;
  private final Operations operations;
  private final Set<String> taken = new HashSet<>();
  private final List<Tensor> owned = new ArrayList<>();
  private String fingerprint; // null until it is asked for

  /**
   * @param source that this closes, also if it throws
   * @param type that is computed in
   * @param family that says which weights stay FP32
   * @param where for messages
   */
  public Weights(
      TensorSource source, Backend backend, ElementType type, Family family, String where) {
    this(source, backend, type, family::inFp32, where);
  }

  /**
   * The same of a network that is no denoiser.
   *
   * @param inFp32 which weights, by name, stay FP32
   */
  public Weights(
      TensorSource source,
      Backend backend,
      ElementType type,
      Predicate<String> inFp32,
      String where) {
    this.source = source;
    this.backend = backend;
    this.type = type;
    this.inFp32 = inFp32;
    this.where = where;
    try {
      operations = new Operations(backend);
      if (onDevice()) {
        requireRoom();
      }
    } catch (RuntimeException | Error failure) {
      source.close();
      throw failure;
    }
  }

  /** The element type that is computed in. */
  ElementType type() {
    return type;
  }

  /**
   * {@code name.weight} [outputs, inputs] and {@code name.bias} [outputs], in the type that is
   * computed in, or in FP32 where the family says so.
   */
  public Linear linear(String name, long inputs, long outputs) {
    return layer(typeOf(name), mapped(name + ".weight", outputs, inputs), name);
  }

  /**
   * A convolution whose stride is its kernel: {@code name.weight} [outputs, …kernel] as a linear
   * layer on whole patches.
   */
  public Linear patchLinear(String name, long outputs, long... kernel) {
    long[] shape = new long[kernel.length + 1];
    shape[0] = outputs;
    System.arraycopy(kernel, 0, shape, 1, kernel.length);
    long inputs = Arrays.stream(kernel).reduce(1, (a, b) -> a * b);
    return layer(typeOf(name), mapped(name + ".weight", shape).view(outputs, inputs), name);
  }

  /**
   * A convolution on clips: {@code name.weight} [outputs, inputs, …kernel], where the kernel has
   * frames, rows and columns or only the last two, laid out as [outputs, rows · columns · frames ·
   * inputs].
   */
  public Linear convolution(String name, long outputs, long inputs, long... kernel) {
    Tensor stored = mapped(name + ".weight", shape(outputs, inputs, kernel));
    Tensor inputsLast =
        kernel.length == 2
            ? stored.transpose(1, 2).transpose(2, 3)
            : stored.transpose(1, 3).transpose(2, 4).transpose(3, 4);
    long row = stored.elements() / outputs;
    ElementType as = typeOf(name);
    Tensor weight;
    if (!onDevice() && stored.type() == as) {
      weight = buffer(as, inputsLast.shape()).copyFrom(inputsLast).view(outputs, row);
    } else {
      weight = buffer(as, outputs, row);
      try (Tensor laidOut = backend.allocatePinned(stored.type(), inputsLast.shape())) {
        operations.load(laidOut.copyFrom(inputsLast).view(outputs, row), weight);
        operations.close(); // what loading took
        backend.synchronize();
      }
    }
    return new Linear(weight, as(as, mapped(name + ".bias", outputs)), stored);
  }

  /** Notes that a tensor of this shape belongs to the network, and checks that it is there. */
  public void expect(String name, long... shape) {
    mapped(name, shape);
  }

  private static long[] shape(long outputs, long inputs, long... kernel) {
    long[] shape = new long[kernel.length + 2];
    shape[0] = outputs;
    shape[1] = inputs;
    System.arraycopy(kernel, 0, shape, 2, kernel.length);
    return shape;
  }

  /** A tensor that no file holds. */
  public Tensor constant(ElementType as, float[] values, long... shape) {
    try (Tensor host = backend.allocatePinned(ElementType.FP32, shape)) {
      Tensor constant = buffer(as, shape);
      operations.load(host.copyFrom(values), constant);
      operations.close();
      backend.synchronize();
      return constant;
    }
  }

  private ElementType typeOf(String name) {
    return inFp32.test(name) ? ElementType.FP32 : type;
  }

  private Linear layer(ElementType as, Tensor stored, String name) {
    Tensor weight = as(as, stored);
    Tensor bias = as(as, mapped(name + ".bias", stored.size(0)));
    return new Linear(weight, bias, onDevice() ? stored : weight);
  }

  /** A tensor of the given shape in the type of {@link #linear}. */
  public Tensor table(String name, long... shape) {
    return as(typeOf(name), mapped(name, shape));
  }

  /** A tensor of the given shape in the type it is stored in. */
  public Tensor stored(String name, long... shape) {
    Tensor tensor = mapped(name, shape);
    return as(tensor.type(), tensor);
  }

  private Tensor mapped(String name, long... shape) {
    if (!source.has(name)) {
      throw new IllegalArgumentException(
          where
              + ": weight "
              + name
              + " "
              + Arrays.toString(shape)
              + " is missing: files of the checkpoint are lacking, or config.json is another model's");
    }
    taken.add(name);
    Tensor tensor = source.tensor(name);
    if (!Arrays.equals(tensor.shape(), shape)) {
      throw new IllegalArgumentException(
          where
              + ": weight "
              + name
              + " is "
              + Arrays.toString(tensor.shape())
              + "; the configuration asks for "
              + Arrays.toString(shape)
              + ": config.json is another model's");
    }
    return tensor;
  }

  /** Memory that lives as long as the weights. */
  Tensor buffer(ElementType type, long... shape) {
    Tensor tensor = backend.allocate(type, shape);
    owned.add(tensor);
    return tensor;
  }

  /** Weights whose names end so may be there and are not used. */
  public void ignore(String suffix) {
    source.names().stream().filter(name -> name.endsWith(suffix)).forEach(taken::add);
  }

  /** Throws IllegalArgumentException if the checkpoint holds weights that nothing asked for. */
  public void requireAllUsed() {
    Set<String> unexpected = new TreeSet<>(source.names());
    unexpected.removeAll(taken);
    if (!unexpected.isEmpty()) {
      List<String> shown = unexpected.stream().limit(NAMES_SHOWN).toList();
      throw new IllegalArgumentException(
          where
              + ": "
              + unexpected.size()
              + " unexpected weights: "
              + String.join(", ", shown)
              + (unexpected.size() > NAMES_SHOWN ? ", …" : "")
              + ": config.json is another model's, or of a variant that is not supported");
    }
  }

  /** SHA-256 of all names, types, shapes and values. Reads them all when it is first asked for. */
  synchronized String fingerprint() {
    if (fingerprint == null) {
      List<byte[]> parts =
          List.copyOf(new TreeSet<>(source.names())).parallelStream().map(this::digest).toList();
      Sha256 all = new Sha256();
      parts.forEach(all::update);
      fingerprint = all.hex();
    }
    return fingerprint;
  }

  private byte[] digest(String name) {
    Tensor tensor = source.tensor(name);
    return new Sha256().update(name + " " + tensor + "\n").update(tensor.segment()).bytes();
  }

  /** The name of a weight that holds NaN or an infinity; null where none does. */
  String notFinite() {
    for (String name : new TreeSet<>(taken)) {
      if (source.has(name) && source.tensor(name).firstNotFinite() >= 0) {
        return name;
      }
    }
    return null;
  }

  private Tensor as(ElementType wanted, Tensor tensor) {
    if (tensor.type() == wanted && !onDevice()) {
      return tensor;
    }
    Tensor copy = buffer(wanted, tensor.shape());
    operations.load(tensor, copy);
    return copy;
  }

  private boolean onDevice() {
    return backend.kind() == Backend.Kind.CUDA;
  }

  /** Throws OutOfNativeMemoryException where the device has no room for all weights. */
  private void requireRoom() {
    long bytes = 0;
    for (String name : source.names()) {
      bytes += Arrays.stream(source.shape(name)).reduce(1, (a, b) -> a * b) * type.bytes();
    }
    long free = backend.info().memoryFreeBytes();
    if (bytes > free) {
      throw new OutOfNativeMemoryException(
          String.format(
              Locale.ROOT,
              "%s: the weights take %.4g GB on %s, which has %.4g GB free",
              where,
              bytes * 1e-9,
              backend.describe(),
              free * 1e-9));
    }
  }

  @Override
  public void close() {
    Resources all = new Resources();
    all.add(source);
    all.add(operations);
    owned.forEach(all::add);
    all.close();
  }
}

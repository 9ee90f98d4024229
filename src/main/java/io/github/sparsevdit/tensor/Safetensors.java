package io.github.sparsevdit.tensor;

import io.github.sparsevdit.OutOfNativeMemoryException;
import io.github.sparsevdit.UnsupportedException;
import io.github.sparsevdit.internal.Leaks;
import io.github.sparsevdit.internal.SharedArena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Tensors of memory-mapped safetensors files, without a copy. Only a tensor that is not aligned to
 * its element type is copied, once, when it is first requested. Opening a file checks its header
 * alone. Data is read on access. Usable from any thread. Tensors are valid until {@code close()}.
 *
 * <p>Do not truncate an open file: the JVM dies with a bus error.
 */
public final class Safetensors implements TensorSource {
  private static final Map<String, ElementType> TYPES =
      Map.of("BF16", ElementType.BF16, "F16", ElementType.FP16, "F32", ElementType.FP32);

  private static final long COPY_ALIGNMENT = 64;

  private final Path path;
  private final SharedArena arena;
  private final Map<String, SafetensorsFile> fileOf;
  private final Map<String, String> metadata;
  private final Map<String, MemorySegment> copies = new ConcurrentHashMap<>(); // of the unaligned
  private final Leaks.Handle leak;

  private Safetensors(
      Path path,
      SharedArena arena,
      Map<String, SafetensorsFile> fileOf,
      Map<String, String> metadata) {
    this.path = path;
    this.arena = arena;
    this.fileOf = fileOf;
    this.metadata = metadata;
    this.leak = Leaks.track(this, "the tensors of " + path);
  }

  /**
   * Opens a {@code .safetensors} file, a sharded model's {@code *.index.json}, or a folder that has
   * either ({@code diffusion_pytorch_model} first, as diffusers names it, then {@code model}, as
   * transformers does). IllegalArgumentException if a file is not what the format says,
   * UncheckedIOException if it cannot be read.
   */
  public static Safetensors open(Path path) {
    return open(path, null);
  }

  /**
   * The same of a variant, as diffusers names them: {@code NAME.VARIANT.safetensors} or {@code
   * NAME.safetensors.index.VARIANT.json}.
   *
   * @param variant such as "bf16", for a folder that has several; null for the model without one,
   *     else the only variant there is. A file is opened whatever its variant
   */
  public static Safetensors open(Path path, String variant) {
    Path file = SafetensorsLayout.resolve(path, variant);
    SharedArena arena = new SharedArena();
    try {
      Map<String, SafetensorsFile> fileOf;
      Map<String, String> metadata;
      if (SafetensorsLayout.isIndex(file)) {
        fileOf = SafetensorsLayout.openShards(file, arena.arena());
        metadata = Map.of();
      } else {
        SafetensorsFile only = SafetensorsFile.open(file, arena.arena());
        fileOf = new LinkedHashMap<>();
        only.header().entries().keySet().forEach(name -> fileOf.put(name, only));
        metadata = only.header().metadata();
      }
      return new Safetensors(
          path, arena, Collections.unmodifiableMap(fileOf), Collections.unmodifiableMap(metadata));
    } catch (RuntimeException | Error failure) {
      arena.close();
      throw failure;
    }
  }

  /**
   * Writes tensors (host, any strides) and metadata. The file appears whole or not at all: it is
   * written under another name and moved.
   */
  public static void write(Path path, Map<String, Tensor> tensors, Map<String, String> metadata) {
    SafetensorsWriter.write(path, tensors, metadata);
  }

  @Override
  public Set<String> names() {
    return fileOf.keySet();
  }

  @Override
  public Tensor tensor(String name) {
    SafetensorsHeader.Entry entry = entry(name);
    ElementType type = TYPES.get(entry.dtype());
    if (type == null) {
      throw new UnsupportedException(
          path + ": " + name + " has the dtype " + entry.dtype() + ", expected BF16, F16 or F32");
    }
    MemorySegment bytes = bytes(name);
    if (!aligned(name)) {
      bytes = copies.computeIfAbsent(name, this::copy);
    }
    return Tensor.of(bytes, type, entry.shape());
  }

  /**
   * Whether a tensor is in its file at a multiple of its elements' bytes; of one that does not
   * {@link #tensor} makes a copy.
   */
  public boolean aligned(String name) {
    MemorySegment bytes = bytes(name);
    ElementType type = TYPES.get(entry(name).dtype());
    return type == null || bytes.byteSize() == 0 || bytes.address() % type.bytes() == 0;
  }

  private MemorySegment copy(String name) {
    MemorySegment bytes = bytes(name);
    try {
      return arena.arena().allocate(bytes.byteSize(), COPY_ALIGNMENT).copyFrom(bytes).asReadOnly();
    } catch (OutOfMemoryError e) {
      throw new OutOfNativeMemoryException(
          "%s: %s is not aligned to its elements in %s, and there is no memory for a copy of its %d bytes"
              .formatted(path, name, fileOf.get(name).path(), bytes.byteSize()));
    }
  }

  /** The dtype of a tensor as the format names it; here of any kind. */
  public String dtype(String name) {
    return entry(name).dtype();
  }

  @Override
  public long[] shape(String name) {
    return entry(name).shape().clone();
  }

  @Override
  public long storedBytes(String name) {
    return bytes(name).byteSize();
  }

  @Override
  public long copiedBytes(String name, ElementType type) {
    long elements = 1;
    for (long size : entry(name).shape()) {
      elements *= size;
    }
    long converted = TYPES.get(dtype(name)) == type ? 0 : elements * type.bytes();
    return converted + madeBytes(name);
  }

  @Override
  public long madeBytes(String name) {
    return aligned(name) ? 0 : storedBytes(name);
  }

  /** The bytes of a tensor of any dtype, read-only. */
  public MemorySegment bytes(String name) {
    entry(name);
    if (!arena.open()) {
      throw new IllegalStateException(path + " is closed");
    }
    return fileOf.get(name).bytes(name);
  }

  /** The file's own metadata; none for a sharded model. */
  @Override
  public Map<String, String> metadata() {
    return metadata;
  }

  @Override
  public void close() {
    if (arena.closeOnce()) {
      leak.closed();
    }
  }

  @Override
  public String toString() {
    return path + ": " + fileOf.size() + " tensors";
  }

  private SafetensorsHeader.Entry entry(String name) {
    SafetensorsFile file = fileOf.get(name);
    if (file == null) {
      throw new IllegalArgumentException(
          path + " has no tensor \"" + name + "\" among its " + fileOf.size());
    }
    return file.header().entries().get(name);
  }
}

package io.github.sparsevdit.tensor;

import io.github.sparsevdit.internal.Access;
import io.github.sparsevdit.internal.BackendHandle;
import io.github.sparsevdit.internal.DeviceCopy;
import io.github.sparsevdit.internal.Memory;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * A strided view of native memory: a shape, and for each dimension how many elements are between
 * neighbours.
 *
 * <p>A tensor from {@code Backend.allocate} owns its memory. {@code close()} frees it once no call
 * uses it any more, and may be called twice. Views and tensors over a caller's segment own nothing,
 * and closing them does nothing. Reading and writing from several threads at once is as safe as
 * with an array. Java cannot access the segment of a tensor on a device (segment() throws
 * IllegalStateException). Use copyFrom, copyTo and toFloats, which wait until they are done.
 */
public final class Tensor implements AutoCloseable {
  static {
    Access.ofTensors(
        new Access.Tensors<Tensor, ElementType>() {
          @Override
          public Tensor allocate(BackendHandle backend, ElementType type, long... shape) {
            return Tensor.allocate(backend, type, shape);
          }

          @Override
          public Tensor allocatePinned(BackendHandle backend, ElementType type, long... shape) {
            return Tensor.allocatePinned(backend, type, shape);
          }

          @Override
          public Tensor over(Memory memory, long offset, ElementType type, long... shape) {
            return Tensor.over(memory, offset, type, shape);
          }

          @Override
          public Memory memory(Tensor tensor) {
            return tensor.memory;
          }
        });
  }

  private final Memory memory;
  private final long offset; // bytes from the memory's begin to the first element
  private final ElementType type;
  private final long[] shape;
  private final long[] strides;
  private final boolean owner;
  private final long spanBytes;

  private Tensor(
      Memory memory, long offset, ElementType type, long[] shape, long[] strides, boolean owner) {
    this.memory = memory;
    this.offset = offset;
    this.type = type;
    this.shape = shape;
    this.strides = strides;
    this.owner = owner;
    this.spanBytes = spanBytes(type, shape, strides);
  }

  /**
   * A contiguous, row-major view of native host memory, without a copy.
   *
   * @param memory a native segment of exactly the shape's bytes; it stays the caller's, who leaves
   *     it open while the tensor is used
   */
  public static Tensor of(MemorySegment memory, ElementType type, long... shape) {
    long bytes = bytes(type, shape);
    if (!memory.isNative()) {
      throw new IllegalArgumentException(
          "a tensor needs a native segment; this one is on the Java heap");
    }
    if (memory.byteSize() != bytes) {
      throw new IllegalArgumentException(
          "a "
              + type
              + " tensor "
              + Arrays.toString(shape)
              + " takes "
              + bytes
              + " bytes; the segment has "
              + memory.byteSize());
    }
    return new Tensor(Memory.of(memory), 0, type, shape.clone(), rowMajor(shape), false);
  }

  /**
   * A new contiguous FP32 tensor in host memory, with these values, row-major.
   *
   * @param arena whose memory it is: closing the arena frees it; one of {@link Arena#ofAuto} frees
   *     it when nothing refers to it
   * @throws IllegalArgumentException if the shape has another number of elements
   */
  public static Tensor ofFloats(Arena arena, float[] values, long... shape) {
    MemorySegment memory = arena.allocate((long) values.length * Float.BYTES, 64);
    return of(memory, ElementType.FP32, shape).copyFrom(values);
  }

  /**
   * A view of native host memory with gaps or another order of dimensions, without a copy: for
   * instance q of a buffer that stores q, k and v of each token together.
   *
   * @param memory a native segment of at least the bytes from the first element to the last; it
   *     stays the caller's, who leaves it open while the tensor is used
   * @param strides elements between neighbours, for each dimension of shape; the last dimension is
   *     contiguous (1), and no two elements overlap. That of a dimension of one element is ignored
   */
  public static Tensor of(MemorySegment memory, ElementType type, long[] shape, long[] strides) {
    if (!memory.isNative()) {
      throw new IllegalArgumentException(
          "a tensor needs a native segment; this one is on the Java heap");
    }
    return strided(Memory.of(memory), 0, type, shape, strides, false);
  }

  /** A view from offset on, with checked strides; owner says whether closing it closes memory. */
  static Tensor strided(
      Memory memory, long offset, ElementType type, long[] shape, long[] strides, boolean owner) {
    long bytes = Strides.spanBytes(type, bytes(type, shape), shape, strides);
    if (bytes > memory.bytes() - offset) {
      throw new IllegalArgumentException(
          "a "
              + type
              + " tensor "
              + Arrays.toString(shape)
              + " with strides "
              + Arrays.toString(strides)
              + " reaches over "
              + bytes
              + " bytes; there are "
              + (memory.bytes() - offset));
    }
    return new Tensor(memory, offset, type, shape.clone(), strides.clone(), owner);
  }

  /** A new contiguous tensor where backend computes. */
  private static Tensor allocate(BackendHandle backend, ElementType type, long... shape) {
    long bytes = bytes(type, shape);
    Memory memory =
        Memory.allocate(backend, bytes, "a " + type + " tensor " + Arrays.toString(shape));
    return new Tensor(memory, 0, type, shape.clone(), rowMajor(shape), true);
  }

  /** A contiguous view of memory from offset on. */
  private static Tensor over(Memory memory, long offset, ElementType type, long... shape) {
    long bytes = bytes(type, shape);
    if (offset < 0 || offset > memory.bytes() || bytes > memory.bytes() - offset) {
      throw new IllegalArgumentException(
          "a "
              + type
              + " tensor "
              + Arrays.toString(shape)
              + " takes "
              + bytes
              + " bytes from "
              + offset
              + " on; there are "
              + memory.bytes());
    }
    return new Tensor(memory, offset, type, shape.clone(), rowMajor(shape), false);
  }

  /** A new contiguous tensor in pinned host memory. */
  private static Tensor allocatePinned(BackendHandle backend, ElementType type, long... shape) {
    long bytes = bytes(type, shape);
    Memory memory =
        Memory.allocatePinned(
            backend, bytes, "a pinned " + type + " tensor " + Arrays.toString(shape));
    return new Tensor(memory, 0, type, shape.clone(), rowMajor(shape), true);
  }

  public ElementType type() {
    return type;
  }

  /** How many dimensions. */
  public int rank() {
    return shape.length;
  }

  /** Elements along a dimension. */
  public long size(int dim) {
    return shape[dim];
  }

  /** Elements along each dimension (a copy). */
  public long[] shape() {
    return shape.clone();
  }

  /** Elements between neighbours along a dimension. */
  public long stride(int dim) {
    return strides[dim];
  }

  /** Elements in all. */
  public long elements() {
    long elements = 1;
    for (long size : shape) {
      elements *= size;
    }
    return elements;
  }

  /** Whether the elements are contiguous, in row-major order. */
  public boolean contiguous() {
    long expected = 1;
    for (int dim = shape.length - 1; dim >= 0; dim--) {
      if (shape[dim] != 1 && strides[dim] != expected) {
        return false;
      }
      expected *= shape[dim];
    }
    return true;
  }

  /** Bytes from the first element's begin to the last one's end; 0 where there is none. */
  public long spanBytes() {
    return spanBytes;
  }

  /**
   * The bytes from the first element to the last one; IllegalStateException on a device or after
   * close().
   */
  public MemorySegment segment() {
    return host("segment()").asSlice(offset, spanBytes());
  }

  /**
   * The address of the first element, on the host or a device: for other libraries, which must not
   * use it once this is closed.
   */
  public long address() {
    return memory.address() + offset;
  }

  /** The same elements, row-major, in another shape; this must be contiguous. */
  public Tensor view(long... shape) {
    if (!contiguous()) {
      throw new IllegalArgumentException("view() needs a contiguous tensor; this is " + this);
    }
    if (bytes(type, shape) != elements() * type.bytes()) {
      throw new IllegalArgumentException(
          this + " has " + elements() + " elements; " + Arrays.toString(shape) + " another number");
    }
    return new Tensor(memory, offset, type, shape.clone(), rowMajor(shape), false);
  }

  /** The same elements with two dimensions exchanged. */
  public Tensor transpose(int a, int b) {
    checkDim(a);
    checkDim(b);
    long[] newShape = shape.clone();
    long[] newStrides = strides.clone();
    newShape[a] = shape[b];
    newShape[b] = shape[a];
    newStrides[a] = strides[b];
    newStrides[b] = strides[a];
    return new Tensor(memory, offset, type, newShape, newStrides, false);
  }

  /** The elements from (inclusive) to to (exclusive) along dim. */
  public Tensor slice(int dim, long from, long to) {
    checkDim(dim);
    if (from < 0 || to < from || to > shape[dim]) {
      throw new IllegalArgumentException(
          "slice ["
              + from
              + ", "
              + to
              + ") of dimension "
              + dim
              + ", which has "
              + shape[dim]
              + " elements");
    }
    long[] newShape = shape.clone();
    newShape[dim] = to - from;
    long skipped =
        to == from
            ? 0
            : from * strides[dim] * type.bytes(); // an empty slice must not point past the end
    return new Tensor(memory, offset + skipped, type, newShape, strides.clone(), false);
  }

  /** The elements at index along dim, which disappears. */
  public Tensor select(int dim, long index) {
    Tensor one = slice(dim, index, index + 1);
    long[] newShape = new long[shape.length - 1];
    long[] newStrides = new long[shape.length - 1];
    for (int i = 0, j = 0; i < shape.length; i++) {
      if (i != dim) {
        newShape[j] = one.shape[i];
        newStrides[j++] = strides[i];
      }
    }
    return new Tensor(memory, one.offset, type, newShape, newStrides, false);
  }

  /**
   * Fills this with the bytes of host, which has as many elements of the same type, row-major.
   *
   * @return this
   */
  public Tensor copyFrom(MemorySegment host) {
    checkBytes(host);
    if (memory.device() == Memory.HOST) {
      StridedCopy.copy(host, 0, rowMajor(shape), writable(), offset, strides, shape, type);
    } else {
      requireContiguousOnDevice();
      DeviceCopy.toDevice(memory, offset, host);
    }
    return this;
  }

  /**
   * Writes the elements to host, row-major; host has exactly as many bytes.
   *
   * @return this
   */
  public Tensor copyTo(MemorySegment host) {
    checkBytes(host);
    if (memory.device() == Memory.HOST) {
      StridedCopy.copy(host("copyTo()"), offset, strides, host, 0, rowMajor(shape), shape, type);
    } else {
      requireContiguousOnDevice();
      DeviceCopy.toHost(memory, offset, host);
    }
    return this;
  }

  /**
   * Fills this with the elements of other, of the same shape and type; the strides may differ. At
   * least one of the two is a host tensor; one on a device is contiguous.
   *
   * @return this
   */
  public Tensor copyFrom(Tensor other) {
    if (type != other.type || !Arrays.equals(shape, other.shape)) {
      throw new IllegalArgumentException(
          "cannot copy " + other + " into " + this + ": shape and type must agree");
    }
    if (memory.device() != Memory.HOST) {
      return copyRows(other);
    }
    if (other.memory.device() != Memory.HOST) {
      if (contiguous()) {
        writable();
        other.copyTo(segment());
        return this;
      }
      try (Arena arena = Arena.ofConfined()) {
        Tensor rows = of(arena.allocate(elements() * type.bytes(), 64), type, shape);
        other.copyTo(rows.segment());
        return copyFrom(rows);
      }
    }
    StridedCopy.copy(
        other.host("copyFrom()"),
        other.offset,
        other.strides,
        writable(),
        offset,
        strides,
        shape,
        type);
    return this;
  }

  /**
   * Fills this with values, row-major, rounded to the element type (to nearest, ties to even).
   *
   * @return this
   */
  public Tensor copyFrom(float[] values) {
    if (values.length != elements()) {
      throw new IllegalArgumentException(
          this + " has " + elements() + " elements; " + values.length + " values were given");
    }
    if (memory.device() != Memory.HOST) {
      try (Arena arena = Arena.ofConfined()) {
        return copyRows(
            of(arena.allocate(elements() * type.bytes(), 64), type, shape).copyFrom(values));
      }
    }
    StridedCopy.encode(values, writable(), offset, strides, shape, type);
    return this;
  }

  /** To a device. */
  private Tensor copyRows(Tensor host) {
    if (host.contiguous()) {
      return copyFrom(host.segment());
    }
    try (Arena arena = Arena.ofConfined()) {
      return copyFrom(
          of(arena.allocate(elements() * type.bytes(), 64), type, shape).copyFrom(host).segment());
    }
  }

  /** The elements as floats, row-major; from a device in one copy of all that is between them. */
  public float[] toFloats() {
    if (elements() > Integer.MAX_VALUE - 8) {
      throw new IllegalArgumentException(this + " has more elements than an array can have");
    }
    if (memory.device() != Memory.HOST) {
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment span = arena.allocate(spanBytes, 64);
        DeviceCopy.toHost(memory, offset, span);
        return StridedCopy.decode(span, 0, strides, shape, type);
      }
    }
    return StridedCopy.decode(host("toFloats()"), offset, strides, shape, type);
  }

  /**
   * The first element that is NaN or infinite, as its place in row-major order; −1 where all are
   * finite. From a device in copies of one index of the first dimension each.
   */
  public long firstNotFinite() {
    if (elements() == 0) {
      return -1;
    }
    if (memory.device() != Memory.HOST) {
      return firstNotFiniteOnDevice();
    }
    if (contiguous()) {
      return FiniteScan.first(host("firstNotFinite()"), offset, elements(), type);
    }
    for (long i = 0; i < shape[0]; i++) {
      long found = select(0, i).firstNotFinite();
      if (found >= 0) {
        return i * (elements() / shape[0]) + found;
      }
    }
    return -1;
  }

  private long firstNotFiniteOnDevice() {
    Tensor parts = rank() > 1 ? this : view(1, elements());
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment span = arena.allocate(parts.select(0, 0).spanBytes(), 64);
      for (long i = 0; i < parts.size(0); i++) {
        Tensor part = parts.select(0, i);
        DeviceCopy.toHost(part.memory, part.offset, span);
        Tensor copy = new Tensor(Memory.of(span), 0, type, part.shape, part.strides, false);
        long found = copy.firstNotFinite();
        if (found >= 0) {
          return i * part.elements() + found;
        }
      }
    }
    return -1;
  }

  /**
   * Frees the memory if this tensor owns it, once no call uses it any more. May be called twice.
   */
  @Override
  public void close() {
    if (owner) {
      memory.close();
    }
  }

  /** {@code "BF16 [1, 40, 75600, 128]"}, with the strides where it is not contiguous. */
  @Override
  public String toString() {
    String text = type + " " + Arrays.toString(shape);
    return contiguous() ? text : text + " strides " + Arrays.toString(strides);
  }

  private MemorySegment host(String what) {
    if (memory.device() != Memory.HOST) {
      throw new IllegalStateException(
          what
              + ": "
              + this
              + " lies on CUDA device "
              + memory.device()
              + ", where Java cannot reach it; use copyTo(segment)");
    }
    if (!memory.alive()) {
      throw new IllegalStateException(what + ": the memory of " + this + " is closed");
    }
    return memory.segment();
  }

  private MemorySegment writable() {
    MemorySegment segment = host("copyFrom()");
    if (segment.isReadOnly()) {
      throw new IllegalStateException("copyFrom(): the memory of " + this + " is read-only");
    }
    return segment;
  }

  private void requireContiguousOnDevice() {
    if (!contiguous()) {
      throw new IllegalArgumentException(
          "copies to and from a device need a contiguous tensor; this is " + this);
    }
  }

  private void checkDim(int dim) {
    if (dim < 0 || dim >= shape.length) {
      throw new IllegalArgumentException(
          "dimension " + dim + " of " + this + ", which has " + shape.length);
    }
  }

  private void checkBytes(MemorySegment host) {
    if (host.byteSize() != elements() * type.bytes()) {
      throw new IllegalArgumentException(
          this
              + " takes "
              + elements() * type.bytes()
              + " bytes; the segment has "
              + host.byteSize());
    }
  }

  private static long spanBytes(ElementType type, long[] shape, long[] strides) {
    long last = 0;
    for (int dim = 0; dim < shape.length; dim++) {
      if (shape[dim] == 0) {
        return 0;
      }
      last += (shape[dim] - 1) * strides[dim];
    }
    return (last + 1) * type.bytes();
  }

  static long[] rowMajor(long[] shape) {
    long[] strides = new long[shape.length];
    long stride = 1;
    for (int dim = shape.length - 1; dim >= 0; dim--) {
      strides[dim] = stride;
      stride *= Math.max(shape[dim], 1);
    }
    return strides;
  }

  static long bytes(ElementType type, long[] shape) {
    if (type.tensorType() != type) {
      throw new IllegalArgumentException(
          "no tensor holds %s, which plans compute in: its q, k, v and out are %s, as plan.tensorType() says"
              .formatted(type, type.tensorType()));
    }
    long bytes = type.bytes();
    long product = bytes; // of the sizes that are not 0: strides must not overflow either
    for (long size : shape) {
      if (size < 0) {
        throw new IllegalArgumentException(
            "a tensor's sizes are at least 0: " + Arrays.toString(shape));
      }
      try {
        product = Math.multiplyExact(product, Math.max(size, 1));
      } catch (ArithmeticException overflow) {
        throw new IllegalArgumentException(
            "a tensor " + Arrays.toString(shape) + " has more than 2^63 bytes");
      }
      bytes = size == 0 ? 0 : bytes;
    }
    return bytes == 0 ? 0 : product;
  }
}

package io.github.sparsevdit.internal;

import java.util.function.Function;

/**
 * What exported classes let this library's other packages reach, and nobody else: each gives its
 * accessor when it is initialised. This package knows no exported class, so they are objects here;
 * an object of another class is a ClassCastException.
 */
public final class Access {
  private static final String ROOT = "io.github.sparsevdit.";

  /**
   * Of tensors.
   *
   * @param <T> the tensor
   * @param <E> its element type
   */
  public interface Tensors<T, E> {
    /** A new contiguous tensor where a backend computes. */
    T allocate(BackendHandle backend, E type, long... shape);

    /** A new contiguous tensor in pinned host memory. */
    T allocatePinned(BackendHandle backend, E type, long... shape);

    /** A contiguous view of memory from offset on, in bytes. */
    T over(Memory memory, long offset, E type, long... shape);

    /** The memory a tensor views. */
    Memory memory(T tensor);
  }

  private static volatile Tensors<?, ?> tensors;
  private static volatile Function<Object, BackendHandle> backends;
  private static volatile Function<Object, StreamHandle> streams;
  private static volatile Function<Object, Memory> buffers;
  private static volatile Function<StreamHandle, Object> newStream;
  private static volatile Function<EventHandle, Object> newEvent;
  private static volatile Function<Memory, Object> newBuffer;

  private Access() {}

  /** Tensor's own. */
  public static void ofTensors(Tensors<?, ?> accessor) {
    tensors = accessor;
  }

  /** Backend's own. */
  public static void ofBackends(Function<Object, BackendHandle> accessor) {
    backends = accessor;
  }

  /** CudaStream's own: the handle of one, and one of a handle. */
  public static void ofStreams(
      Function<Object, StreamHandle> accessor, Function<StreamHandle, Object> maker) {
    streams = accessor;
    newStream = maker;
  }

  /** CudaEvent's own: one of a handle. */
  public static void ofEvents(Function<EventHandle, Object> maker) {
    newEvent = maker;
  }

  /** DeviceBuffer's own: the memory of one, and one of memory. */
  public static void ofBuffers(Function<Object, Memory> accessor, Function<Memory, Object> maker) {
    buffers = accessor;
    newBuffer = maker;
  }

  /** Tensors, of which none need exist yet. */
  @SuppressWarnings("unchecked") // what Tensor gave is of tensors and element types
  public static <T, E> Tensors<T, E> tensors() {
    if (tensors == null) {
      initialise("tensor.Tensor");
    }
    return (Tensors<T, E>) tensors;
  }

  private static void initialise(String className) {
    try {
      Class.forName(ROOT + className);
    } catch (ClassNotFoundException e) {
      throw new AssertionError(e);
    }
  }

  /** A new CudaStream. */
  @SuppressWarnings("unchecked") // what CudaStream gave makes them
  public static <T> T newStream(BackendHandle backend) {
    if (newStream == null) {
      initialise("cuda.CudaStream");
    }
    return (T) newStream.apply(StreamHandle.create(backend));
  }

  /** A new CudaEvent. */
  @SuppressWarnings("unchecked") // what CudaEvent gave makes them
  public static <T> T newEvent(BackendHandle backend) {
    if (newEvent == null) {
      initialise("cuda.CudaEvent");
    }
    return (T) newEvent.apply(new EventHandle(backend));
  }

  /** A new DeviceBuffer. */
  @SuppressWarnings("unchecked") // what DeviceBuffer gave makes them
  public static <T> T newBuffer(BackendHandle backend, long bytes) {
    if (newBuffer == null) {
      initialise("cuda.DeviceBuffer");
    }
    if (bytes < 1) {
      throw new IllegalArgumentException("a buffer has at least one byte: " + bytes);
    }
    return (T) newBuffer.apply(Memory.allocate(backend, bytes, "a buffer of " + bytes + " bytes"));
  }

  /** The memory of a DeviceBuffer. */
  public static Memory buffer(Object buffer) {
    return buffers.apply(buffer);
  }

  /** The memory a tensor views. */
  public static Memory memory(Object tensor) {
    return tensors().memory(tensor);
  }

  /** The native handle of a backend. */
  public static BackendHandle handle(Object backend) {
    return backends.apply(backend);
  }

  /** The native handle of a CUDA stream. */
  public static StreamHandle stream(Object stream) {
    return streams.apply(stream);
  }
}

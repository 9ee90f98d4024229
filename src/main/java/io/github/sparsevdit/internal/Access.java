package io.github.sparsevdit.internal;

import java.util.function.Function;

/**
 * What exported classes let this library's other packages reach, and nobody else: each gives its
 * accessor when it is initialised. This package knows no exported class, so they are objects here;
 * an object of another class is a ClassCastException.
 */
public final class Access {
  private static final String TENSOR = "io.github.sparsevdit.tensor.Tensor";

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

  private Access() {}

  /** Tensor's own. */
  public static void ofTensors(Tensors<?, ?> accessor) {
    tensors = accessor;
  }

  /** Backend's own. */
  public static void ofBackends(Function<Object, BackendHandle> accessor) {
    backends = accessor;
  }

  /** CudaStream's own. */
  public static void ofStreams(Function<Object, StreamHandle> accessor) {
    streams = accessor;
  }

  /** Tensors, of which none need exist yet. */
  @SuppressWarnings("unchecked") // what Tensor gave is of tensors and element types
  public static <T, E> Tensors<T, E> tensors() {
    if (tensors == null) {
      try {
        Class.forName(TENSOR); // initialises it
      } catch (ClassNotFoundException e) {
        throw new AssertionError(e);
      }
    }
    return (Tensors<T, E>) tensors;
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

package io.github.sparsevdit.search.capture;

import static io.github.sparsevdit.internal.Access.memory;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.internal.Memory;
import io.github.sparsevdit.internal.Resources;
import io.github.sparsevdit.search.capture.CalibrationSource.Point;
import io.github.sparsevdit.tensor.Tensor;
import java.lang.foreign.Arena;
import java.util.Arrays;
import java.util.Objects;

/**
 * A point's Q, K and V where a backend computes: the source's own where they lie there, else
 * copies, in device memory that is kept for the next point. Not thread-safe.
 */
public final class Placement implements AutoCloseable {
  private final Backend backend;
  private final Tensor[] copies = new Tensor[3];
  private final Tensor[] placed = new Tensor[3];
  private Point point;

  public Placement(Backend backend) {
    this.backend = backend;
  }

  /** Makes q(), k() and v() those of a point, until it is another's turn. */
  public Placement of(Point next) {
    if (next != point) {
      point = null; // should a copy fail, the next call begins anew
      placed[0] = place(0, next.q());
      placed[1] = place(1, next.k());
      placed[2] = place(2, next.v());
      point = next;
    }
    return this;
  }

  public Tensor q() {
    return placed[0];
  }

  public Tensor k() {
    return placed[1];
  }

  public Tensor v() {
    return placed[2];
  }

  @Override
  public void close() {
    point = null;
    Resources.closeAll(Arrays.stream(copies).filter(Objects::nonNull).toList());
  }

  /** The tensor itself if it lies in host memory, else a copy there, open as long as arena is. */
  public static Tensor onHost(Tensor tensor, Arena arena) {
    if (memory(tensor).device() == Memory.HOST) {
      return tensor;
    }
    Tensor copy = hostTensor(tensor, arena);
    tensor.copyTo(copy.segment());
    return copy;
  }

  private Tensor place(int index, Tensor tensor) {
    if (backend.kind() == Backend.Kind.CPU || memory(tensor).device() != Memory.HOST) {
      return tensor;
    }
    boolean tokensFirst = !tensor.contiguous(); // [B, S, H, D], as some captures are
    Tensor stored = tokensFirst ? tensor.transpose(1, 2) : tensor;
    if (copies[index] != null && !same(copies[index], stored)) {
      copies[index].close();
      copies[index] = null;
    }
    if (copies[index] == null) {
      copies[index] = backend.allocate(stored.type(), stored.shape());
    }
    try (Arena arena = Arena.ofShared()) {
      Tensor packed = stored.contiguous() ? stored : hostTensor(stored, arena).copyFrom(stored);
      copies[index].copyFrom(packed.segment());
    }
    return tokensFirst ? copies[index].transpose(1, 2) : copies[index];
  }

  private static boolean same(Tensor copy, Tensor stored) {
    return copy.type() == stored.type() && Arrays.equals(copy.shape(), stored.shape());
  }

  private static Tensor hostTensor(Tensor like, Arena arena) {
    long bytes = like.elements() * like.type().bytes();
    return Tensor.of(arena.allocate(bytes, 64), like.type(), like.shape());
  }
}

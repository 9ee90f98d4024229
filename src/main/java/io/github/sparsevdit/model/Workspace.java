package io.github.sparsevdit.model;

import io.github.sparsevdit.AttentionPlan;
import io.github.sparsevdit.Backend;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/**
 * The buffers of one forward pass: made for a sequence, used for every pass over it, freed
 * together.
 */
abstract class Workspace implements AutoCloseable {
  private static final long CHUNK_BYTES = 64L << 20;
  private static final long CHUNK_ROWS = 128;

  private final Backend backend;
  private final List<AutoCloseable> owned = new ArrayList<>();

  Workspace(Backend backend) {
    this.backend = backend;
  }

  /** A buffer that lives as long as this. */
  final Tensor buffer(ElementType type, long... shape) {
    return own(backend.allocate(type, shape));
  }

  /** A plan of full attention to other keys that lives as long as this. */
  final AttentionPlan crossPlan(int queries, int keys, ElementType type, ModelDims dims) {
    return own(backend.crossPlan(queries, keys, type, dims.headDim(), dims.heads()));
  }

  /**
   * A buffer for some rows at a time of a matrix that would be too large to hold: {@link #chunk}
   * says how many.
   */
  final Tensor chunkBuffer(ElementType type, long rows, long width) {
    return buffer(type, chunk(type, rows, width), width);
  }

  /** How many of so many rows are computed at a time: at most CHUNK_BYTES, at least 128 rows. */
  static long chunk(ElementType type, long rows, long width) {
    long fitting = CHUNK_BYTES / (width * type.bytes()) / CHUNK_ROWS * CHUNK_ROWS;
    return Math.min(rows, Math.max(CHUNK_ROWS, fitting));
  }

  final <T extends AutoCloseable> T own(T resource) {
    owned.add(resource);
    return resource;
  }

  /** [tokens, heads · headDim] seen as [1, heads, tokens, headDim]. */
  static Tensor heads(Tensor rows, ModelDims dims) {
    return rows.view(1, rows.size(0), dims.heads(), dims.headDim()).transpose(1, 2);
  }

  /** A row [1, parts · width] seen as parts rows [1, width]. */
  static Tensor[] parts(Tensor row, int parts) {
    long width = row.size(1) / parts;
    Tensor[] result = new Tensor[parts];
    for (int i = 0; i < parts; i++) {
      result[i] = row.slice(1, i * width, (i + 1) * width);
    }
    return result;
  }

  @Override
  public final void close() {
    closeAll(owned);
    owned.clear();
  }

  /** Closes what was made last first. */
  static void closeAll(List<AutoCloseable> resources) {
    for (AutoCloseable resource : resources.reversed()) {
      try {
        resource.close();
      } catch (RuntimeException e) {
        throw e;
      } catch (Exception e) {
        throw new IllegalStateException(e);
      }
    }
  }
}

package io.github.sparsevdit.model.parts;

import io.github.sparsevdit.AttentionPlan;
import io.github.sparsevdit.Backend;
import io.github.sparsevdit.cuda.DeviceBuffer;
import io.github.sparsevdit.internal.Resources;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;

/**
 * The buffers of one forward pass: made for a sequence, used for every pass over it, freed
 * together.
 */
public abstract class Workspace implements AutoCloseable {
  private static final long CHUNK_BYTES = 64L << 20;
  private static final long CHUNK_ROWS = 128;

  private final Backend backend;
  private final Resources owned;

  public final ElementType type; // that is computed in
  public final ModelDims dims;
  public final Sequence sequence;
  public final RotaryTable rotary; // null for a model without RoPE
  public final Tensor patches; // FP32, host memory, as gathered
  public final Tensor patchInput; // in the type that is computed in
  public final Tensor output; // FP32 patches
  public final Tensor hostOutput; // the same in host memory
  public final DeviceBuffer counts; // on a device: how many text tokens are real; null on the CPU

  /**
   * @param owned where this object keeps what it closes; closed by whom it was made, should a
   *     constructor fail
   * @param rotary added to owned; null for a model without RoPE
   * @param inFeatures of a patch as the model takes it
   * @param outFeatures of a patch as it gives it
   */
  protected Workspace(
      Resources owned,
      Backend backend,
      ElementType type,
      ModelDims dims,
      Sequence sequence,
      RotaryTable rotary,
      long inFeatures,
      long outFeatures) {
    this.owned = owned;
    this.backend = backend;
    this.type = type;
    this.dims = dims;
    this.sequence = sequence;
    this.rotary = rotary == null ? null : own(rotary);
    patches = hostBuffer(ElementType.FP32, sequence.videoTokens(), inFeatures);
    patchInput = computed(patches, type);
    hostOutput = hostBuffer(ElementType.FP32, sequence.videoTokens(), outFeatures);
    output = computed(hostOutput, ElementType.FP32);
    counts = backend.kind() == Backend.Kind.CUDA ? own(backend.buffer(Integer.BYTES)) : null;
  }

  /** Rows of tokens, with those of video and those of text. */
  public record Rows(Tensor all, Tensor video, Tensor text) {}

  /** A row for each token of the sequence. */
  public final Rows rows(ElementType type, long width) {
    Tensor all = buffer(type, sequence.tokens(), width);
    int video = sequence.textFirst() ? sequence.text() : 0;
    int text = sequence.textFirst() ? 0 : sequence.videoTokens();
    return new Rows(
        all,
        all.slice(0, video, video + sequence.videoTokens()),
        all.slice(0, text, text + sequence.text()));
  }

  /** A buffer that lives as long as this. */
  protected final Tensor buffer(ElementType type, long... shape) {
    return own(backend.allocate(type, shape));
  }

  /** Host memory that lives as long as this: what Java itself reads and writes. */
  protected final Tensor hostBuffer(ElementType type, long... shape) {
    return own(backend.allocatePinned(type, shape));
  }

  /** What of a host buffer is computed with: itself, or a buffer of that type to load it into. */
  protected final Tensor computed(Tensor host, ElementType type) {
    boolean itself = backend.kind() == Backend.Kind.CPU && type == host.type();
    return itself ? host : buffer(type, host.shape());
  }

  /** A plan of full attention to other keys that lives as long as this. */
  protected final AttentionPlan crossPlan(int queries, int keys) {
    return own(backend.crossPlan(queries, keys, type, dims.headDim(), dims.heads()));
  }

  /**
   * A buffer for some rows at a time of a matrix that would be too large to hold: {@link #chunk}
   * says how many.
   */
  protected final Tensor chunkBuffer(ElementType type, long rows, long width) {
    return buffer(type, chunk(type, rows, width), width);
  }

  /** How many of so many rows are computed at a time: at most CHUNK_BYTES, at least 128 rows. */
  public static long chunk(ElementType type, long rows, long width) {
    long fitting = CHUNK_BYTES / (width * type.bytes()) / CHUNK_ROWS * CHUNK_ROWS;
    return Math.min(rows, Math.max(CHUNK_ROWS, fitting));
  }

  protected final <T extends AutoCloseable> T own(T resource) {
    return owned.add(resource);
  }

  /** [tokens, heads · headDim] seen as [1, heads, tokens, headDim]. */
  protected final Tensor heads(Tensor rows) {
    return rows.view(1, rows.size(0), dims.heads(), dims.headDim()).transpose(1, 2);
  }

  /** A row [1, parts · width] seen as parts rows [1, width]. */
  public static Tensor[] parts(Tensor row, int parts) {
    long width = row.size(1) / parts;
    Tensor[] result = new Tensor[parts];
    for (int i = 0; i < parts; i++) {
      result[i] = row.slice(1, i * width, (i + 1) * width);
    }
    return result;
  }

  @Override
  public final void close() {
    owned.close();
  }
}

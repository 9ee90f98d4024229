package io.github.sparsevdit.model.text;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.internal.Resources;
import io.github.sparsevdit.model.parts.Activation;
import io.github.sparsevdit.model.parts.Operations;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.lang.foreign.Arena;

/** The operations and buffers of a pass through an encoder, and its attention. */
final class EncoderBuffers implements AutoCloseable {
  final Backend backend;
  final ElementType type;
  final Operations ops;
  private final Resources owned = new Resources();

  EncoderBuffers(Backend backend, ElementType type) {
    this.backend = backend;
    this.type = type;
    ops = owned.add(new Operations(backend));
  }

  /** A buffer that lives as long as this. */
  Tensor of(ElementType type, long... shape) {
    return owned.add(backend.allocate(type, shape));
  }

  /** A buffer in the type that is computed in. */
  Tensor of(long... shape) {
    return of(type, shape);
  }

  /** Host memory that lives as long as this, FP32. */
  Tensor host(long... shape) {
    return owned.add(backend.allocatePinned(ElementType.FP32, shape));
  }

  /** Values in host memory, for as long as they are used. */
  Tensor result(Tensor computed) {
    return Tensor.ofFloats(Arena.ofAuto(), computed.toFloats(), computed.shape());
  }

  /** A buffer with these values. */
  Tensor filled(ElementType type, float[] values, long... shape) {
    Tensor buffer = of(type, shape);
    ops.load(host(shape).copyFrom(values), buffer);
    return buffer;
  }

  /**
   * Attention of several heads: softmax(scale q kᵀ + bias) v, a head after the other, so that one
   * head's scores are all that is stored of them.
   */
  static final class Attention {
    private final EncoderBuffers buffers;
    private final int heads;
    private final int keyHeads;
    private final int headDim;
    private final float scale;
    private final boolean causal;
    private final Tensor scores;
    private final Tensor weights;
    private final Tensor values; // transposed

    /**
     * @param keyHeads heads of keys and values, each shared by heads / keyHeads query heads
     */
    Attention(
        EncoderBuffers buffers,
        long tokens,
        int heads,
        int keyHeads,
        int headDim,
        double scale,
        boolean causal) {
      this.buffers = buffers;
      this.heads = heads;
      this.keyHeads = keyHeads;
      this.headDim = headDim;
      this.scale = (float) scale;
      this.causal = causal;
      scores = buffers.of(ElementType.FP32, tokens, tokens);
      weights =
          buffers.type == ElementType.FP32 ? scores : buffers.of(buffers.type, tokens, tokens);
      values = buffers.of((long) keyHeads * headDim, tokens);
    }

    /**
     * @param q [tokens, heads · headDim]
     * @param k [tokens, keyHeads · headDim]
     * @param v as k
     * @param bias FP32 [heads · tokens, tokens]; null for none
     * @param valid how many keys count
     * @param out as q
     */
    void apply(Tensor q, Tensor k, Tensor v, Tensor bias, long valid, Tensor out) {
      Operations ops = buffers.ops;
      long tokens = q.size(0);
      ops.transpose(v, values);
      for (int head = 0; head < heads; head++) {
        int keyHead = head * keyHeads / heads;
        Tensor own = bias == null ? null : bias.slice(0, head * tokens, (head + 1) * tokens);
        ops.linear(of(q, head), of(k, keyHead), null, Activation.NONE, scores);
        ops.softmax(scores, scale, own, valid, 0, causal ? 1 : 0, weights);
        Tensor transposed = values.slice(0, (long) keyHead * headDim, (keyHead + 1L) * headDim);
        ops.linear(weights, transposed, null, Activation.NONE, of(out, head));
      }
    }

    private Tensor of(Tensor rows, int head) {
      return rows.slice(1, (long) head * headDim, (head + 1L) * headDim);
    }
  }

  @Override
  public void close() {
    owned.close();
  }
}

package io.github.sparsevdit.model.wan;

import io.github.sparsevdit.AttentionPlan;
import io.github.sparsevdit.Backend;
import io.github.sparsevdit.internal.Resources;
import io.github.sparsevdit.model.parts.Activation;
import io.github.sparsevdit.model.parts.ConfigFile;
import io.github.sparsevdit.model.parts.Linear;
import io.github.sparsevdit.model.parts.ModelDims;
import io.github.sparsevdit.model.parts.Operations;
import io.github.sparsevdit.model.parts.Weights;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.util.Collections;

/**
 * One of Wan 1.3B's blocks by the denoiser's own code, dense, on random weights and tokens. A run
 * advances the residual stream, as the blocks of a model do one after the other.
 */
public final class WanBlockRun implements AutoCloseable {
  /** The video's tokens. */
  public static final Sequence SEQUENCE = Sequence.video(4, 32, 32);

  private static final int TEXT = 512;
  private static final int BLOCK = 128;
  private static final WanConfig CONFIG =
      WanConfig.of(
          ConfigFile.parse(
              """
              {"qk_norm": "rms_norm_across_heads", "cross_attn_norm": true,
               "num_attention_heads": 12, "attention_head_dim": 128, "num_layers": 30,
               "ffn_dim": 8960, "in_channels": 16, "out_channels": 16, "text_dim": 4096,
               "freq_dim": 256, "patch_size": [1, 2, 2]}
              """,
              "Wan2.1-T2V-1.3B"));

  private final Backend backend;
  private final Weights weights;
  private final WanBlock block;
  private final WanWorkspace workspace;
  private final AttentionPlan plan;
  private final Operations operations;
  private final TimedOperations timed;
  private final Linear up;

  /** type: what is computed in; the weights are the same BF16 numbers for all. */
  public WanBlockRun(Backend backend, ElementType type) {
    this.backend = backend;
    ModelDims dims = CONFIG.dims();
    RandomWanWeights source = new RandomWanWeights(backend, dims.width(), CONFIG.ffn());
    weights = new Weights(source, backend, type, Wan.FAMILY, "random weights");
    block = new WanBlock(weights, 0, dims, CONFIG.ffn(), false, CONFIG.epsilon());
    up = weights.linear("blocks.0.ffn.net.0.proj", dims.width(), CONFIG.ffn());
    workspace =
        Resources.make(
            owned -> new WanWorkspace(owned, backend, CONFIG, type, SEQUENCE, TEXT, 0, 0));
    plan =
        backend.plan(
            SEQUENCE,
            type,
            dims.headDim(),
            BLOCK,
            Collections.nCopies(dims.heads(), Pattern.full()));
    operations = new Operations(backend);
    timed = new TimedOperations(backend);
    reset();
  }

  /** Puts the inputs back to what they were at first. */
  public void reset() {
    fill("hidden", 1, workspace.hidden);
    fill("text", 1, workspace.textTokens);
    fill("time", 0.3, workspace.spans[0].timeProjection);
  }

  /** Numbers that BF16 holds, whatever to's type is. */
  private void fill(String name, double deviation, Tensor to) {
    try (Tensor values =
        RandomWanWeights.gaussian(backend, ElementType.BF16, name, 0, deviation, to.shape())) {
      to.copyFrom(values.toFloats());
    }
  }

  public void run() {
    block.run(operations, workspace, this::attend);
  }

  /** As run(), and then tells where the time went. */
  public void runTimed() {
    timed.start();
    block.run(timed, workspace, this::attend);
    timed.stop();
  }

  private void attend(int layer, Tensor q, Tensor k, Tensor v, int[] textValid, Tensor out) {
    plan.run(q, k, v, out);
  }

  /** Of the last runTimed(). */
  public double productMillis() {
    return timed.productMillis();
  }

  /** Of the last runTimed(): self- and cross-attention. */
  public double attentionMillis() {
    return timed.attentionMillis();
  }

  /** Of the last runTimed(). */
  public double otherMillis() {
    return timed.otherMillis();
  }

  /** The product whose epilogue is the GELU, with it or without. */
  public void up(boolean withGelu) {
    Activation activation = withGelu ? Activation.GELU_TANH : Activation.NONE;
    long rows = workspace.normed.size(0);
    long step = workspace.ffn.size(0); // as many at a time as the block computes
    for (long from = 0; from < rows; from += step) {
      long to = Math.min(rows, from + step);
      Tensor y = workspace.ffn.slice(0, 0, to - from);
      up.apply(operations, workspace.normed.slice(0, from, to), activation, y);
    }
  }

  /** Some rows of the last up(). */
  public float[] product() {
    return workspace.ffn.slice(0, 0, 64).toFloats();
  }

  /** The residual stream as it is now, [tokens, width]. */
  public float[] hidden() {
    return workspace.hidden.toFloats();
  }

  @Override
  public void close() {
    plan.close();
    operations.close();
    timed.close();
    workspace.close();
    weights.close();
  }
}

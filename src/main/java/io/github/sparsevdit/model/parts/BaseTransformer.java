package io.github.sparsevdit.model.parts;

import io.github.sparsevdit.AttentionPlan;
import io.github.sparsevdit.Backend;
import io.github.sparsevdit.internal.Resources;
import io.github.sparsevdit.model.AttentionFunction;
import io.github.sparsevdit.model.Conditioning;
import io.github.sparsevdit.model.VideoTransformer;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;

/**
 * What all families share: weights, operations, buffers for the last sequence, and closing them.
 */
public abstract class BaseTransformer<W extends Workspace> implements VideoTransformer {
  public final String name;
  final Weights weights;
  public final Backend backend;
  public final Operations ops;
  private final List<AutoCloseable> embeddings = new ArrayList<>();
  private String configuration = "";
  private W workspace; // for the last sequence
  private BlockGraphs graphs; // of its passes; null on the CPU
  private boolean closed;

  protected BaseTransformer(String name, Weights weights, Backend backend) {
    this.name = name;
    this.weights = weights;
    this.backend = backend;
    ops = new Operations(backend);
  }

  @Override
  public final ElementType type() {
    return weights.type();
  }

  @Override
  public final String fingerprint() {
    return weights.fingerprint() + " configured " + configuration;
  }

  @Override
  public final String weightNotFinite(double timestep) {
    return weights.notFinite();
  }

  @Override
  public final synchronized void forward(
      Tensor latents,
      double timestep,
      Conditioning conditioning,
      AttentionFunction attention,
      Tensor out) {
    if (closed) {
      throw new IllegalStateException("the model is closed");
    }
    Inputs.requireFp32("latents", latents);
    check(latents.shape(), conditioning);
    Inputs.requireVideo("out", out, outputShape(latents.shape()));
    if (workspace == null || !fits(workspace, latents, conditioning)) {
      releaseBuffers();
      workspace = makeWorkspace(latents, conditioning);
      try {
        graphs =
            backend.kind() == Backend.Kind.CUDA ? new BlockGraphs(backend, ops, workspace) : null;
      } catch (RuntimeException | Error failure) {
        releaseBuffers(); // the next pass begins anew
        throw failure;
      }
    }
    embed(workspace, latents, timestep, conditioning);
    List<AttentionPlan> plans = graphs == null ? null : plans(attention);
    if (plans == null || !graphs.launch(plans, function -> blocks(workspace, function))) {
      blocks(workspace, attention);
    }
    finish(workspace, out);
  }

  /** The plans of all layers; null where attention is more than running them. */
  private List<AttentionPlan> plans(AttentionFunction attention) {
    List<AttentionPlan> plans = new ArrayList<>();
    for (int layer = 0; layer < shape().layers(); layer++) {
      AttentionPlan plan = attention.plan(layer);
      if (plan == null) {
        return null;
      }
      plans.add(plan);
    }
    return plans;
  }

  /** Whether the buffers serve these inputs. */
  protected boolean fits(W workspace, Tensor latents, Conditioning conditioning) {
    return workspace.sequence.equals(sequence(latents.shape(), conditioning.textTokens()));
  }

  /** Tells what it was made from, for the fingerprint. */
  public final void configuredBy(ConfigFile config) {
    configuration = config.fingerprint();
  }

  /**
   * What the pipeline's {@code expand_timesteps} says (Wan2.2 TI2V).
   *
   * @param where for messages
   */
  public void expandTimesteps(boolean expands, String where) {
    if (expands) {
      throw new IllegalArgumentException(
          where + ": expand_timesteps is true; expected false: only Wan's pipelines have it");
    }
  }

  /** New buffers for these inputs. */
  protected abstract W makeWorkspace(Tensor latents, Conditioning conditioning);

  /**
   * From the inputs to the first block's: what lies in host memory is loaded here, and only here.
   */
  protected abstract void embed(W w, Tensor latents, double timestep, Conditioning conditioning);

  /**
   * All blocks and the head, to w.output, without a look at the host: on a device it may become a
   * graph.
   */
  protected abstract void blocks(W w, AttentionFunction attention);

  /** w.output as latents. */
  protected abstract void finish(W w, Tensor out);

  @Override
  public final synchronized void releaseBuffers() {
    Resources buffers = new Resources();
    if (workspace != null) {
      buffers.add(workspace);
      workspace = null;
    }
    if (graphs != null) {
      buffers.add(graphs); // closed first
      graphs = null;
    }
    buffers.close();
  }

  /** Closes an embedding's buffers with the model. */
  protected final <T extends AutoCloseable> T closing(T embedding) {
    embeddings.add(embedding);
    return embedding;
  }

  @Override
  public final synchronized void close() {
    if (closed) {
      return;
    }
    closed = true;
    Resources all = new Resources();
    all.add(weights);
    all.add(ops);
    embeddings.forEach(all::add);
    all.add(this::releaseBuffers); // closed first
    all.close();
  }
}

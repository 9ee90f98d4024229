package io.github.sparsevdit.pipeline;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.SparseAttention;
import io.github.sparsevdit.model.AttentionFunction;
import io.github.sparsevdit.model.AttentionProvider;
import io.github.sparsevdit.model.VideoTransformer;
import io.github.sparsevdit.pattern.ModelShape;
import io.github.sparsevdit.pattern.Policy;
import io.github.sparsevdit.pattern.Schedule;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.concurrent.CancellationException;
import java.util.function.UnaryOperator;

/**
 * Runs a denoiser with policies, from noise to latents. The backend, the transformer and the
 * scheduler stay the caller's. Not thread-safe.
 */
public final class Runner {
  private final Backend backend;
  private final VideoTransformer transformer;
  private final ElementType attentionType;
  private final Scheduler scheduler;
  private final Guidance guidance;
  private final DenoisingLoop loop;
  private final long[] latentShape;
  private final DenoisingProgress progress;
  private boolean timed;

  /**
   * A finished run.
   *
   * @param latents as the transformer gives them, row-major
   * @param attentionSeconds time its self-attention took; NaN where it was not timed
   * @param seconds all of its time; of a resumed run, since it was resumed
   * @param density of self-attention, over all steps, layers and heads
   */
  public record Result(float[] latents, double attentionSeconds, double seconds, double density) {}

  /**
   * @param attentionType that self-attention is computed in: the transformer's, or E4M3 where that
   *     is BF16
   * @param scheduler not used elsewhere while this is
   * @param latentShape of the latents, as the transformer takes them
   * @param progress is called at every run's steps; may cancel
   */
  public Runner(
      Backend backend,
      VideoTransformer transformer,
      ElementType attentionType,
      Scheduler scheduler,
      Guidance guidance,
      long[] latentShape,
      DenoisingProgress progress) {
    if (attentionType.tensorType() != transformer.type()) {
      throw new IllegalArgumentException(
          "attention in %s takes %s tensors; the denoiser's are %s"
              .formatted(attentionType, attentionType.tensorType(), transformer.type()));
    }
    this.backend = backend;
    this.transformer = transformer;
    this.attentionType = attentionType;
    this.scheduler = scheduler;
    this.guidance = guidance;
    this.loop = new DenoisingLoop(transformer, scheduler, guidance);
    this.latentShape = latentShape.clone();
    this.progress = progress;
    timed = backend.kind() == Backend.Kind.CPU; // where it costs two looks at the clock
  }

  /**
   * Also times self-attention on a device, in runs from now on. That waits for the device before
   * and after each layer's attention, so such runs are launched call by call and not as CUDA
   * graphs; what they give is the same. On the CPU attention is always timed.
   *
   * @return this
   */
  public Runner timeAttention() {
    timed = true;
    return this;
  }

  /** Where it computes. */
  public Backend backend() {
    return backend;
  }

  /** Layers, heads and head dim. */
  public ModelShape shape() {
    return transformer.shape();
  }

  /** The denoiser. */
  public VideoTransformer transformer() {
    return transformer;
  }

  /** Shape of the latents. */
  public long[] latentShape() {
    return latentShape.clone();
  }

  /** The timesteps of a run. */
  public Schedule schedule() {
    return loop.schedule();
  }

  /** The sequence of a run's self-attention. */
  public Sequence sequence(RunInputs inputs) {
    return transformer.sequence(latentShape, inputs.prompt().textTokens());
  }

  /** A policy's attention for a run; the caller closes it. */
  public SparseAttention attention(RunInputs inputs, Policy policy) {
    return SparseAttention.of(backend, policy, sequence(inputs), schedule(), attentionType);
  }

  /** Runs from noise to latents. */
  public Result run(RunInputs inputs, Policy policy) {
    return run(inputs, policy, UnaryOperator.identity(), null);
  }

  /**
   * The same, saved to a file after each step, and resumed from it where it exists.
   *
   * @param around wraps the policy's attention, for example to observe it
   * @param file null for none
   * @throws CancellationException if progress cancels the run
   * @throws IllegalArgumentException if the file contains another run's state
   */
  public Result run(
      RunInputs inputs, Policy policy, UnaryOperator<AttentionProvider> around, Path file) {
    long elements = Arrays.stream(latentShape).reduce(1, Math::multiplyExact);
    RunFile kept = file == null ? null : runFile(inputs, policy, file);
    try (Arena arena = Arena.ofShared();
        SparseAttention sparse = attention(inputs, policy)) {
      Tensor latents = Tensor.of(arena.allocate(4 * elements, 64), ElementType.FP32, latentShape);
      Noise.fill(latents, inputs.seed(), inputs.noise());
      AttentionProvider plain = AttentionProvider.of(sparse);
      Timed clock = timed ? new Timed(plain, backend) : null;
      AttentionProvider attention = around.apply(timed ? clock : plain);
      long begin = System.nanoTime();
      loop.run(latents, inputs.prompt(), inputs.negative(), attention, progress, kept);
      return new Result(
          latents.toFloats(),
          timed ? clock.nanoseconds * 1e-9 : Double.NaN,
          (System.nanoTime() - begin) * 1e-9,
          sparse.density());
    }
  }

  private RunFile runFile(RunInputs inputs, Policy policy, Path file) {
    return new RunFile(
        file,
        RunFile.identity(
            backend,
            transformer,
            scheduler,
            guidance,
            inputs,
            RunFile.fingerprint(policy, schedule()),
            attentionType),
        backend);
  }

  /** Adds up the time that self-attention takes, for which a device does nothing else meanwhile. */
  private static final class Timed implements AttentionProvider {
    private final AttentionProvider inner;
    private final Backend backend;
    private long nanoseconds;

    Timed(AttentionProvider inner, Backend backend) {
      this.inner = inner;
      this.backend = backend;
    }

    @Override
    public AttentionFunction at(int step, int branch) {
      AttentionFunction function = inner.at(step, branch);
      return (layer, q, k, v, textValid, out) -> {
        backend.synchronize();
        long begin = System.nanoTime();
        function.attend(layer, q, k, v, textValid, out);
        backend.synchronize();
        nanoseconds += System.nanoTime() - begin;
      };
    }
  }
}

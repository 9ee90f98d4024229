package io.github.sparsevdit.pipeline;

import io.github.sparsevdit.AttentionPlan;
import io.github.sparsevdit.NotFiniteException;
import io.github.sparsevdit.model.AttentionFunction;
import io.github.sparsevdit.model.AttentionProvider;
import io.github.sparsevdit.model.Conditioning;
import io.github.sparsevdit.model.VideoTransformer;
import io.github.sparsevdit.pattern.Schedule;
import io.github.sparsevdit.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.concurrent.CancellationException;

/**
 * Takes latents from noise to a video: at each step the transformer's word on both guidance
 * branches, then the scheduler's step. For one run at a time; buffers are reused by the next run,
 * so the steps make next to no garbage.
 */
public final class DenoisingLoop {
  private final VideoTransformer transformer;
  private final Scheduler scheduler;
  private final Guidance guidance;

  private long[] shape = {}; // of the latents the buffers below are for
  private float[] sample;
  private float[] conditional;
  private float[] unconditional;
  private MemorySegment sampleSegment;
  private Tensor output;

  /** The transformer and the scheduler stay the caller's. */
  public DenoisingLoop(VideoTransformer transformer, Scheduler scheduler, Guidance guidance) {
    this.transformer = transformer;
    this.scheduler = scheduler;
    this.guidance = guidance;
  }

  /** The timesteps of a run. */
  public Schedule schedule() {
    return scheduler.schedule();
  }

  /**
   * Denoises latents in place. If it is cancelled, they are as they were before the step it was
   * cancelled in.
   *
   * @param latents FP32, host memory, as the transformer takes and gives them
   * @param negative the unconditional branch; null for a model without one, when the guidance scale
   *     is not used
   * @throws CancellationException if progress says so
   * @throws NotFiniteException if a result is NaN or infinite: the latents are then, too, as they
   *     were before the step, and so is what is saved to a file
   */
  public void run(
      Tensor latents,
      Conditioning prompt,
      Conditioning negative,
      AttentionProvider attention,
      DenoisingProgress progress) {
    run(latents, prompt, negative, attention, progress, null);
  }

  /**
   * The same, saved to a file after each step, and resumed from it if it exists: the latents are
   * then what the file says.
   *
   * @param kept null for nowhere
   * @throws IllegalArgumentException if the file contains another run's state
   */
  public void run(
      Tensor latents,
      Conditioning prompt,
      Conditioning negative,
      AttentionProvider attention,
      DenoisingProgress progress,
      RunFile kept) {
    int steps = scheduler.schedule().steps();
    int first = kept == null ? 0 : kept.restore(latents, scheduler);
    run(latents, prompt, negative, attention, progress, kept, first, steps);
  }

  /** The same for the first steps only. */
  void run(
      Tensor latents,
      Conditioning prompt,
      Conditioning negative,
      AttentionProvider attention,
      DenoisingProgress progress,
      int steps) {
    run(latents, prompt, negative, attention, progress, null, 0, steps);
  }

  private void run(
      Tensor latents,
      Conditioning prompt,
      Conditioning negative,
      AttentionProvider attention,
      DenoisingProgress progress,
      RunFile kept,
      int first,
      int steps) {
    prepare(latents);
    requireOneSequence(latents, prompt, negative);
    Schedule schedule = scheduler.schedule();
    latents.copyTo(sampleSegment);
    FiniteRun finite = new FiniteRun(transformer, schedule.steps());
    if (first < steps) {
      finite.requireBegin(sample, first, prompt, negative);
    }
    for (int step = first; step < steps; step++) {
      double timestep = schedule.timesteps().get(step);
      forward(latents, step, 0, timestep, prompt, attention, progress, conditional);
      finite.requireOutput(conditional, step, 0, timestep);
      double scale = 1;
      if (negative != null) {
        forward(latents, step, 1, timestep, negative, attention, progress, unconditional);
        finite.requireOutput(unconditional, step, 1, timestep);
        scale = guidance.at(timestep, schedule.steps());
        float factor = (float) scale;
        for (int i = 0; i < conditional.length; i++) {
          conditional[i] = unconditional[i] + factor * (conditional[i] - unconditional[i]);
        }
      }
      scheduler.step(step, conditional, sample);
      // Before anything takes it over: what was kept of the step before is still whole.
      finite.requireSample(sample, step, timestep, scheduler, scale);
      latents.copyFrom(sampleSegment);
      if (step + 1 == schedule.steps() && prompt.firstFrames() != null) {
        latents.slice(1, 0, prompt.firstFrames().size(1)).copyFrom(prompt.firstFrames());
      }
      if (kept != null) {
        kept.save(step + 1, latents, scheduler);
      }
      progress.step(step, schedule.steps());
    }
  }

  /** One attention serves both branches. */
  private void requireOneSequence(Tensor latents, Conditioning prompt, Conditioning negative) {
    if (negative != null
        && !transformer
            .sequence(latents.shape(), prompt.textTokens())
            .equals(transformer.sequence(latents.shape(), negative.textTokens()))) {
      throw new IllegalArgumentException(
          "the prompt has %d text tokens and the negative prompt %d; this model's self-attention sees the text, so pad both to one length"
              .formatted(prompt.textTokens(), negative.textTokens()));
    }
  }

  private void forward(
      Tensor latents,
      int step,
      int branch,
      double timestep,
      Conditioning conditioning,
      AttentionProvider attention,
      DenoisingProgress progress,
      float[] result) {
    AttentionFunction function = attention.at(step, branch);
    Watched watched = new Watched(function, progress, step, branch);
    watched.requireGoingOn(0);
    transformer.forward(latents, timestep, conditioning, watched, output);
    watched.catchUp(transformer.shape().layers());
    output.copyTo(MemorySegment.ofArray(result));
  }

  /**
   * An attention that tells of each block. A device's graph runs past it: then all blocks follow.
   */
  private static final class Watched implements AttentionFunction {
    private final AttentionFunction function;
    private final DenoisingProgress progress;
    private final int step;
    private final int branch;
    private int told;

    Watched(AttentionFunction function, DenoisingProgress progress, int step, int branch) {
      this.function = function;
      this.progress = progress;
      this.step = step;
      this.branch = branch;
    }

    @Override
    public void attend(int layer, Tensor q, Tensor k, Tensor v, int[] textValid, Tensor out) {
      requireGoingOn(layer);
      progress.block(step, branch, layer);
      told++;
      function.attend(layer, q, k, v, textValid, out);
    }

    @Override
    public AttentionPlan plan(int layer) {
      return function.plan(layer);
    }

    void requireGoingOn(int layer) {
      if (progress.cancelled()) {
        throw new CancellationException("cancelled at step " + step + ", layer " + layer);
      }
    }

    void catchUp(int layers) {
      for (int layer = 0; told == 0 && layer < layers; layer++) {
        progress.block(step, branch, layer);
      }
    }
  }

  private void prepare(Tensor latents) {
    if (!Arrays.equals(shape, latents.shape())) {
      long[] given = transformer.outputShape(latents.shape());
      if (!Arrays.equals(given, latents.shape())) {
        throw new IllegalArgumentException(
            "latents of "
                + Arrays.toString(latents.shape())
                + ": the model gives back "
                + Arrays.toString(given));
      }
      int elements = Math.toIntExact(latents.elements());
      output = Tensor.of(Arena.ofAuto().allocate(4L * elements, 64), latents.type(), given);
      sample = new float[elements];
      sampleSegment = MemorySegment.ofArray(sample);
      conditional = new float[elements];
      unconditional = new float[elements];
      shape = latents.shape();
    }
  }
}

package io.github.sparsevdit.eval;

import io.github.sparsevdit.SparseAttention;
import io.github.sparsevdit.model.AttentionProvider;
import io.github.sparsevdit.pattern.Mode;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Policy;
import io.github.sparsevdit.pattern.Schedule;
import io.github.sparsevdit.pipeline.RunInputs;
import io.github.sparsevdit.pipeline.Runner;
import io.github.sparsevdit.pipeline.Video;
import io.github.sparsevdit.search.LayerError;
import io.github.sparsevdit.search.WholeRun;
import io.github.sparsevdit.tensor.Tensor;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;

/**
 * Compares policies with dense attention: clips from the same noise. For checkpoints that work in
 * pixels: latents [channels, frames, height, width] in [−1, 1]. A clip's dense run is made once.
 * Not thread-safe.
 */
public final class Evaluation {
  private static final int DENSE_BLOCK = 128;

  private final Runner runner;
  private final List<RunInputs> clips;
  private final Function<float[], Video> decoder; // null where latents are pixels
  private final Map<RunInputs, Runner.Result> dense = new IdentityHashMap<>();

  /**
   * @param runner that makes the clips; the caller's
   * @param clips what they are made from
   */
  public Evaluation(Runner runner, List<RunInputs> clips) {
    this(runner, clips, null);
  }

  /**
   * The same of a checkpoint with a VAE.
   *
   * @param decoder from a run's latents to its video; null where latents are pixels
   */
  public Evaluation(Runner runner, List<RunInputs> clips, Function<float[], Video> decoder) {
    this.runner = runner;
    this.clips = List.copyOf(clips);
    this.decoder = decoder;
  }

  /** The timesteps of a run. */
  public Schedule schedule() {
    return runner.schedule();
  }

  /** The clip's dense run. */
  public Runner.Result dense(RunInputs clip) {
    return dense.computeIfAbsent(clip, inputs -> runner.run(inputs, full()));
  }

  private Policy full() {
    return Policy.dense(runner.shape(), DENSE_BLOCK);
  }

  /** The clip that a run gave. */
  public Video video(Runner.Result run) {
    if (decoder != null) {
      return decoder.apply(run.latents());
    }
    long[] shape = runner.latentShape();
    return Video.ofPixelLatents(
        run.latents(),
        Math.toIntExact(shape[0]),
        Math.toIntExact(shape[1]),
        Math.toIntExact(shape[2]),
        Math.toIntExact(shape[3]));
  }

  /** Compares a policy with dense attention over all clips. */
  public Report.Row score(String name, Policy policy) {
    List<Double> psnr = new ArrayList<>();
    List<Double> ssim = new ArrayList<>();
    double denseSeconds = 0;
    double sparseSeconds = 0;
    double density = Double.NaN; // of the first clip's sequence
    for (RunInputs clip : clips) {
      Runner.Result reference = dense(clip);
      Runner.Result sparse = runner.run(clip, policy);
      density = Double.isNaN(density) ? sparse.density() : density;
      Video expected = video(reference);
      Video made = video(sparse);
      psnr.add(Psnr.of(expected, made));
      ssim.add(Ssim.of(expected, made));
      denseSeconds += reference.attentionSeconds() / clips.size();
      sparseSeconds += sparse.attentionSeconds() / clips.size();
    }
    return new Report.Row(name, heads(policy), density, psnr, ssim, denseSeconds, sparseSeconds);
  }

  /** Mean PSNR over the clips: what a search scores whole tables by. */
  public WholeRun wholeRun() {
    return policy -> score("", policy).meanPsnr();
  }

  /**
   * The share of the layers' outputs that a policy disturbs on its own trajectory, mean over clips,
   * steps, layers and branches.
   */
  public double layerError(Policy policy) {
    LayerError error = new LayerError();
    for (RunInputs clip : clips) {
      try (SparseAttention full = runner.attention(clip, full())) {
        AttentionProvider beside = AttentionProvider.of(full);
        runner.run(clip, policy, sparse -> watched(sparse, beside, error), null);
      }
    }
    return error.mean();
  }

  /**
   * Goes on with what the policy gives, and computes full attention on the same inputs beside it.
   */
  private AttentionProvider watched(
      AttentionProvider sparse, AttentionProvider dense, LayerError error) {
    return (step, branch) ->
        (layer, q, k, v, textValid, out) -> {
          try (Tensor full = runner.backend().allocate(out.type(), out.shape())) {
            sparse.at(step, branch).attend(layer, q, k, v, textValid, out);
            dense.at(step, branch).attend(layer, q, k, v, textValid, full);
            double timestep = runner.schedule().timesteps().get(step);
            error.add(out, full, runner.transformer().outProjection(timestep, layer));
          }
        };
  }

  private Map<Mode, Double> heads(Policy policy) {
    Map<Mode, Double> heads = new EnumMap<>(Mode.class);
    List<Double> timesteps = runner.schedule().timesteps();
    for (double timestep : timesteps) {
      for (int layer = 0; layer < runner.shape().layers(); layer++) {
        for (Pattern pattern : policy.patterns(timestep, layer)) {
          heads.merge(pattern.mode(), 1.0 / timesteps.size(), Double::sum);
        }
      }
    }
    return heads;
  }
}

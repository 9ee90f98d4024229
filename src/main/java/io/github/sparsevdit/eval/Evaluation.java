package io.github.sparsevdit.eval;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.Mode;
import io.github.sparsevdit.Pattern;
import io.github.sparsevdit.Policy;
import io.github.sparsevdit.Schedule;
import io.github.sparsevdit.Sequence;
import io.github.sparsevdit.SparseAttention;
import io.github.sparsevdit.internal.Sha256;
import io.github.sparsevdit.model.AttentionFunction;
import io.github.sparsevdit.model.AttentionProvider;
import io.github.sparsevdit.model.Conditioning;
import io.github.sparsevdit.model.VideoTransformer;
import io.github.sparsevdit.pipeline.DenoisingLoop;
import io.github.sparsevdit.pipeline.DenoisingProgress;
import io.github.sparsevdit.pipeline.Guidance;
import io.github.sparsevdit.pipeline.Noise;
import io.github.sparsevdit.pipeline.RunFile;
import io.github.sparsevdit.pipeline.Scheduler;
import io.github.sparsevdit.pipeline.Video;
import io.github.sparsevdit.search.LayerError;
import io.github.sparsevdit.search.WholeRun;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.lang.foreign.Arena;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * Generates clips densely and with policies, from the same noise, and compares them. For
 * checkpoints that work in pixels: latents [channels, frames, height, width] in [−1, 1]. A clip's
 * dense run is made once and kept. Not thread-safe.
 */
public final class Evaluation {
  private static final int DENSE_BLOCK = 128;

  private final Backend backend;
  private final VideoTransformer transformer;
  private final ElementType attentionType;
  private final Scheduler scheduler;
  private final Guidance guidance;
  private final DenoisingLoop loop;
  private final long[] latentShape;
  private final List<Clip> clips;
  private final DenoisingProgress progress;
  private final Map<Clip, Run> dense = new HashMap<>();
  private boolean timed;

  /**
   * What to generate.
   *
   * @param negative the unconditional branch, or null
   * @param seed of the noise
   * @param noise what the run begins with instead, FP32 of the latents' shape; null for the seed's
   */
  public record Clip(
      String name, Conditioning prompt, Conditioning negative, long seed, Tensor noise) {
    /** A run from the noise of a seed. */
    public Clip(String name, Conditioning prompt, Conditioning negative, long seed) {
      this(name, prompt, negative, seed, null);
    }
  }

  /**
   * A finished run.
   *
   * @param latents [channels, frames, height, width]
   * @param attentionSeconds time its self-attention took; NaN where it was not timed
   * @param seconds all of its time
   */
  public record Run(float[] latents, double attentionSeconds, double seconds) {}

  /** The same with self-attention in the transformer's own type. */
  public Evaluation(
      Backend backend,
      VideoTransformer transformer,
      Scheduler scheduler,
      Guidance guidance,
      long[] latentShape,
      List<Clip> clips,
      DenoisingProgress progress) {
    this(
        backend,
        transformer,
        transformer.type(),
        scheduler,
        guidance,
        latentShape,
        clips,
        progress);
  }

  /**
   * @param attentionType that self-attention, dense and sparse, is computed in: the transformer's,
   *     or E4M3 where that is BF16
   * @param scheduler not used elsewhere while this is
   * @param latentShape [channels, frames, height, width]
   * @param progress told of every run's steps; may cancel
   */
  public Evaluation(
      Backend backend,
      VideoTransformer transformer,
      ElementType attentionType,
      Scheduler scheduler,
      Guidance guidance,
      long[] latentShape,
      List<Clip> clips,
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
    this.clips = List.copyOf(clips);
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
  public Evaluation timeAttention() {
    timed = true;
    dense.clear();
    return this;
  }

  /** The timesteps of a run. */
  public Schedule schedule() {
    return loop.schedule();
  }

  /** The sequence of a clip's self-attention. */
  public Sequence sequence(Clip clip) {
    return transformer.sequence(latentShape, clip.prompt().textTokens());
  }

  /** The clip's dense run. */
  public Run dense(Clip clip) {
    return dense.computeIfAbsent(
        clip, c -> generate(c, Policy.dense(transformer.shape(), DENSE_BLOCK)));
  }

  /** Generates a clip with a policy. */
  public Run generate(Clip clip, Policy policy) {
    return run(clip, policy, null, null);
  }

  /**
   * The same, kept in a file after each step, and going on from it where it exists. The seconds are
   * those since then.
   *
   * @param file null for nowhere
   */
  public Run generate(Clip clip, Policy policy, Path file) {
    return run(clip, policy, null, file == null ? null : runFile(clip, policy, file));
  }

  private RunFile runFile(Clip clip, Policy policy, Path file) {
    return new RunFile(
        file,
        RunFile.identity(
            backend,
            transformer,
            scheduler,
            guidance,
            clip.prompt(),
            clip.negative(),
            fingerprint(policy, loop.schedule()),
            attentionType,
            clip.seed(),
            clip.noise()),
        backend);
  }

  /** "dense" where all is, else the digest of every pattern that a run asks for, and the block. */
  static String fingerprint(Policy policy, Schedule schedule) {
    Sha256 digest = new Sha256();
    Map<List<Pattern>, byte[]> known = new IdentityHashMap<>(); // steps of a phase share lists
    boolean dense = true;
    for (double timestep : schedule.timesteps()) {
      for (int layer = 0; layer < policy.model().layers(); layer++) {
        List<Pattern> patterns = policy.patterns(timestep, layer);
        byte[] text = known.get(patterns);
        if (text == null) {
          text =
              patterns.stream()
                  .map(Pattern::toJson)
                  .collect(Collectors.joining(",", "[", "]"))
                  .getBytes(StandardCharsets.UTF_8);
          known.put(patterns, text);
          dense &= patterns.stream().allMatch(pattern -> pattern.mode() == Mode.FULL);
        }
        digest.update(text);
      }
    }
    // The block decides nothing where all is seen, but sums may run in its order.
    return (dense ? "dense" : "patterns " + digest.hex()) + ", block " + policy.block();
  }

  /** The clip that a run of it gave. */
  public Video video(Run run) {
    return Video.ofPixelLatents(
        run.latents(),
        Math.toIntExact(latentShape[0]),
        Math.toIntExact(latentShape[1]),
        Math.toIntExact(latentShape[2]),
        Math.toIntExact(latentShape[3]));
  }

  /** Compares a policy with dense attention over all clips. */
  public Report.Row score(String name, Policy policy) {
    List<Double> psnr = new ArrayList<>();
    List<Double> ssim = new ArrayList<>();
    double denseSeconds = 0;
    double sparseSeconds = 0;
    for (Clip clip : clips) {
      Run reference = dense(clip);
      Run sparse = generate(clip, policy);
      psnr.add(Psnr.of(video(reference), video(sparse)));
      ssim.add(Ssim.of(video(reference), video(sparse)));
      denseSeconds += reference.attentionSeconds() / clips.size();
      sparseSeconds += sparse.attentionSeconds() / clips.size();
    }
    return new Report.Row(
        name, heads(policy), density(policy), psnr, ssim, denseSeconds, sparseSeconds);
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
    for (Clip clip : clips) {
      run(clip, policy, error, null);
    }
    return error.mean();
  }

  private Run run(Clip clip, Policy policy, LayerError error, RunFile file) {
    Sequence sequence = sequence(clip);
    Policy full = Policy.dense(transformer.shape(), DENSE_BLOCK);
    long elements = Arrays.stream(latentShape).reduce(1, Math::multiplyExact);
    try (Arena arena = Arena.ofShared();
        SparseAttention sparse =
            SparseAttention.of(backend, policy, sequence, loop.schedule(), attentionType);
        SparseAttention dense =
            SparseAttention.of(backend, full, sequence, loop.schedule(), attentionType)) {
      Tensor latents = Tensor.of(arena.allocate(4 * elements, 64), ElementType.FP32, latentShape);
      Noise.fill(latents, clip.seed(), clip.noise());
      AttentionProvider plain = AttentionProvider.of(sparse);
      Timed clock = timed ? new Timed(plain, backend) : null;
      AttentionProvider run = timed ? clock : plain;
      AttentionProvider attention =
          error == null ? run : watched(run, AttentionProvider.of(dense), error);
      long begin = System.nanoTime();
      loop.run(latents, clip.prompt(), clip.negative(), attention, progress, file);
      return new Run(
          latents.toFloats(),
          timed ? clock.nanoseconds * 1e-9 : Double.NaN,
          (System.nanoTime() - begin) * 1e-9);
    }
  }

  /**
   * Goes on with what the policy gives, and computes full attention on the same inputs beside it.
   */
  private AttentionProvider watched(
      AttentionProvider sparse, AttentionProvider dense, LayerError error) {
    return (step, branch) ->
        (layer, q, k, v, textValid, out) -> {
          try (Tensor full = backend.allocate(out.type(), out.shape())) {
            sparse.at(step, branch).attend(layer, q, k, v, textValid, out);
            dense.at(step, branch).attend(layer, q, k, v, textValid, full);
            error.add(
                out, full, transformer.outProjection(loop.schedule().timesteps().get(step), layer));
          }
        };
  }

  private double density(Policy policy) {
    try (SparseAttention attention =
        SparseAttention.of(
            backend, policy, sequence(clips.get(0)), loop.schedule(), attentionType)) {
      return attention.density();
    }
  }

  private Map<Mode, Double> heads(Policy policy) {
    Map<Mode, Double> heads = new EnumMap<>(Mode.class);
    List<Double> timesteps = loop.schedule().timesteps();
    for (double timestep : timesteps) {
      for (int layer = 0; layer < transformer.shape().layers(); layer++) {
        for (Pattern pattern : policy.patterns(timestep, layer)) {
          heads.merge(pattern.mode(), 1.0 / timesteps.size(), Double::sum);
        }
      }
    }
    return heads;
  }

  /** Adds up the time that self-attention takes, for which a device does nothing else meanwhile. */
  private static final class Timed implements AttentionProvider {
    private final AttentionProvider inner;
    private final Backend backend;
    long nanoseconds;

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

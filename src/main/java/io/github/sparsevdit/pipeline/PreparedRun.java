package io.github.sparsevdit.pipeline;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.checkpoint.Denoisers;
import io.github.sparsevdit.checkpoint.GenerationConfig;
import io.github.sparsevdit.estimate.ModelProfile;
import io.github.sparsevdit.estimate.RunMemory;
import io.github.sparsevdit.model.Conditioning;
import io.github.sparsevdit.model.Conditioning.Part;
import io.github.sparsevdit.model.VideoTransformer;
import io.github.sparsevdit.model.families.Families;
import io.github.sparsevdit.model.parts.Family;
import io.github.sparsevdit.pattern.Policy;
import io.github.sparsevdit.pattern.Schedule;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.search.capture.CalibrationSource;
import io.github.sparsevdit.table.DispatchTable;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.UnaryOperator;

/**
 * Options resolved for a checkpoint: a run's sequence, schedule and memory, before it begins. Valid
 * as long as the {@link Generator} that made it.
 */
public final class PreparedRun {
  private static final long BYTES_OF_PIXEL = 3 * Float.BYTES + Integer.BYTES + 3;
  private static final String VAE_WAY_OUT =
      "vae-tiling, vae-type bf16 or a smaller picture take less";

  private final Generator generator;
  private final GenerateOptions options;
  private final Family family;
  private final ElementType attentionType;
  private final Scheduler scheduler;
  private final Guidance guidance;
  private final double embeddedGuidance; // × 1000; NaN where none is
  private final LatentSize size;
  private final long[] latents;
  private final RunImages images; // guarded by the generator's lock
  private final List<String> prompts;
  private final int textTokens; // of the prompts
  private final int framesPerSecond;
  private final RunMemory memory;

  PreparedRun(Generator generator, GenerateOptions options, List<String> prompts) {
    this.generator = generator;
    this.options = options;
    this.prompts = List.copyOf(prompts);
    if (prompts.isEmpty()) {
      throw new IllegalArgumentException("prompts is empty; a run is prepared for at least one");
    }
    family = Families.of(generator.geometry().className());
    attentionType = options.attentionType() == null ? generator.type() : options.attentionType();
    size = LatentSize.of(generator, options);
    latents = size.shape(generator.geometry().latentChannels(), family.framesFirst());
    images = new RunImages(generator.images(), options, generator.encodesText());
    textTokens = commonTextTokens();
    memory = requireMemory();
    GenerationConfig config = generator.config();
    ModelProfile.Run usual =
        generator.profile().runs().isEmpty() ? null : generator.profile().runs().getFirst();
    Family.Defaults defaults = family.defaults();
    RunSteps steps =
        options.steps(or(config.steps(), usual == null ? defaults.steps() : usual.steps()));
    framesPerSecond =
        or(
            config.framesPerSecond(),
            usual == null ? defaults.framesPerSecond() : usual.framesPerSecond());
    Path own = generator.folder().schedulerConfig();
    scheduler =
        own == null
            ? Schedulers.usual(family.transformer(), steps, options.schedulerSeed())
            : Schedulers.read(own, family.transformer(), steps, options.schedulerSeed());
    double scale =
        or(
            options.guidance(),
            or(config.guidance(), usual == null ? defaults.guidance() : usual.guidance()));
    embeddedGuidance = generator.embedsGuidance() ? 1000 * scale : Double.NaN;
    guidance = generator.embedsGuidance() ? trueGuidance() : guidance(scale, usual);
    if (options.negative() != null && !guidance.needsNegative()) {
      throw new IllegalArgumentException(
          "negative is given, and no step uses it: %s is 1"
              .formatted(generator.embedsGuidance() ? "true-guidance" : "guidance"));
    }
  }

  private static <T> T or(T given, T otherwise) {
    return given == null ? otherwise : given;
  }

  // ---- resolving

  /** Of prompts that may run with one attention. */
  private int commonTextTokens() {
    String first = prompts.getFirst();
    int tokens = generator.encoder().tokens(first);
    for (String prompt : prompts) {
      int other = generator.encoder().tokens(prompt);
      if (!sequence(other).equals(sequence(tokens))) {
        throw new IllegalArgumentException(
            "prompt '%s' has %d text tokens and '%s' has %d; this model's self-attention sees the text, so pad them to one length or take them one by one"
                .formatted(first, tokens, prompt, other));
      }
    }
    return tokens;
  }

  private Sequence sequence(int tokens) {
    return size.sequence(generator.geometry(), tokens);
  }

  /** Refuses what will not fit, unless it is asked not to. */
  private RunMemory requireMemory() {
    RunMemory needed =
        RunMemory.of(
            generator.folder(),
            generator.type(),
            attentionType,
            size.sizes(),
            prompts.stream().mapToInt(generator.encoder()::tokens).max().orElseThrow(),
            generator.backend().info().threads());
    if (!options.anyMemory()) {
      requireStages(needed);
    }
    return needed;
  }

  /** Refuses what a stage does not find room for: they follow each other. */
  private void requireStages(RunMemory needed) {
    Backend backend = generator.backend();
    RunMemory.requireRoom(
        backend,
        "the text encoder",
        generator.encoder().memoryBytes(),
        "bf16 or fewer text tokens take less");
    RunMemory.requireRoom(backend, "encoding the image", images.memoryBytes(latents), VAE_WAY_OUT);
    needed.requireRoom(backend);
    if (generator.decoder() != null) {
      // The denoiser stays open, and with it what it converted; on a device all its weights.
      boolean device = backend.kind() == Backend.Kind.CUDA;
      long open = device ? needed.uploaded() : needed.converted();
      RunMemory.requireRoom(
          backend,
          "decoding the video",
          open + generator.decoder().memoryBytes(latents),
          VAE_WAY_OUT);
      RunMemory.requireHeap("decoding the video", videoBytes());
    }
  }

  /** Java's copies of a video: samples, pixels, and the file that is encoded. */
  private long videoBytes() {
    ModelProfile profile = generator.profile();
    long frames = (long) size.frames() * profile.vaeFrames();
    return BYTES_OF_PIXEL
        * frames
        * ((long) size.height() * profile.vaePixels())
        * ((long) size.width() * profile.vaePixels());
  }

  private Guidance trueGuidance() {
    if (options.guidance2() != null) {
      throw new IllegalArgumentException(
          "guidance-2 is for checkpoints with two networks; this has one");
    }
    if (options.dynamicGuidance()) {
      throw new IllegalArgumentException(
          "dynamic-guidance is for models whose guidance scale is not embedded");
    }
    return Guidance.of(or(options.trueGuidance(), or(generator.config().trueGuidance(), 1.0)));
  }

  private Guidance guidance(double scale, ModelProfile.Run usual) {
    if (options.trueGuidance() != null) {
      throw new IllegalArgumentException(
          "true-guidance is for models that embed their guidance scale; this one takes guidance");
    }
    double boundary = Denoisers.boundary(generator.folder());
    if (boundary == 0 && options.guidance2() != null) {
      throw new IllegalArgumentException(
          "guidance-2 is for checkpoints with two networks; this has one");
    }
    Guidance first =
        options.dynamicGuidance() || generator.config().dynamic()
            ? Guidance.dynamic(scale)
            : Guidance.of(scale);
    double second = or(options.guidance2(), usualSecond(scale, usual));
    return boundary == 0 ? first : first.below(boundary, second);
  }

  /** The second network's scale; that of the first where the first is not the usual one. */
  private double usualSecond(double scale, ModelProfile.Run usual) {
    GenerationConfig config = generator.config();
    if (options.guidance() != null) {
      return scale;
    }
    boolean published = config.guidance() == null && usual != null;
    return or(config.guidance2(), or(published ? usual.guidance2() : null, scale));
  }

  // ---- what the run is

  /** The prompts it was prepared for. */
  public List<String> prompts() {
    return prompts;
  }

  /** What one self-attention call sees. */
  public Sequence sequence() {
    return sequence(textTokens);
  }

  /** What self-attention is computed in. */
  public ElementType attentionType() {
    return attentionType;
  }

  /** The timesteps. */
  public Schedule schedule() {
    return scheduler.schedule();
  }

  /** Forward passes a step: 2 with guidance by a negative prompt. */
  public int branches() {
    return guidance.needsNegative() ? 2 : 1;
  }

  /** Shape of the latents: [channels, frames, height, width]; CogVideoX: frames first. */
  public long[] latentShape() {
    return latents.clone();
  }

  /** The scales of classifier-free guidance. */
  Guidance guidance() {
    return guidance;
  }

  /** How fast the video plays. */
  public int framesPerSecond() {
    return framesPerSecond;
  }

  /** The memory of a run with that policy. */
  public RunMemory memory(Policy policy) {
    return memory.with(policy, schedule(), sequence());
  }

  /**
   * What the stages before and after the steps take of memory, in bytes, beside what is mapped from
   * files; those that a run does not have are left out.
   */
  public Map<DenoisingProgress.Stage, Long> stageMemory() {
    Map<DenoisingProgress.Stage, Long> stages = new EnumMap<>(DenoisingProgress.Stage.class);
    stages.put(DenoisingProgress.Stage.TEXT, generator.encoder().memoryBytes());
    stages.put(DenoisingProgress.Stage.IMAGE, images.memoryBytes(latents));
    if (generator.decoder() != null) {
      stages.put(DenoisingProgress.Stage.DECODING, generator.decoder().memoryBytes(latents));
    }
    stages.values().removeIf(bytes -> bytes == 0);
    return stages;
  }

  /** The inputs of a run: one of the prompts, and the noise of a seed. */
  public RunInputs inputs(String prompt, long seed) {
    TextEncoder encoder = generator.encoder();
    encodeTexts();
    Map<Part, Tensor> parts = generator.exclusively(() -> images.parts(seed, latents));
    Conditioning conditional = checked(encoder.where(prompt), encoder.encode(prompt), parts);
    Conditioning negative =
        guidance.needsNegative()
            ? checked(
                encoder.whereNegative(prompt),
                encoder.encodeNegative(prompt, options.negative()),
                parts)
            : null;
    if (negative != null) {
      requireSameSequence(prompt, conditional, negative);
    }
    return new RunInputs(conditional, negative, seed, noise(prompt));
  }

  /** All at once, so that a large encoder is opened once, and before the denoiser. */
  private void encodeTexts() {
    TextEncoder encoder = generator.encoder();
    Set<String> texts = new LinkedHashSet<>(prompts);
    if (guidance.needsNegative() && encoder.negativeOf(options.negative()) != null) {
      texts.add(encoder.negativeOf(options.negative()));
    }
    encoder.prepare(texts, options.progress());
  }

  private Conditioning checked(String where, Conditioning encoded, Map<Part, Tensor> parts) {
    VideoTransformer transformer = generator.transformer();
    Conditioning conditioning = encoded.withGuidance(embeddedGuidance);
    for (Map.Entry<Part, Tensor> part : parts.entrySet()) {
      conditioning = conditioning.with(part.getKey(), part.getValue());
    }
    try {
      transformer.check(latents, conditioning);
      return conditioning;
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(where + ": " + e.getMessage(), e);
    }
  }

  /** Where self-attention sees the text, both branches of guidance must have one length. */
  private void requireSameSequence(String prompt, Conditioning first, Conditioning negative) {
    VideoTransformer transformer = generator.transformer();
    int tokens = first.textTokens();
    if (!transformer
        .sequence(latents, tokens)
        .equals(transformer.sequence(latents, negative.textTokens()))) {
      throw new IllegalArgumentException(
          "%s: negative has %d text tokens and prompt '%s' has %d; this model's self-attention sees the text, so pad both to one length, as its pipeline does"
              .formatted(
                  generator.encoder().whereNegative(prompt),
                  negative.textTokens(),
                  prompt,
                  tokens));
    }
  }

  private Tensor noise(String prompt) {
    Tensor noise = options.noise() != null ? options.noise() : generator.encoder().noise(prompt);
    boolean fits =
        noise == null || noise.type() == ElementType.FP32 && Arrays.equals(noise.shape(), latents);
    if (!fits) {
      throw new IllegalArgumentException(
          "%s: noise is %s; expected FP32 %s"
              .formatted(generator.encoder().where(prompt), noise, Arrays.toString(latents)));
    }
    return noise;
  }

  // ---- running it

  /** Runs a policy from the options' seed; see {@link Generator#generate}. */
  public Generated generate(String prompt, Policy policy) {
    return generator.exclusively(() -> run(prompt, policy));
  }

  private Generated run(String prompt, Policy policy) {
    if (!policy.model().matches(generator.shape())) {
      throw new IllegalArgumentException(
          "the table is for %s; this model is %s".formatted(policy.model(), generator.shape()));
    }
    requireCheckpoint(policy);
    RunInputs inputs = inputs(prompt, options.seed());
    Runner runner = runner();
    Runner.Result result = runner.run(inputs, policy, UnaryOperator.identity(), options.resume());
    generator.transformer().releaseBuffers(); // room for the VAE
    return new Generated(
        result.latents(),
        latents.clone(),
        decode(result.latents()),
        framesPerSecond,
        result.seconds(),
        result.attentionSeconds(),
        result.density());
  }

  /**
   * Refuses a dispatch table that was searched on another checkpoint, unless the options allow it;
   * what {@link #generate} does first. Where a table says which one it was, this encodes the texts,
   * opens the denoiser and reads all its weights, once: seconds for each GB.
   *
   * @throws IllegalArgumentException if the checkpoint is another; the message names both
   */
  public void requireCheckpoint(Policy policy) {
    if (options.anyCheckpoint()
        || !(policy instanceof DispatchTable table)
        || table.search() == null
        || table.search().checkpointSha256().isEmpty()) {
      return;
    }
    generator.exclusively(
        () -> {
          encodeTexts(); // before the denoiser is opened
          generator.requireCheckpoint(table);
          return null;
        });
  }

  /**
   * Decodes a run's latents; null where nothing decodes them.
   *
   * @param values of {@link #latentShape}, as {@link Runner.Result} has them
   */
  public Video decode(float[] values) {
    if (generator.decoder() == null) {
      return null;
    }
    try (Arena arena = Arena.ofConfined()) {
      Tensor ofVideo =
          Tensor.ofFloats(arena, values, latents)
              .slice(family.framesFirst() ? 0 : 1, size.added(), size.frames());
      return generator.decoder().decode(ofVideo, options.progress());
    }
  }

  /** A runner with these options, for a program that compares policies. */
  public Runner runner() {
    Runner runner =
        new Runner(
            generator.backend(),
            generator.transformer(),
            attentionType,
            scheduler,
            guidance,
            latents,
            options.progress());
    return options.timeAttention() ? runner.timeAttention() : runner;
  }

  /**
   * Q, K and V of dense runs over its prompts, for a search; the n-th begins from the noise of seed
   * + n. The caller closes it before the generator.
   */
  public CalibrationSource calibration() {
    List<RunInputs> samples = new ArrayList<>();
    for (String prompt : prompts) {
      samples.add(inputs(prompt, options.seed() + samples.size()));
    }
    return new DenoiserSource(
        generator.backend(), generator.transformer(), scheduler, guidance, latents, samples);
  }

  /** The processor on which a saved run began, if it is another one; else null. */
  public String begunElsewhere(Path file) {
    return RunFile.begunElsewhere(file, generator.backend());
  }
}

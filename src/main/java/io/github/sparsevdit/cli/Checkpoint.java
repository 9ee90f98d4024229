package io.github.sparsevdit.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.github.sparsevdit.Backend;
import io.github.sparsevdit.ModelShape;
import io.github.sparsevdit.Policy;
import io.github.sparsevdit.Schedule;
import io.github.sparsevdit.Sequence;
import io.github.sparsevdit.SparseAttention;
import io.github.sparsevdit.checkpoint.CheckpointFolder;
import io.github.sparsevdit.checkpoint.Denoisers;
import io.github.sparsevdit.checkpoint.GenerationConfig;
import io.github.sparsevdit.estimate.RunMemory;
import io.github.sparsevdit.eval.Evaluation;
import io.github.sparsevdit.internal.GitLfs;
import io.github.sparsevdit.model.Conditioning;
import io.github.sparsevdit.model.Geometry;
import io.github.sparsevdit.pipeline.DenoiserSource;
import io.github.sparsevdit.pipeline.DenoisingProgress;
import io.github.sparsevdit.pipeline.Guidance;
import io.github.sparsevdit.pipeline.Pipeline;
import io.github.sparsevdit.pipeline.RunFile;
import io.github.sparsevdit.pipeline.RunSteps;
import io.github.sparsevdit.pipeline.Scheduler;
import io.github.sparsevdit.search.CalibrationSource;
import io.github.sparsevdit.tensor.ElementType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.IntConsumer;

/**
 * A denoiser's folder made ready to run: its transformer, scheduler, prompts and size of the
 * latents.
 */
final class Checkpoint implements AutoCloseable {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final int USUAL_PROMPTS = 4; // where none are named

  private final Backend backend;
  private final Pipeline pipeline;
  private final PromptEmbeddings embeddings;
  private final Scheduler scheduler;
  private final Guidance guidance;
  private final double embeddedGuidance; // NaN where none is
  private final long[] latents;
  private final List<String> prompts;
  private final int textTokens; // of the prompts it was opened for
  private final int framesPerSecond;
  private final long seed;
  private final RunMemory memory;
  private final ElementType attentionType;

  private Checkpoint(
      Path folder,
      Backend backend,
      RunOptions options,
      ElementType attentionType,
      Pipeline pipeline,
      PromptEmbeddings embeddings,
      List<String> prompts,
      RunMemory memory)
      throws IOException {
    GenerationConfig defaults = GenerationConfig.read(folder);
    JsonNode config = config(folder);
    String family = config.path("_class_name").asText();
    RunSteps steps = options.steps(or(defaults.steps(), 50));
    this.backend = backend;
    this.pipeline = pipeline;
    this.embeddings = embeddings;
    this.memory = memory;
    this.attentionType = attentionType;
    this.latents = latents(folder, options.latents);
    this.framesPerSecond = or(defaults.framesPerSecond(), 16);
    this.seed = options.seed;
    this.scheduler =
        pipeline.hasScheduler()
            ? pipeline.scheduler(steps, seed)
            : FamilyDefaults.scheduler(family, steps, seed);
    double scale =
        options.guidance != null
            ? options.guidance
            : or(defaults.guidance(), FamilyDefaults.guidance(family));
    boolean embedded = pipeline.transformer().embedsGuidance();
    if (!embedded && options.trueGuidance != null) {
      throw new CommandFailure(
          "--true-guidance is for models that embed their guidance scale; this one takes --guidance");
    }
    this.embeddedGuidance = embedded ? 1000 * scale : Double.NaN;
    this.guidance =
        embedded
            ? Guidance.of(
                options.trueGuidance != null
                    ? options.trueGuidance
                    : or(defaults.trueGuidance(), 1.0))
            : guidance(scale, options, defaults);
    this.prompts = List.copyOf(prompts);
    this.textTokens = textTokens(prompts);
  }

  /** Of prompts that may run with one attention. */
  private int textTokens(List<String> prompts) {
    int first = embeddings.textTokens(prompts.getFirst());
    for (String prompt : prompts) {
      int tokens = embeddings.textTokens(prompt);
      if (!sequence(tokens).equals(sequence(first))) {
        throw new CommandFailure(
            "prompt '%s' has %d text tokens and '%s' has %d; this model's self-attention sees the text, so pad them to one length or take them one by one"
                .formatted(prompts.getFirst(), first, prompt, tokens));
      }
    }
    return first;
  }

  /** Refuses what will not fit, unless it is asked not to. */
  private static RunMemory memory(
      Path folder,
      Backend backend,
      RunOptions options,
      ElementType attentionType,
      PromptEmbeddings embeddings,
      List<String> prompts)
      throws IOException {
    JsonNode config = config(folder);
    long[] latents = latents(folder, options.latents);
    boolean framesFirst = FamilyDefaults.framesFirst(config.path("_class_name").asText());
    int[] size = {(int) latents[framesFirst ? 0 : 1], (int) latents[2], (int) latents[3]};
    RunMemory memory =
        RunMemory.of(
            CheckpointFolder.of(folder, options.variant),
            options.type,
            attentionType,
            size,
            prompts.stream().mapToInt(embeddings::textTokens).max().orElseThrow(),
            backend.info().threads());
    if (!options.anyMemory) {
      memory.requireRoom(backend);
    }
    return memory;
  }

  /** What a run with that policy takes of memory. */
  RunMemory memory(Policy policy) {
    return memory.with(policy, schedule(), sequence());
  }

  /**
   * Opens the folder, to compute self-attention as all else; the backend stays the caller's.
   *
   * @param prompts that it is opened for; empty for the first four there are
   */
  static Checkpoint open(Path folder, Backend backend, RunOptions options, List<String> prompts)
      throws IOException {
    return open(folder, backend, options, options.type, prompts);
  }

  /** The same with runs whose self-attention is computed in that type. */
  static Checkpoint open(
      Path folder,
      Backend backend,
      RunOptions options,
      ElementType attentionType,
      List<String> prompts)
      throws IOException {
    config(folder); // says so if the folder holds none
    Path usual = folder.resolve("prompt_embeds.safetensors");
    PromptEmbeddings embeddings =
        new PromptEmbeddings(options.embeddings != null ? options.embeddings : usual);
    try {
      latents(folder, options.latents); // says so if they are no whole patches
      embeddings.require(prompts);
      List<String> all = embeddings.prompts();
      List<String> chosen =
          prompts.isEmpty() ? all.subList(0, Math.min(USUAL_PROMPTS, all.size())) : prompts;
      RunMemory memory = memory(folder, backend, options, attentionType, embeddings, chosen);
      Pipeline pipeline =
          Pipeline.open(CheckpointFolder.of(folder, options.variant), backend, options.type);
      try {
        return new Checkpoint(
            folder, backend, options, attentionType, pipeline, embeddings, chosen, memory);
      } catch (IOException | RuntimeException | Error failure) {
        pipeline.close();
        throw failure;
      }
    } catch (IOException | RuntimeException | Error failure) {
      embeddings.close();
      throw failure;
    }
  }

  private Guidance guidance(double scale, RunOptions options, GenerationConfig defaults) {
    double boundary = pipeline.transformer().boundary();
    if (boundary == 0 && options.guidance2 != null) {
      throw new CommandFailure("--guidance-2 is for checkpoints with two networks; this has one");
    }
    double below =
        options.guidance2 != null
            ? options.guidance2
            : options.guidance != null ? scale : or(defaults.guidance2(), scale);
    Guidance guidance =
        options.dynamicGuidance || defaults.dynamic()
            ? Guidance.dynamic(scale)
            : Guidance.of(scale);
    return boundary == 0 ? guidance : guidance.below(boundary, below);
  }

  private static <T> T or(T given, T otherwise) {
    return given == null ? otherwise : given;
  }

  private static JsonNode config(Path folder) throws IOException {
    return read(CheckpointFolder.of(folder).config());
  }

  private static JsonNode read(Path file) throws IOException {
    if (!Files.exists(file)) {
      return JSON.createObjectNode();
    }
    GitLfs.requireContent(file);
    try {
      return JSON.readTree(file.toFile());
    } catch (JsonProcessingException e) {
      throw new CommandFailure(file + " is no JSON: " + e.getOriginalMessage(), e);
    }
  }

  private static long[] latents(Path folder, String given) throws IOException {
    GenerationConfig defaults = GenerationConfig.read(folder);
    JsonNode config = config(folder);
    int[] size;
    if (given != null) {
      size = RunOptions.size(given);
    } else if (defaults.latents() != null) {
      size = defaults.latents();
    } else {
      throw new CommandFailure(
          "the checkpoint does not say how large its latents are; give --latents"
              + " FRAMESxHEIGHTxWIDTH");
    }
    Geometry geometry = Denoisers.geometry(folder);
    requirePatches(
        given != null
            ? "--latents " + given
            : defaults.file() + ": latents " + Arrays.toString(size),
        size,
        geometry.patch());
    int channels = geometry.latentChannels();
    return FamilyDefaults.framesFirst(config.path("_class_name").asText())
        ? new long[] {size[0], channels, size[1], size[2]}
        : new long[] {channels, size[0], size[1], size[2]};
  }

  /** Latents are cut into tokens of some frames, rows and columns. */
  private static void requirePatches(String where, int[] size, int[] patch) {
    if (size[0] < 1 || size[1] < 1 || size[2] < 1) {
      throw new CommandFailure(where + ": expected three sizes of at least 1");
    }
    if (size[0] % patch[0] != 0) {
      throw new CommandFailure(
          "%s: the frames of this model's latents must be a multiple of %d; the nearest are %s"
              .formatted(where, patch[0], VideoSizes.nearest(size[0], patch[0])));
    }
    String refusal = VideoSizes.refuseSize(new int[] {size[1], size[2]}, patch[1], patch[2]);
    if (refusal != null) {
      throw new CommandFailure(where + refusal);
    }
  }

  /** The prompts it was opened for. */
  List<String> prompts() {
    return prompts;
  }

  /** Layers, heads and head dim. */
  ModelShape shape() {
    return pipeline.transformer().shape();
  }

  /** What one self-attention call sees. */
  Sequence sequence() {
    return sequence(textTokens);
  }

  private Sequence sequence(int tokens) {
    return pipeline.transformer().sequence(latents, tokens);
  }

  /** What self-attention is computed in, unless a run asks for another type. */
  ElementType attentionType() {
    return attentionType;
  }

  /** What all else is computed in. */
  ElementType type() {
    return pipeline.transformer().type();
  }

  /** The timesteps of a run. */
  Schedule schedule() {
    return scheduler.schedule();
  }

  /** How many networks a run has, one after the other. */
  int networks() {
    return pipeline.transformer().boundary() > 0 ? 2 : 1;
  }

  /** Forward passes a step. */
  int branches() {
    return guidance.needsNegative() ? 2 : 1;
  }

  /** Whether what it generates can be looked at. */
  boolean pixels() {
    return pipeline.pixels() && latents[0] == 3;
  }

  /** Shape of what it generates: [channels, frames, height, width]; CogVideoX: frames first. */
  long[] latentShape() {
    return latents.clone();
  }

  /** How fast its videos play. */
  int framesPerSecond() {
    return framesPerSecond;
  }

  private Conditioning conditioning(String prompt) {
    return embeddings.prompt(prompt, embeddedGuidance, pipeline.transformer(), latents);
  }

  /** The unconditional branch; null where guidance is 1. */
  private Conditioning negative(String prompt) {
    return guidance.needsNegative()
        ? embeddings.negative(prompt, embeddedGuidance, pipeline.transformer(), latents)
        : null;
  }

  /** Dense runs over some prompts; the n-th begins from the noise of seed + n. */
  CalibrationSource calibration(List<String> prompts) {
    List<DenoiserSource.Sample> samples = new ArrayList<>();
    for (String prompt : prompts) {
      samples.add(
          new DenoiserSource.Sample(
              conditioning(prompt),
              negative(prompt),
              seed + samples.size(),
              embeddings.noise(prompt, latents)));
    }
    return new DenoiserSource(
        backend, pipeline.transformer(), scheduler, guidance, latents, samples);
  }

  /**
   * What a run gave.
   *
   * @param latents of {@link #latentShape}, row-major
   * @param seconds it took
   * @param attentionSeconds of these that self-attention took; NaN where it was not timed
   * @param density of self-attention, over all steps, layers and heads
   */
  record Generated(float[] latents, double seconds, double attentionSeconds, double density) {}

  /**
   * Generates from the noise of {@code noise}, attention timed; {@code stepDone} is told each step.
   */
  Generated generate(String prompt, long noise, Policy policy, IntConsumer stepDone) {
    return generate(prompt, noise, policy, attentionType, progress(stepDone), null, true);
  }

  /** The same with self-attention in the type of all else. */
  Generated generatePlainly(String prompt, long noise, Policy policy, IntConsumer stepDone) {
    return generate(prompt, noise, policy, type(), progress(stepDone), null, false);
  }

  /**
   * The same, kept after each step.
   *
   * @param file where, and where it goes on from if it exists; null for nowhere
   * @param timed see {@link Evaluation#timeAttention}
   */
  Generated generate(
      String prompt,
      long noise,
      Policy policy,
      DenoisingProgress progress,
      Path file,
      boolean timed) {
    return generate(prompt, noise, policy, attentionType, progress, file, timed);
  }

  private Generated generate(
      String prompt,
      long noise,
      Policy policy,
      ElementType attentionType,
      DenoisingProgress progress,
      Path file,
      boolean timed) {
    Evaluation.Clip clip = clip(prompt, noise);
    Evaluation evaluation = evaluationOf(List.of(clip), attentionType, progress);
    if (timed) {
      evaluation.timeAttention();
    }
    Evaluation.Run run = evaluation.generate(clip, policy, file);
    return new Generated(run.latents(), run.seconds(), run.attentionSeconds(), density(policy));
  }

  /** Compares policies over some prompts; the n-th begins from the noise of seed + n. */
  Evaluation evaluation(List<String> prompts, DenoisingProgress progress) {
    List<Evaluation.Clip> clips = new ArrayList<>();
    for (String prompt : prompts) {
      clips.add(clip(prompt, seed + clips.size()));
    }
    return evaluationOf(clips, attentionType, progress);
  }

  private Evaluation evaluationOf(
      List<Evaluation.Clip> clips, ElementType attentionType, DenoisingProgress progress) {
    return new Evaluation(
        backend,
        pipeline.transformer(),
        attentionType,
        scheduler,
        guidance,
        latents,
        clips,
        progress);
  }

  private Evaluation.Clip clip(String prompt, long noise) {
    return new Evaluation.Clip(
        prompt, conditioning(prompt), negative(prompt), noise, embeddings.noise(prompt, latents));
  }

  private double density(Policy policy) {
    try (SparseAttention attention =
        SparseAttention.of(backend, policy, sequence(), schedule(), type())) {
      return attention.density();
    }
  }

  private static DenoisingProgress progress(IntConsumer stepDone) {
    return new DenoisingProgress() {
      @Override
      public void step(int step, int steps) {
        stepDone.accept(step);
      }
    };
  }

  /** The processor a kept run was begun on, where that is another; else null. */
  String begunElsewhere(Path file) {
    return RunFile.begunElsewhere(file, backend);
  }

  /** Closes transformer and embeddings. */
  @Override
  public void close() {
    pipeline.close();
    embeddings.close();
  }
}

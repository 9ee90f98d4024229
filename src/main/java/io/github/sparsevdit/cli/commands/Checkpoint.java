package io.github.sparsevdit.cli.commands;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.cli.terminal.CommandFailure;
import io.github.sparsevdit.cli.terminal.RunProgress;
import io.github.sparsevdit.estimate.RunMemory;
import io.github.sparsevdit.eval.Evaluation;
import io.github.sparsevdit.pattern.ModelShape;
import io.github.sparsevdit.pattern.Policy;
import io.github.sparsevdit.pattern.Schedule;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.pipeline.DenoisingProgress;
import io.github.sparsevdit.pipeline.GenerateOptions;
import io.github.sparsevdit.pipeline.Generated;
import io.github.sparsevdit.pipeline.Generator;
import io.github.sparsevdit.pipeline.PreparedRun;
import io.github.sparsevdit.pipeline.RunInputs;
import io.github.sparsevdit.pipeline.Runner;
import io.github.sparsevdit.search.capture.CalibrationSource;
import io.github.sparsevdit.tensor.ElementType;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.IntConsumer;
import java.util.stream.Collectors;

/** A generator with a command's options, prepared for some prompts. */
final class Checkpoint implements AutoCloseable {
  private static final int USUAL_PROMPTS = 4; // where none are named

  private final Generator generator;
  private final GenerateOptions options;
  private final PreparedRun run;
  private final long seed;

  private Checkpoint(
      Generator generator, GenerateOptions options, List<String> prompts, long seed) {
    this.generator = generator;
    this.options = options;
    this.seed = seed;
    run = prepared(options, prompts);
  }

  /** The library's words for an option are the command line's without its dashes. */
  private PreparedRun prepared(GenerateOptions changed, List<String> prompts) {
    try {
      return generator.prepare(changed, prompts);
    } catch (IllegalArgumentException e) {
      throw RunOptions.named(e);
    }
  }

  /**
   * Opens the folder, to compute self-attention as all else; the backend stays the caller's.
   *
   * @param prompts that it is opened for; empty for the first four there are
   */
  static Checkpoint open(Path folder, Backend backend, RunOptions options, List<String> prompts) {
    return open(folder, backend, options, options.type, false, prompts);
  }

  /**
   * The same with runs whose self-attention is computed in that type.
   *
   * @param anyCheckpoint whether tables of other checkpoints may run
   */
  static Checkpoint open(
      Path folder,
      Backend backend,
      RunOptions options,
      ElementType attentionType,
      boolean anyCheckpoint,
      List<String> prompts) {
    GenerateOptions resolved =
        options.generateOptions().withAttentionType(attentionType).withAnyCheckpoint(anyCheckpoint);
    Generator generator = generator(folder, backend, options);
    try {
      List<String> all = generator.prompts();
      List<String> chosen =
          prompts.isEmpty() ? all.subList(0, Math.min(USUAL_PROMPTS, all.size())) : prompts;
      if (chosen.isEmpty()) {
        throw new CommandFailure(
            "%s encodes prompts itself: give --prompts a text file with one on each line"
                .formatted(folder));
      }
      return new Checkpoint(generator, resolved, chosen, options.seed);
    } catch (RuntimeException | Error failure) {
      generator.close();
      throw failure;
    }
  }

  private static Generator generator(Path folder, Backend backend, RunOptions options) {
    try {
      return Generator.open(folder, backend, options.openOptions());
    } catch (IllegalArgumentException e) {
      throw RunOptions.named(e);
    }
  }

  /** The prompts it was opened for. */
  List<String> prompts() {
    return run.prompts();
  }

  /** Layers, heads and head dim. */
  ModelShape shape() {
    return generator.shape();
  }

  /** What one self-attention call sees. */
  Sequence sequence() {
    return run.sequence();
  }

  /** What self-attention is computed in, unless a run asks for another type. */
  ElementType attentionType() {
    return run.attentionType();
  }

  /** What all else is computed in. */
  ElementType type() {
    return generator.type();
  }

  /** The timesteps of a run. */
  Schedule schedule() {
    return run.schedule();
  }

  /** How many networks a run has, one after the other. */
  int networks() {
    return generator.networks();
  }

  /** Forward passes a step. */
  int branches() {
    return run.branches();
  }

  /** Whether what it generates can be looked at. */
  boolean decodes() {
    return generator.decodes();
  }

  /** What a run with that policy takes of memory. */
  RunMemory memory(Policy policy) {
    return run.memory(policy);
  }

  /** What the stages beside the steps take, in words; empty where there are none. */
  String stageMemory() {
    return run.stageMemory().entrySet().stream()
        .map(
            stage ->
                String.format(
                    Locale.ROOT,
                    "%s %.1f GB",
                    RunProgress.name(stage.getKey()),
                    stage.getValue() * 1e-9))
        .collect(Collectors.joining(", "));
  }

  /** Refuses a table that was searched on another checkpoint. */
  void requireCheckpoint(Policy policy) {
    try {
      run.requireCheckpoint(policy);
    } catch (IllegalArgumentException e) {
      throw RunOptions.named(e);
    }
  }

  /** Dense runs over its prompts; the n-th begins from the noise of seed + n. */
  CalibrationSource calibration() {
    return run.calibration();
  }

  /** The same over some of them. */
  CalibrationSource calibration(List<String> prompts) {
    return prepared(options, prompts).calibration();
  }

  /**
   * Generates from the noise of {@code noise}, attention timed; {@code stepDone} is told each step.
   */
  Generated generate(String prompt, long noise, Policy policy, IntConsumer stepDone) {
    GenerateOptions changed = options.withProgress(progress(stepDone)).withTimeAttention(true);
    return generate(changed, prompt, noise, policy);
  }

  /** The same with self-attention in the type of all else. */
  Generated generatePlainly(String prompt, long noise, Policy policy, IntConsumer stepDone) {
    GenerateOptions changed = options.withProgress(progress(stepDone)).withAttentionType(null);
    return generate(changed, prompt, noise, policy);
  }

  /**
   * The same, saved after each step.
   *
   * @param file where, and where it is resumed from if it exists; null for nowhere
   * @param timed see {@link Runner#timeAttention}
   */
  Generated generate(
      String prompt,
      long noise,
      Policy policy,
      DenoisingProgress progress,
      Path file,
      boolean timed) {
    GenerateOptions changed =
        options.withProgress(progress).withResume(file).withTimeAttention(timed);
    return generate(changed, prompt, noise, policy);
  }

  private Generated generate(GenerateOptions changed, String prompt, long noise, Policy policy) {
    return prepared(changed.withSeed(noise), List.of(prompt)).generate(prompt, policy);
  }

  /** Compares policies over some prompts; the n-th begins from the noise of seed + n. */
  Evaluation evaluation(List<String> prompts, DenoisingProgress progress, boolean timed) {
    GenerateOptions changed = options.withProgress(progress).withTimeAttention(timed);
    PreparedRun compared = prepared(changed, prompts);
    List<RunInputs> clips = new ArrayList<>();
    for (String prompt : prompts) {
      clips.add(compared.inputs(prompt, seed + clips.size()));
    }
    return new Evaluation(compared.runner(), clips, compared::decode);
  }

  private static DenoisingProgress progress(IntConsumer stepDone) {
    return new DenoisingProgress() {
      @Override
      public void step(int step, int steps) {
        stepDone.accept(step);
      }
    };
  }

  /** The processor a saved run was begun on, where that is another; else null. */
  String begunElsewhere(Path file) {
    return run.begunElsewhere(file);
  }

  /** Closes the generator. */
  @Override
  public void close() {
    generator.close();
  }
}

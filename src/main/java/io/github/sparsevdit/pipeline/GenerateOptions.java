package io.github.sparsevdit.pipeline;

import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.nio.file.Path;
import java.util.function.Consumer;

/**
 * How a video is generated. What is not set comes from the checkpoint's {@code
 * generation_config.json}, else from the published model of the same sizes, else from its family.
 * Immutable.
 */
public final class GenerateOptions implements Cloneable {
  private RunSteps steps;
  private Double flowShift;
  private Double guidance;
  private Double guidance2;
  private Double trueGuidance;
  private boolean dynamicGuidance;
  private int[] latents;
  private int[] video;
  private String negative;
  private Path image;
  private Path lastImage;
  private long seed = 100;
  private Tensor noise;
  private Tensor imageNoise;
  private boolean withoutStepNoise;
  private ElementType attentionType;
  private boolean anyMemory;
  private boolean anyCheckpoint;
  private boolean timeAttention;
  private DenoisingProgress progress = DenoisingProgress.NONE;
  private Path resume;

  private GenerateOptions() {}

  /** What the checkpoint says, and the seed 100. */
  public static GenerateOptions defaults() {
    return new GenerateOptions();
  }

  private GenerateOptions with(Consumer<GenerateOptions> change) {
    try {
      GenerateOptions changed = (GenerateOptions) clone();
      change.accept(changed);
      return changed;
    } catch (CloneNotSupportedException e) {
      throw new AssertionError(e); // this class is Cloneable
    }
  }

  /** Denoising steps: how many. */
  public GenerateOptions withSteps(int steps) {
    return withSteps(RunSteps.of(steps));
  }

  /** Denoising steps: how many, or at which noise levels; null for the usual number. */
  public GenerateOptions withSteps(RunSteps steps) {
    return with(options -> options.steps = steps);
  }

  /**
   * The shift of a flow's noise levels, above 0; null for that of the steps, or the scheduler's.
   */
  public GenerateOptions withFlowShift(Double flowShift) {
    if (flowShift != null && !(flowShift > 0 && flowShift < Double.POSITIVE_INFINITY)) {
      throw new IllegalArgumentException("flow-shift " + flowShift + "; expected a number above 0");
    }
    return with(options -> options.flowShift = flowShift);
  }

  /** The guidance scale, or the one that is embedded; 1 for none; null for the usual one. */
  public GenerateOptions withGuidance(Double guidance) {
    return with(options -> options.guidance = guidance);
  }

  /** The guidance scale of a second network (Wan2.2 A14B); null for the usual one. */
  public GenerateOptions withGuidance2(Double guidance2) {
    return with(options -> options.guidance2 = guidance2);
  }

  /**
   * For a model that embeds its guidance scale (HunyuanVideo): the scale of guidance with a
   * negative prompt on top, diffusers' {@code true_cfg_scale}; null for the usual one.
   */
  public GenerateOptions withTrueGuidance(Double trueGuidance) {
    return with(options -> options.trueGuidance = trueGuidance);
  }

  /** Whether the guidance scale grows with the steps, as in CogVideoX's own demo. */
  public GenerateOptions withDynamicGuidance(boolean dynamicGuidance) {
    return with(options -> options.dynamicGuidance = dynamicGuidance);
  }

  /** The size of the latents, in place of the video's. */
  public GenerateOptions withLatents(int frames, int height, int width) {
    return with(
        options -> {
          options.latents = new int[] {frames, height, width};
          options.video = null;
        });
  }

  /** The size of the video: frames, and height and width in pixels. */
  public GenerateOptions withVideo(int frames, int height, int width) {
    return with(
        options -> {
          options.video = new int[] {frames, height, width};
          options.latents = null;
        });
  }

  /** The negative prompt; null for the usual one. */
  public GenerateOptions withNegative(String negative) {
    return with(options -> options.negative = negative);
  }

  /**
   * The image the video begins with, a PNG or JPEG: it is resized to the video, and does not keep
   * its proportions. Null for none.
   */
  public GenerateOptions withImage(Path image) {
    return with(options -> options.image = image);
  }

  /** The image the video ends with (Wan2.2 A14B); null for none. */
  public GenerateOptions withLastImage(Path lastImage) {
    return with(options -> options.lastImage = lastImage);
  }

  /** The seed of the noise. */
  public GenerateOptions withSeed(long seed) {
    return with(options -> options.seed = seed);
  }

  /**
   * Noise of another source in place of the seed's, to reproduce what another program makes.
   *
   * @param noise FP32, host memory, of the latents' shape; null for the seed's
   */
  public GenerateOptions withNoise(Tensor noise) {
    return with(options -> options.noise = noise);
  }

  /**
   * The same for the image's latents, which CogVideoX samples.
   *
   * @param noise FP32, host memory, [channels, 1, height, width]; null for the seed's
   */
  public GenerateOptions withImageNoise(Tensor noise) {
    return with(options -> options.imageNoise = noise);
  }

  /** Leaves out the noise that a stochastic scheduler adds at each step (CogVideoX's DPM). */
  public GenerateOptions withoutStepNoise() {
    return with(options -> options.withoutStepNoise = true);
  }

  /** What self-attention is computed in: the denoiser's type (null), or E4M3 where that is BF16. */
  public GenerateOptions withAttentionType(ElementType attentionType) {
    return with(options -> options.attentionType = attentionType);
  }

  /** Whether to run even if the memory that is left seems too little. */
  public GenerateOptions withAnyMemory(boolean anyMemory) {
    return with(options -> options.anyMemory = anyMemory);
  }

  /** Whether to run with a dispatch table that was searched on another checkpoint. */
  public GenerateOptions withAnyCheckpoint(boolean anyCheckpoint) {
    return with(options -> options.anyCheckpoint = anyCheckpoint);
  }

  /** Whether to time self-attention on a device; see {@link Runner#timeAttention}. */
  public GenerateOptions withTimeAttention(boolean timeAttention) {
    return with(options -> options.timeAttention = timeAttention);
  }

  /** Receives the run's progress, and may cancel it. */
  public GenerateOptions withProgress(DenoisingProgress progress) {
    return with(options -> options.progress = progress);
  }

  /**
   * A file to save the run to after each step, and to resume it from where it exists; null for
   * none. Delete it once the run's result is safe.
   */
  public GenerateOptions withResume(Path resume) {
    return with(options -> options.resume = resume);
  }

  RunSteps steps(int usual) {
    RunSteps wanted = steps == null ? RunSteps.of(usual) : steps;
    return flowShift == null ? wanted : wanted.withShift(flowShift);
  }

  Double guidance() {
    return guidance;
  }

  Double guidance2() {
    return guidance2;
  }

  Double trueGuidance() {
    return trueGuidance;
  }

  boolean dynamicGuidance() {
    return dynamicGuidance;
  }

  /** Frames, height, width; null for the usual. */
  int[] latents() {
    return latents;
  }

  /** Frames, height, width in pixels; null for the usual. */
  int[] video() {
    return video;
  }

  String negative() {
    return negative;
  }

  /** Null for none. */
  Path image() {
    return image;
  }

  /** Null for none. */
  Path lastImage() {
    return lastImage;
  }

  /** Null for the seed's. */
  Tensor noise() {
    return noise;
  }

  /** Null for the seed's. */
  Tensor imageNoise() {
    return imageNoise;
  }

  /** The seed of the scheduler's noise; null for none. */
  Long schedulerSeed() {
    return withoutStepNoise ? null : seed;
  }

  long seed() {
    return seed;
  }

  /** Null for the denoiser's. */
  ElementType attentionType() {
    return attentionType;
  }

  boolean anyMemory() {
    return anyMemory;
  }

  boolean anyCheckpoint() {
    return anyCheckpoint;
  }

  boolean timeAttention() {
    return timeAttention;
  }

  DenoisingProgress progress() {
    return progress;
  }

  Path resume() {
    return resume;
  }
}

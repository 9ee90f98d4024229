package io.github.sparsevdit.cli.commands;

import io.github.sparsevdit.cli.terminal.CommandFailure;
import io.github.sparsevdit.pipeline.GenerateOptions;
import io.github.sparsevdit.pipeline.OpenOptions;
import io.github.sparsevdit.pipeline.RunSteps;
import io.github.sparsevdit.tensor.ElementType;
import java.nio.file.Path;
import java.util.List;
import picocli.CommandLine.Option;

/**
 * How a denoiser runs. What is not given comes from the checkpoint's {@code
 * generation_config.json}.
 */
final class RunOptions {
  @Option(
      names = "--steps",
      paramLabel = "N",
      description = "Denoising steps (default: the checkpoint's, else 50).")
  Integer steps;

  @Option(
      names = "--sigmas",
      paramLabel = "S",
      split = ",",
      description =
          "A step at each of these noise levels, 1 and downwards, in place of --steps: what distilled"
              + " checkpoints are made for. The flow shift applies to them, as in diffusers.")
  List<Double> sigmas;

  @Option(
      names = "--timesteps",
      paramLabel = "T",
      split = ",",
      description =
          "The same as timesteps, 1000 and downwards; with --flow-shift 1 they are what the denoiser"
              + " is given.")
  List<Double> timesteps;

  @Option(
      names = "--flow-shift",
      paramLabel = "S",
      description =
          "Shift of the noise levels of a flow (Wan, HunyuanVideo; default: the checkpoint's"
              + " scheduler's).")
  Double flowShift;

  @Option(
      names = "--guidance",
      paramLabel = "G",
      description =
          "Guidance scale; 1 for none (default: the checkpoint's, else 6 for HunyuanVideo, which"
              + " embeds it, and CogVideoX, 5 for Wan).")
  Double guidance;

  @Option(
      names = "--guidance-2",
      paramLabel = "G",
      description =
          "Guidance scale of a second network, for the late steps (default: that of --guidance where"
              + " it is given, else the checkpoint's, else the published model's).")
  Double guidance2;

  @Option(
      names = "--true-guidance",
      paramLabel = "G",
      description =
          "For a model that embeds its guidance scale (HunyuanVideo): guidance with a negative prompt"
              + " on top, as diffusers' true_cfg_scale (default: the checkpoint's, else 1 for none).")
  Double trueGuidance;

  @Option(
      names = "--dynamic-guidance",
      description = "Let the guidance scale grow with the steps, as CogVideoX's own demo does.")
  boolean dynamicGuidance;

  @Option(
      names = "--latents",
      paramLabel = "FxHxW",
      description = "Size of the latents: frames x height x width (default: the checkpoint's).")
  String latents;

  @Option(
      names = "--video",
      paramLabel = "FxHxW",
      description = "The same as the video's: frames x height x width in pixels.")
  String video;

  @Option(
      names = "--negative",
      paramLabel = "TEXT",
      description =
          "The negative prompt, for guidance (default: the empty text, as the published pipelines"
              + " have it; with embeddings the tensor negative, else zeros).")
  String negative;

  @Option(
      names = "--image",
      paramLabel = "FILE",
      description =
          "The image the video begins with, a PNG or JPEG, for image-to-video models. It is resized"
              + " to the video's size.")
  Path image;

  @Option(
      names = "--last-image",
      paramLabel = "FILE",
      description = "The image the video ends with (Wan2.2 A14B).")
  Path lastImage;

  @Option(
      names = "--seed",
      paramLabel = "N",
      defaultValue = "100",
      description = "Seed of the noise; the n-th prompt takes seed + n (default: 100).")
  long seed;

  @Option(
      names = "--embeddings",
      paramLabel = "FILE",
      description =
          "Prompt embeddings: a safetensors file with a tensor per prompt, and what a family wants"
              + " beside it: see calibration/README.md (default: prompt_embeds.safetensors in the"
              + " checkpoint).")
  Path embeddings;

  @Option(
      names = "--type",
      paramLabel = "TYPE",
      defaultValue = "bf16",
      description = "What the denoiser computes in: bf16 or fp32 (default: bf16).")
  ElementType type;

  @Option(
      names = "--vae-type",
      paramLabel = "TYPE",
      description =
          "What the VAE computes in: bf16 or fp32 (default: fp32 for Wan, else as --type).")
  ElementType vaeType;

  @Option(
      names = "--vae-tiling",
      description =
          "Decode and encode large pictures in overlapping tiles, as diffusers' enable_tiling does: less memory,"
              + " and a slightly different video.")
  boolean vaeTiling;

  @Option(
      names = "--embedding-cache",
      paramLabel = "FOLDER",
      description =
          "Store encoded prompts there, and read those that are: a prompt that was encoded before"
              + " does not open the text encoder.")
  Path embeddingCache;

  @Option(
      names = "--text-tokens",
      paramLabel = "N",
      description =
          "Tokens a prompt is padded or cut to (default: 512 for Wan, 256 for HunyuanVideo, 226 for"
              + " CogVideoX).")
  Integer textTokens;

  @Option(
      names = "--variant",
      paramLabel = "NAME",
      description =
          "Which of the weights to use if a folder has several, as in"
              + " diffusion_pytorch_model.bf16.safetensors (default: those without, else the only"
              + " ones).")
  String variant;

  @Option(
      names = "--base",
      paramLabel = "FOLDER",
      description =
          "For a transformer's file or folder: a folder of the same model in diffusers' layout, which"
              + " adds scheduler, text encoder and VAE, and to a file the configuration.")
  Path base;

  @Option(
      names = "--second",
      paramLabel = "FILE",
      description =
          "The second network of Wan2.2 as a file of its own, as ComfyUI has the two, or a"
              + " transformer's folder (default: the pipeline's, or the base's).")
  Path second;

  @Option(
      names = "--lora",
      paramLabel = "FILE[:SCALE]",
      description = "A LoRA file to merge into the weights; may be repeated (default scale: 1).")
  List<String> loras = List.of();

  @Option(
      names = "--lora-2",
      paramLabel = "FILE[:SCALE]",
      description = "The same for the second network of Wan2.2.")
  List<String> secondLoras = List.of();

  @Option(
      names = "--any-memory",
      description = "Run even if the memory that is left seems too little.")
  boolean anyMemory;

  /** How the checkpoint is opened. */
  OpenOptions openOptions() {
    OpenOptions options =
        OpenOptions.defaults()
            .withType(type)
            .withVariant(variant)
            .withBase(base)
            .withSecond(second)
            .withVaeType(computable(vaeType))
            .withVaeTiling(vaeTiling)
            .withEmbeddingCache(embeddingCache)
            .withTextTokens(tokens())
            .withEmbeddings(embeddings);
    for (String lora : loras) {
      options = options.withLora(loraFile(lora), loraScale("--lora", lora));
    }
    for (String lora : secondLoras) {
      options = options.withSecondLora(loraFile(lora), loraScale("--lora-2", lora));
    }
    return options;
  }

  private static ElementType computable(ElementType type) {
    if (type != null && type != ElementType.BF16 && type != ElementType.FP32) {
      throw new CommandFailure("--vae-type " + type + "; expected bf16 or fp32");
    }
    return type;
  }

  private int tokens() {
    if (textTokens != null && textTokens < 1) {
      throw new CommandFailure("--text-tokens " + textTokens + "; expected at least 1");
    }
    return textTokens == null ? 0 : textTokens;
  }

  /** What stands before the last colon, or all. */
  private static Path loraFile(String lora) {
    int colon = lora.lastIndexOf(':');
    return Path.of(colon < 0 ? lora : lora.substring(0, colon));
  }

  private static double loraScale(String option, String lora) {
    int colon = lora.lastIndexOf(':');
    if (colon < 0) {
      return 1;
    }
    try {
      double scale = Double.parseDouble(lora.substring(colon + 1));
      if (Double.isFinite(scale)) {
        return scale;
      }
    } catch (NumberFormatException e) {
      // refused below, as what is not finite is
    }
    throw new CommandFailure(
        "%s %s: expected FILE:SCALE with a finite number, such as style.safetensors:0.8"
            .formatted(option, lora));
  }

  /** How it runs. */
  GenerateOptions generateOptions() {
    GenerateOptions options =
        GenerateOptions.defaults()
            .withSteps(steps())
            .withGuidance(guidance)
            .withGuidance2(guidance2)
            .withTrueGuidance(trueGuidance)
            .withDynamicGuidance(dynamicGuidance)
            .withNegative(negative)
            .withImage(image)
            .withLastImage(lastImage)
            .withSeed(seed)
            .withAnyMemory(anyMemory);
    try {
      options = options.withFlowShift(flowShift);
    } catch (IllegalArgumentException e) {
      throw named(e);
    }
    if (latents != null && video != null) {
      throw new CommandFailure("--latents and --video exclude each other");
    }
    if (latents != null) {
      int[] size = size("--latents", latents, "21x60x104");
      return options.withLatents(size[0], size[1], size[2]);
    }
    if (video != null) {
      int[] size = size("--video", video, "81x480x832");
      return options.withVideo(size[0], size[1], size[2]);
    }
    return options;
  }

  /** The steps of a run; null for the usual number. */
  private RunSteps steps() {
    if (steps != null && steps < 1) {
      throw new CommandFailure("--steps " + steps + "; expected at least 1");
    }
    if (sigmas != null && timesteps != null) {
      throw new CommandFailure("--sigmas and --timesteps exclude each other");
    }
    if (sigmas == null && timesteps == null) {
      return steps == null ? null : RunSteps.of(steps);
    }
    RunSteps wanted;
    try {
      wanted = sigmas != null ? RunSteps.atSigmas(sigmas) : RunSteps.atTimesteps(timesteps);
    } catch (IllegalArgumentException e) {
      throw named(e);
    }
    if (steps != null && steps != wanted.count()) {
      throw new CommandFailure(
          "--steps %d, but %d are given; leave --steps out".formatted(steps, wanted.count()));
    }
    return wanted;
  }

  /** The library's message about one of these options, in the words of the command line. */
  static RuntimeException named(IllegalArgumentException failure) {
    String message =
        failure
            .getMessage()
            .replaceAll(
                "(?<![-\\w./])(latents(?= FRAMES| \\d)|video(?= \\d)|guidance-2|true-guidance|flow-shift|sigmas|timesteps)(?=[ ;:\\[])",
                "--$1")
            .replaceFirst(
                "^(image|last-image|negative|dynamic-guidance|text-tokens|embedding-cache|vae-type|vae-tiling)(?=[ :])",
                "--$1")
            .replaceFirst("this one takes guidance$", "this one takes --guidance")
            .replaceFirst("set any-checkpoint$", "set --any-checkpoint");
    return new CommandFailure(message, failure);
  }

  /** Frames, height and width out of an option's text. */
  private static int[] size(String option, String text, String example) {
    if (!text.matches("[1-9]\\d{0,5}x[1-9]\\d{0,5}x[1-9]\\d{0,5}")) {
      throw new CommandFailure(
          "%s %s is no size; write FRAMESxHEIGHTxWIDTH, as in %s".formatted(option, text, example));
    }
    String[] parts = text.split("x");
    return new int[] {
      Integer.parseInt(parts[0]), Integer.parseInt(parts[1]), Integer.parseInt(parts[2])
    };
  }
}

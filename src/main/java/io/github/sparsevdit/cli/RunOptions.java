package io.github.sparsevdit.cli;

import io.github.sparsevdit.tensor.ElementType;
import java.nio.file.Path;
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
          "Guidance scale of a second network, for the late steps (default: the checkpoint's, else"
              + " that of the first).")
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
      names = "--variant",
      paramLabel = "NAME",
      description =
          "Which of the weights to take where a folder holds several, as in"
              + " diffusion_pytorch_model.bf16.safetensors (default: those without, else the only"
              + " ones).")
  String variant;

  @Option(
      names = "--any-memory",
      description = "Run even if the memory that is left seems too little.")
  boolean anyMemory;

  /** Frames, height and width out of {@code text}. */
  static int[] size(String text) {
    if (!text.matches("[1-9]\\d{0,5}x[1-9]\\d{0,5}x[1-9]\\d{0,5}")) {
      throw new CommandFailure(
          "--latents " + text + " is no size; write FRAMESxHEIGHTxWIDTH, as in 21x60x104");
    }
    String[] parts = text.split("x");
    return new int[] {
      Integer.parseInt(parts[0]), Integer.parseInt(parts[1]), Integer.parseInt(parts[2])
    };
  }
}

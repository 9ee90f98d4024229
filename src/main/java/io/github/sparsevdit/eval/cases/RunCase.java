package io.github.sparsevdit.eval.cases;

import io.github.sparsevdit.AttentionPlan;
import io.github.sparsevdit.Backend;
import io.github.sparsevdit.UnsupportedException;
import io.github.sparsevdit.checkpoint.Denoisers;
import io.github.sparsevdit.internal.io.Json;
import io.github.sparsevdit.model.AttentionProvider;
import io.github.sparsevdit.model.Conditioning;
import io.github.sparsevdit.model.VideoTransformer;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.pipeline.DenoisingLoop;
import io.github.sparsevdit.pipeline.DenoisingProgress;
import io.github.sparsevdit.pipeline.Guidance;
import io.github.sparsevdit.pipeline.Scheduler;
import io.github.sparsevdit.pipeline.Schedulers;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Safetensors;
import io.github.sparsevdit.tensor.Tensor;
import io.github.sparsevdit.tensor.TensorSource;
import java.nio.file.Path;

/**
 * A whole denoising run of one of diffusers' pipelines with a tiny checkpoint, in fp32: the final
 * latents.
 */
record RunCase(Path path, Path denoisers) implements ReferenceCase {
  /** What the published pipelines set apart from diffusers' defaults. */
  private static final String COGVIDEOX =
      "{\"prediction_type\": \"v_prediction\", \"timestep_spacing\": \"trailing\","
          + " \"rescale_betas_zero_snr\": true, \"snr_shift_scale\": 1.0}";

  private static final double BOUND = 1e-4;

  @Override
  public String name() {
    return ReferenceCases.nameOf(path);
  }

  @Override
  public String family() {
    return "runs";
  }

  @Override
  public CaseResult run(Backend backend) {
    try (TensorSource tensors = Safetensors.open(path);
        VideoTransformer transformer =
            Denoisers.load(
                denoisers.resolve(tensors.metadata().get("checkpoint")),
                backend,
                ElementType.FP32)) {
      Json arguments = Json.parse(path + ": args", tensors.metadata().get("args"));
      double scale = arguments.field("guidance_scale").number();
      boolean dynamic = arguments.bool("use_dynamic_cfg", false);
      Guidance guidance =
          (dynamic ? Guidance.dynamic(scale) : Guidance.of(scale))
              .below(transformer.boundary(), arguments.number("guidance_scale_2", scale));
      Scheduler scheduler =
          scheduler(
              tensors.metadata().get("scheduler"),
              arguments.field("num_inference_steps").integer(1));
      Tensor text = tensors.tensor("in.prompt_embeds").select(0, 0);
      Conditioning prompt = prompt(tensors, text, scale);
      Conditioning negative =
          tensors.has("in.negative_prompt_embeds")
              ? image(
                  tensors,
                  Conditioning.text(tensors.tensor("in.negative_prompt_embeds").select(0, 0)))
              : null;
      Tensor noise = tensors.tensor("in.latents").select(0, 0);
      Sequence sequence = transformer.sequence(noise.shape(), prompt.textTokens());
      try (AttentionPlan plan = DenoiserCase.densePlan(backend, transformer, sequence);
          Tensor latents = backend.allocate(ElementType.FP32, noise.shape())) {
        latents.copyFrom(noise);
        new DenoisingLoop(transformer, scheduler, guidance)
            .run(latents, prompt, negative, AttentionProvider.of(plan), DenoisingProgress.NONE);
        Comparison comparison = new Comparison();
        comparison.add("out", latents.toFloats(), tensors.tensor("out").toFloats());
        return comparison.result(BOUND);
      }
    } catch (UnsupportedException e) {
      return CaseResult.skipped(e.getMessage());
    }
  }

  private static Conditioning prompt(TensorSource tensors, Tensor text, double scale) {
    return tensors.has("in.pooled_prompt_embeds")
        ? Conditioning.text(
            text,
            CaseInputs.valid(tensors.tensor("in.prompt_attention_mask").select(0, 0)),
            tensors.tensor("in.pooled_prompt_embeds").select(0, 0),
            1000 * scale)
        : image(tensors, Conditioning.text(text));
  }

  /** Adds the image a run begins with: features, and latents of one frame or beside all frames. */
  private static Conditioning image(TensorSource tensors, Conditioning prompt) {
    if (!tensors.has("in.condition")) {
      return prompt;
    }
    Tensor condition = tensors.tensor("in.condition").select(0, 0);
    if (condition.size(1) < tensors.tensor("in.latents").size(2)) {
      return prompt.with(Conditioning.Part.FIRST_FRAMES, condition);
    }
    Tensor features =
        tensors.has("in.image_embeds") ? tensors.tensor("in.image_embeds").select(0, 0) : null;
    return prompt
        .with(Conditioning.Part.IMAGE, features)
        .with(Conditioning.Part.LATENTS, condition);
  }

  /** "unipc flow_shift=3.0", "flow-match-euler shift=7", "cogvideox-ddim", "cogvideox-dpm". */
  private static Scheduler scheduler(String description, int steps) {
    String[] words = description.split("[ =]");
    return switch (words[0]) {
      case "unipc" ->
          Schedulers.create(
              "UniPCMultistepScheduler",
              "{\"prediction_type\": \"flow_prediction\", \"use_flow_sigmas\": true, "
                  + entry(words)
                  + "}",
              steps,
              null);
      case "flow-match-euler" ->
          Schedulers.create(
              "FlowMatchEulerDiscreteScheduler", "{" + entry(words) + "}", steps, null);
      case "cogvideox-ddim" -> Schedulers.create("CogVideoXDDIMScheduler", COGVIDEOX, steps, null);
      case "cogvideox-dpm" -> Schedulers.create("CogVideoXDPMScheduler", COGVIDEOX, steps, null);
      default -> throw new UnsupportedException("scheduler " + description + " is not known");
    };
  }

  private static String entry(String[] words) {
    return "\"" + words[1] + "\": " + words[2];
  }
}

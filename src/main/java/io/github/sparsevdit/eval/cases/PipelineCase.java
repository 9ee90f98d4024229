package io.github.sparsevdit.eval.cases;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.UnsupportedException;
import io.github.sparsevdit.internal.io.Json;
import io.github.sparsevdit.model.Conditioning;
import io.github.sparsevdit.model.Conditioning.Part;
import io.github.sparsevdit.pipeline.GenerateOptions;
import io.github.sparsevdit.pipeline.Generated;
import io.github.sparsevdit.pipeline.Generator;
import io.github.sparsevdit.pipeline.OpenOptions;
import io.github.sparsevdit.pipeline.PreparedRun;
import io.github.sparsevdit.pipeline.RunInputs;
import io.github.sparsevdit.pipeline.Video;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Safetensors;
import io.github.sparsevdit.tensor.Tensor;
import io.github.sparsevdit.tensor.TensorSource;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;

/**
 * One call of a diffusers pipeline with tiny networks, in fp32: from texts, an image and the noise
 * to embeddings, conditions, timesteps, latents and pixels.
 */
record PipelineCase(Path path) implements ReferenceCase {
  private static final double ENCODED_BOUND = 1e-4;
  private static final double VIDEO_BOUND = 1e-3;
  private static final double BF16_BOUND = 0.05; // on a device, which computes no fp32 attention
  private static final int FRAMES_OF_LATENT = 4; // of every VAE here

  @Override
  public String name() {
    return path.getParent().getFileName() + "/" + ReferenceCases.nameOf(path);
  }

  @Override
  public String family() {
    return "pipelines";
  }

  @Override
  public CaseResult run(Backend backend) {
    boolean device = backend.kind() == Backend.Kind.CUDA;
    Comparison encoded = new Comparison();
    Comparison made = new Comparison();
    try (TensorSource tensors = Safetensors.open(path)) {
      Json description = Json.parse(path + ": case", tensors.metadata().get("case"), 8);
      Json arguments = description.field("arguments");
      OpenOptions open =
          OpenOptions.defaults()
              .withType(device ? ElementType.BF16 : ElementType.FP32)
              .withVaeType(ElementType.FP32)
              .withTextTokens((int) arguments.number("max_sequence_length", 0));
      try (Generator generator = Generator.open(path.getParent(), backend, open)) {
        List<String> prompts = texts(arguments.field("prompt"));
        for (int row = 0; row < prompts.size(); row++) {
          GenerateOptions options = options(arguments, description, tensors, row);
          PreparedRun run = generator.prepare(options, List.of(prompts.get(row)));
          RunInputs inputs = run.inputs(prompts.get(row), 0);
          compareInputs(inputs, tensors, row, encoded);
          compareTimesteps(run, tensors, encoded);
          Generated generated = run.generate(prompts.get(row), generator.dense());
          Tensor given = inputs.prompt().firstFrames();
          compareVideo(generated, tensors, row, given == null ? 0 : given.size(1), made);
        }
      }
    } catch (UnsupportedException e) {
      return CaseResult.skipped(e.getMessage());
    }
    CaseResult first = encoded.result(device ? BF16_BOUND : ENCODED_BOUND);
    CaseResult last = made.result(device ? BF16_BOUND : VIDEO_BOUND);
    return first.status() == CaseResult.Status.PASSED ? last : first;
  }

  private static List<String> texts(Json prompt) {
    return prompt.isArray()
        ? prompt.array().stream().map(Json::text).toList()
        : List.of(prompt.text());
  }

  private GenerateOptions options(Json arguments, Json description, TensorSource tensors, int row) {
    arguments.only(
        "prompt",
        "negative_prompt",
        "num_inference_steps",
        "guidance_scale",
        "guidance_scale_2",
        "true_cfg_scale",
        "use_dynamic_cfg",
        "height",
        "width",
        "num_frames",
        "max_sequence_length",
        "image",
        "last_image");
    int frames = arguments.field("num_frames").integer(1);
    GenerateOptions options =
        GenerateOptions.defaults()
            .withVideo(
                rounded(frames, description.field("pipeline").text()),
                arguments.field("height").integer(1),
                arguments.field("width").integer(1))
            .withSteps(arguments.field("num_inference_steps").integer(1))
            .withGuidance(number(arguments, "guidance_scale"))
            .withGuidance2(number(arguments, "guidance_scale_2"))
            .withTrueGuidance(number(arguments, "true_cfg_scale"))
            .withDynamicGuidance(arguments.bool("use_dynamic_cfg", false))
            .withNoise(tensors.tensor("in.latents").select(0, row));
    if (arguments.has("negative_prompt")) {
      List<String> negatives = texts(arguments.field("negative_prompt"));
      options = options.withNegative(negatives.get(Math.min(row, negatives.size() - 1)));
    }
    if (arguments.has("image")) {
      options = options.withImage(path.resolveSibling(arguments.field("image").text()));
    }
    if (arguments.has("last_image")) {
      options = options.withLastImage(path.resolveSibling(arguments.field("last_image").text()));
    }
    if (tensors.has("in.image_noise")) {
      options = options.withImageNoise(tensors.tensor("in.image_noise").select(0, row));
    }
    return description.text("dpm_noise", "").equals("zero") ? options.withoutStepNoise() : options;
  }

  /** Frames as the pipelines round them: Wan's to a multiple and one, the others down. */
  private static int rounded(int frames, String pipeline) {
    boolean fits = (frames - 1) % FRAMES_OF_LATENT == 0;
    int whole = pipeline.startsWith("Wan") ? frames : frames - 1;
    return fits ? frames : whole / FRAMES_OF_LATENT * FRAMES_OF_LATENT + 1;
  }

  private static Double number(Json arguments, String name) {
    return arguments.has(name) ? arguments.field(name).number() : null;
  }

  private static void compareInputs(
      RunInputs inputs, TensorSource tensors, int row, Comparison errors) {
    Conditioning prompt = inputs.prompt();
    compare("out.prompt_embeds", prompt.text(), tensors, row, errors);
    compare("out.pooled_prompt_embeds", prompt.pooled(), tensors, row, errors);
    compare("out.image_embeds", prompt.image(), tensors, row, errors);
    Tensor condition = prompt.part(Part.FIRST_FRAMES);
    compare(
        "out.condition", condition == null ? prompt.latents() : condition, tensors, row, errors);
    if (tensors.has("out.prompt_attention_mask")) {
      float[] mask = tensors.tensor("out.prompt_attention_mask").select(0, row).toFloats();
      float[] valid = new float[mask.length];
      Arrays.fill(valid, 0, prompt.textValid(), 1);
      errors.add("out.prompt_attention_mask", valid, mask);
    }
    if (inputs.negative() != null) {
      compare("out.negative_prompt_embeds", inputs.negative().text(), tensors, row, errors);
      compare("out.negative.prompt_embeds", inputs.negative().text(), tensors, row, errors);
      compare(
          "out.negative.pooled_prompt_embeds", inputs.negative().pooled(), tensors, row, errors);
    }
  }

  /** Where the case tells it. */
  private static void compare(
      String name, Tensor value, TensorSource tensors, int row, Comparison errors) {
    if (tensors.has(name)) {
      if (value == null) {
        throw new IllegalArgumentException("the case has " + name + ", and the run has none");
      }
      errors.add(name, value.toFloats(), tensors.tensor(name).select(0, row).toFloats());
    }
  }

  private static void compareTimesteps(PreparedRun run, TensorSource tensors, Comparison errors) {
    List<Double> timesteps = run.schedule().timesteps();
    float[] values = new float[timesteps.size()];
    for (int i = 0; i < values.length; i++) {
      values[i] = timesteps.get(i).floatValue();
    }
    errors.add("out.timesteps", values, tensors.tensor("out.timesteps").toFloats());
  }

  /** Without the frames that are given, which diffusers puts back after the last step. */
  private static float[] latents(Tensor latents, long given) {
    return given == 0 ? latents.toFloats() : latents.slice(1, given, latents.size(1)).toFloats();
  }

  private static float[] latents(Generated generated, long given) {
    try (Arena arena = Arena.ofConfined()) {
      Tensor tensor = Tensor.ofFloats(arena, generated.latents(), generated.latentShape());
      return latents(tensor, given);
    }
  }

  private static void compareVideo(
      Generated generated, TensorSource tensors, int row, long given, Comparison errors) {
    int steps = Math.toIntExact(tensors.tensor("out.timesteps").elements());
    String last = "out.latents." + (steps - 1);
    errors.add(
        last, latents(generated, given), latents(tensors.tensor(last).select(0, row), given));
    Video video = generated.video();
    Tensor expected = tensors.tensor("out.video").select(0, row); // frames, channels, rows, columns
    float[] pixels = new float[video.values().length];
    int at = 0;
    for (int frame = 0; frame < video.frames(); frame++) {
      for (int channel = 0; channel < video.channels(); channel++) {
        for (int y = 0; y < video.height(); y++) {
          for (int x = 0; x < video.width(); x++) {
            pixels[at++] = video.at(frame, y, x, channel);
          }
        }
      }
    }
    errors.add("out.video", pixels, expected.toFloats());
  }
}

package io.github.sparsevdit.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.github.sparsevdit.tensor.Safetensors;
import io.github.sparsevdit.tensor.Tensor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * {@code svdit generate} from the noise of diffusers' runs gives their latents: all that lies
 * between the command line and the denoising loop, defaults included.
 */
class RunsTest {
  private static final Path CASES = Path.of("src/test/resources/cases");
  private static final String UNIPC =
      "{\"_class_name\": \"UniPCMultistepScheduler\", \"prediction_type\": \"flow_prediction\","
          + " \"use_flow_sigmas\": true, \"flow_shift\": 3.0}";
  @TempDir Path folder;

  @ParameterizedTest
  @CsvSource({
    "wan2.1, 3x16x12, 3", // flow shift
    "wan2.1-i2v, 3x8x12, 3",
    "wan2.2-ti2v, 3x8x12, 0", // the family's own scheduler
    "wan2.2-i2v, 3x8x12, 0",
    "hunyuanvideo, 3x16x12, 0",
    "cogvideox1.5, 4x8x12, 0",
  })
  void generatesWhatDiffusersDid(String name, String size, int shift) throws IOException {
    try (Safetensors run = Safetensors.open(CASES.resolve("runs/" + name + ".safetensors"))) {
      Path checkpoint = CASES.resolve("denoisers/" + run.metadata().get("checkpoint"));
      if (shift > 0) {
        checkpoint = withScheduler(checkpoint);
      }
      JsonNode arguments = new ObjectMapper().readTree(run.metadata().get("args"));
      writePrompt(run);
      Stream<String> guidance =
          arguments.has("guidance_scale_2")
              ? Stream.of("--guidance-2", arguments.path("guidance_scale_2").asText())
              : Stream.of();
      List<String> command =
          List.of(
              "generate",
              checkpoint.toString(),
              "--prompt",
              "p",
              "--type",
              "fp32",
              "--embeddings",
              folder.resolve("prompts.safetensors").toString(),
              "--latents",
              size,
              "--steps",
              arguments.path("num_inference_steps").asText(),
              "--guidance",
              arguments.path("guidance_scale").asText(),
              "--out",
              folder.resolve("made").toString());
      Run made = Run.svdit(Stream.concat(command.stream(), guidance).toArray(String[]::new));
      assertEquals(0, made.code(), made.err());
      try (Safetensors file = Safetensors.open(folder.resolve("made.safetensors"))) {
        double error = relative(file.tensor("latents").toFloats(), run.tensor("out").toFloats());
        assertTrue(error <= 1e-4, "relative error " + error);
      }
    }
  }

  /** The run's inputs under the names a prompt's parts have. */
  private void writePrompt(Safetensors run) {
    Map<String, Tensor> tensors = new HashMap<>();
    Map<String, String> names =
        Map.of(
            "in.prompt_embeds", "p",
            "in.negative_prompt_embeds", "negative",
            "in.pooled_prompt_embeds", "p.pooled",
            "in.prompt_attention_mask", "p.mask",
            "in.image_embeds", "p.image",
            "in.latents", "p.noise");
    names.forEach(
        (name, part) -> {
          if (run.has(name)) {
            tensors.put(part, run.tensor(name).select(0, 0));
          }
        });
    if (run.has("in.condition")) {
      Tensor condition = run.tensor("in.condition").select(0, 0);
      boolean oneFrame = condition.size(1) < run.tensor("in.latents").size(2);
      tensors.put(oneFrame ? "p.firstFrames" : "p.latents", condition);
    }
    Safetensors.write(folder.resolve("prompts.safetensors"), tensors, Map.of());
  }

  private Path withScheduler(Path checkpoint) throws IOException {
    Path transformer = Files.createDirectories(folder.resolve("pipeline/transformer"));
    for (String file : List.of("config.json", "diffusion_pytorch_model.safetensors")) {
      Files.copy(checkpoint.resolve(file), transformer.resolve(file));
    }
    Path scheduler = Files.createDirectories(folder.resolve("pipeline/scheduler"));
    Files.writeString(scheduler.resolve("scheduler_config.json"), UNIPC);
    return folder.resolve("pipeline");
  }

  private static double relative(float[] values, float[] reference) {
    assertEquals(reference.length, values.length);
    double difference = 0;
    double norm = 0;
    for (int i = 0; i < values.length; i++) {
      difference += Math.pow((double) values[i] - reference[i], 2);
      norm += Math.pow(reference[i], 2);
    }
    return Math.sqrt(difference / norm);
  }
}

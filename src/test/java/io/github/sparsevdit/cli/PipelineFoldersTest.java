package io.github.sparsevdit.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.github.sparsevdit.tensor.Safetensors;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Whole folders as diffusers 0.40 saves them, every configuration included, with what its pipelines
 * gave: embeddings with their leading 1, masks of int64, and the latents after the last step. The
 * tiny checkpoints have random weights.
 */
class PipelineFoldersTest {
  private static final Path PIPELINES = Path.of("src/test/resources/pipelines");
  private static final Path WHOLE = Path.of("src/test/resources/cases/pipelines");
  @TempDir Path folder;

  @ParameterizedTest
  @CsvSource({
    "wan2.2-ti2v, case",
    "wan2.2-ti2v, case-i2v", // expanded timesteps
    "wan2.2-t2v-two-stage, case",
  })
  void generatesWhatThePipelineDid(String name, String file) throws IOException {
    Path pipeline = PIPELINES.resolve(name);
    Path prompts = pipeline.resolve(file + ".safetensors");
    try (Safetensors expected = Safetensors.open(prompts)) {
      JsonNode arguments = new ObjectMapper().readTree(expected.metadata().get("arguments"));
      long[] shape = expected.shape("out");
      List<String> command =
          new ArrayList<>(
              List.of(
                  "generate",
                  pipeline.toString(),
                  "--embeddings",
                  prompts.toString(),
                  "--prompt",
                  "p",
                  "--type",
                  "fp32",
                  "--latents",
                  shape[2] + "x" + shape[3] + "x" + shape[4],
                  "--steps",
                  arguments.path("num_inference_steps").asText(),
                  "--guidance",
                  arguments.path("guidance_scale").asText(),
                  "--out",
                  folder.resolve("made").toString()));
      if (arguments.has("guidance_scale_2")) {
        command.addAll(List.of("--guidance-2", arguments.path("guidance_scale_2").asText()));
      }
      Run run = Run.svdit(command.toArray(String[]::new));
      assertEquals(0, run.code(), run.err());
      try (Safetensors made = Safetensors.open(folder.resolve("made.safetensors"))) {
        assertEquals(
            Arrays.toString(Arrays.copyOfRange(shape, 1, 5)),
            Arrays.toString(made.shape("latents")));
        float[] values = made.tensor("latents").toFloats();
        float[] reference = expected.tensor("out").toFloats();
        double difference = 0;
        double norm = 0;
        for (int i = 0; i < values.length; i++) {
          difference += Math.pow((double) values[i] - reference[i], 2);
          norm += Math.pow(reference[i], 2);
        }
        assertTrue(Math.sqrt(difference / norm) <= 1e-4, Math.sqrt(difference / norm) + "");
      }
    }
  }

  @Test
  void everyConfigurationIsPlanned() {
    for (Path pipeline :
        List.of(
            WHOLE.resolve("hunyuanvideo-t2v"), // an FFN ratio other than its refiner's
            WHOLE.resolve("cogvideox1.5-i2v"),
            PIPELINES.resolve("wan2.2-ti2v"),
            PIPELINES.resolve("wan2.2-t2v-two-stage"))) {
      Run run =
          Run.svdit("plan", pipeline.toString(), "--size", "64x96", "--frames", "9", "--no-time");
      assertEquals(0, run.code(), run.err());
      assertTrue(!run.out().contains("no vae/config.json"), run.out());
    }
  }
}

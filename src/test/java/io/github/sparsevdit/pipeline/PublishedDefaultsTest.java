package io.github.sparsevdit.pipeline;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.estimate.ModelProfile;
import io.github.sparsevdit.model.Conditioning;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Safetensors;
import io.github.sparsevdit.tensor.Tensor;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A run of a checkpoint of a published model's sizes, of which nothing is given. */
class PublishedDefaultsTest {
  @TempDir Path folder;

  @ParameterizedTest
  @CsvSource({
    "wan2.1-t2v-1.3b, 16",
    "wan2.2-t2v-a14b, 16",
    "wan2.2-ti2v-5b, 24",
    "hunyuanvideo, 24",
    "cogvideox1.5-5b, 16"
  })
  void videosPlayAsFastAsTheModels(String model, int framesPerSecond) throws IOException {
    assertEquals(framesPerSecond, prepared(model, "{}", options()).framesPerSecond());
  }

  @Test
  void theCheckpointsSpeedGoesFirst() throws IOException {
    PreparedRun run = prepared("wan2.2-ti2v-5b", "{\"fps\": 12}", options());
    assertEquals(12, run.framesPerSecond());
  }

  /** Wan2.2 T2V: 4 and 3, I2V: 3.5 and 3.5. A first scale that is given is the second's too. */
  @Test
  void theSecondNetworkHasAScaleOfItsOwn() throws IOException {
    assertScales(4, 3, "wan2.2-t2v-a14b", "{}", options());
    assertScales(3.5, 3.5, "wan2.2-i2v-a14b", "{}", options());
    assertScales(5, 5, "wan2.2-t2v-a14b", "{}", options().withGuidance(5.0));
    assertScales(4, 2, "wan2.2-t2v-a14b", "{}", options().withGuidance2(2.0));
    assertScales(5, 5, "wan2.2-t2v-a14b", "{\"guidance_scale\": 5}", options());
    assertScales(4, 2, "wan2.2-t2v-a14b", "{\"guidance_scale_2\": 2}", options());
  }

  private void assertScales(
      double first, double second, String model, String usual, GenerateOptions options)
      throws IOException {
    Guidance guidance = prepared(model, usual, options).guidance();
    assertEquals(first, guidance.at(875, 1000));
    assertEquals(second, guidance.at(874, 1000));
  }

  private static GenerateOptions options() {
    return GenerateOptions.defaults().withLatents(2, 4, 4).withAnyMemory(true);
  }

  /** A pipeline of the model's configuration, whose weights are not read to prepare a run. */
  private PreparedRun prepared(String model, String usual, GenerateOptions options)
      throws IOException {
    ModelProfile profile = ModelProfile.named(model);
    for (int network = 1; network <= profile.networks(); network++) {
      Path home =
          Files.createDirectories(
              folder.resolve(network == 1 ? "transformer" : "transformer_" + network));
      Files.writeString(home.resolve("config.json"), profile.config());
      try (Arena arena = Arena.ofConfined()) {
        Tensor any = Tensor.of(arena.allocate(2, 64), ElementType.BF16, 1);
        Safetensors.write(
            home.resolve("diffusion_pytorch_model.safetensors"), Map.of("any", any), Map.of());
      }
    }
    Files.writeString(
        folder.resolve("model_index.json"),
        profile.networks() == 1 ? "{\"vae\": [\"x\", \"y\"]}" : "{\"boundary_ratio\": 0.875}");
    Files.writeString(folder.resolve("generation_config.json"), usual);
    try (Backend backend = Backend.cpu();
        Generator generator =
            Generator.open(
                folder, backend, OpenOptions.defaults().withTextEncoder(new OneToken()))) {
      return generator.prepare(options, List.of("a fox"));
    }
  }

  /** Says how long a prompt is, and is not asked for more. */
  private static final class OneToken implements TextEncoder {
    @Override
    public List<String> prompts() {
      return List.of();
    }

    @Override
    public int tokens(String prompt) {
      return 1;
    }

    @Override
    public Conditioning encode(String prompt) {
      throw new AssertionError("no run begins");
    }

    @Override
    public Conditioning encodeNegative(String prompt, String negative) {
      throw new AssertionError("no run begins");
    }

    @Override
    public void close() {}
  }
}

package io.github.sparsevdit.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.checkpoint.Denoisers;
import io.github.sparsevdit.estimate.ModelProfile;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.tensor.Safetensors;
import io.github.sparsevdit.tensor.TensorSource;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class GeometryTest {
  /** What diffusers wrote says how many parameters a model of these sizes has. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "wan2.1-t2v-tiny",
        "wan2.1-t2v-tiny-sharded",
        "wan2.1-i2v-tiny",
        "hunyuanvideo-t2v-tiny",
        "cogvideox1.5-t2v-tiny",
        "cogvideox1.5-i2v-tiny"
      })
  void countsTheParametersOfCheckpoints(String name) {
    Path folder = Path.of("src/test/resources/cases/denoisers", name);
    try (TensorSource weights = Safetensors.open(folder)) {
      long stored = weights.names().stream().mapToLong(n -> weights.tensor(n).elements()).sum();
      assertEquals(stored, Denoisers.geometry(folder).parameters());
    }
  }

  /** Its refiner's FFN does not follow the configured ratio. */
  @Test
  void countsARefinerOfAnotherRatio() {
    Path folder = Path.of("src/test/resources/cases/pipelines/hunyuanvideo-t2v/transformer");
    try (TensorSource weights = Safetensors.open(folder)) {
      long stored = weights.names().stream().mapToLong(n -> weights.tensor(n).elements()).sum();
      assertEquals(stored, Denoisers.geometry(folder).parameters());
    }
  }

  /** As diffusers' models of the published configurations count them, in millions. */
  @ParameterizedTest
  @CsvSource({
    "cogvideox1.5-5b, 5571",
    "hunyuanvideo, 12821",
    "wan2.1-t2v-14b, 14288",
    "wan2.1-t2v-1.3b, 1419",
    "wan2.1-i2v-14b-480p, 16395",
    "wan2.2-ti2v-5b, 5000"
  })
  void countsTheParametersOfPublishedModels(String name, double millions) {
    assertEquals(millions, ModelProfile.named(name).geometry().parameters() * 1e-6, 0.5);
  }

  @ParameterizedTest
  @CsvSource({
    "cogvideox1.5-5b, 21, 96, 170, 11x48x85 + 226 text first",
    "hunyuanvideo, 33, 90, 160, 33x45x80 + 256 text last",
    "wan2.1-t2v-14b, 21, 90, 160, 21x45x80",
    "wan2.1-t2v-1.3b, 21, 60, 104, 21x30x52",
    "wan2.2-ti2v-5b, 31, 44, 80, 31x22x40"
  })
  void cutsLatentsIntoTokens(String name, int frames, int height, int width, String expected) {
    ModelProfile profile = ModelProfile.named(name);
    Sequence sequence = profile.geometry().sequence(frames, height, width, profile.text());
    assertEquals(expected, sequence.toString());
  }

  @Test
  void profilesAreWholeAndSaySo() {
    List<ModelProfile> all = ModelProfile.all();
    assertEquals(10, all.size());
    for (ModelProfile profile : all) {
      assertFalse(profile.runs().isEmpty(), profile.name());
      assertTrue(profile.sources().stream().anyMatch(s -> s.startsWith("https://")));
      assertEquals(profile.geometry().usualText(), profile.text(), profile.name());
      assertEquals(profile.geometry().usualImage(), profile.image(), profile.name());
    }
    String message =
        assertThrows(IllegalArgumentException.class, () -> ModelProfile.named("sora")).getMessage();
    assertTrue(message.contains("\"sora\"") && message.contains("hunyuanvideo"), message);
  }

  @Test
  void entriesOfTheConfigurationCanBeReplaced() {
    ModelProfile half = ModelProfile.named("wan2.1-t2v-1.3b").with(Map.of("num_layers", "15"));
    assertEquals(15, half.geometry().shape("").layers());
    IllegalArgumentException wrong =
        assertThrows(IllegalArgumentException.class, () -> half.with(Map.of("num_layers", "many")));
    assertTrue(wrong.getMessage().contains("num_layers is \"many\""), wrong::getMessage);
  }

  /** Q, K and V of one layer and step, as counted by hand for the published sizes. */
  @ParameterizedTest
  @CsvSource({
    "cogvideox1.5-5b, 831393792, 25",
    "hunyuanvideo, 2194440192, 174",
    "wan2.1-t2v-14b, 2322432000, 117",
    "wan2.1-t2v-1.3b, 301916160, 6.6"
  })
  void attentionOfOneLayer(String name, long bytes, double teraflop) {
    ModelProfile profile = ModelProfile.named(name);
    ModelProfile.Run run = profile.runs().get(0);
    int[] latents = {(run.frames() - 1) / 4 + 1, run.height() / 8, run.width() / 8};
    Geometry geometry = profile.geometry();
    Sequence sequence = geometry.sequence(latents[0], latents[1], latents[2], profile.text());
    long width = (long) geometry.shape("").heads() * geometry.shape("").headDim();
    assertEquals(bytes, 3 * 2 * width * sequence.tokens());
    double layer =
        geometry.cost(sequence, profile.text(), 0).attention() / geometry.shape("").layers();
    assertEquals(teraflop, layer * 1e-12, 0.5, Arrays.toString(latents));
  }
}

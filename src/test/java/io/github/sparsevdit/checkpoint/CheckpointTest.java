package io.github.sparsevdit.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.UnsupportedException;
import io.github.sparsevdit.model.AttentionFunction;
import io.github.sparsevdit.model.Conditioning;
import io.github.sparsevdit.model.VideoTransformer;
import io.github.sparsevdit.model.parts.ConfigFile;
import io.github.sparsevdit.model.parts.Weights;
import io.github.sparsevdit.model.wan.Wan;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Safetensors;
import io.github.sparsevdit.tensor.Tensor;
import io.github.sparsevdit.tensor.TensorSource;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What is wrong with a checkpoint is named. */
class CheckpointTest {
  private static final Path WAN = Path.of("src/test/resources/cases/denoisers/wan2.1-t2v-tiny");
  private static Backend backend;
  @TempDir Path folder;

  @BeforeAll
  static void open() {
    backend = Backend.cpu();
  }

  @AfterAll
  static void close() {
    backend.close();
  }

  @Test
  void namesTheModelAfterItsFolder() {
    try (VideoTransformer wan = Denoisers.load(WAN, backend, ElementType.FP32)) {
      assertEquals("wan2.1-t2v-tiny: 2 layers x 2 heads x 64", wan.shape().toString());
    }
    Path pipeline = Path.of("calibration/tiny-wan");
    try (VideoTransformer tiny = Denoisers.load(pipeline, backend, ElementType.BF16)) {
      assertEquals("tiny-wan: 6 layers x 4 heads x 64", tiny.shape().toString());
      assertTrue(CheckpointFolder.of(pipeline).inPixels());
    }
  }

  /** A run or a search goes on only with the very same network. */
  @Test
  void everyWeightAndSettingIsInTheFingerprint() throws IOException {
    Path file = folder.resolve("diffusion_pytorch_model.safetensors");
    Path config = folder.resolve("config.json");
    Files.copy(WAN.resolve("config.json"), config);
    byte[] weights = Files.readAllBytes(WAN.resolve("diffusion_pytorch_model.safetensors"));
    Files.write(file, weights);
    String before = fingerprint();
    assertEquals(before, fingerprint());
    // Of 32 KiB matrices, mostly, and in the last of all.
    for (int at : new int[] {weights.length / 2, weights.length * 2 / 3, weights.length - 2}) {
      weights[at] ^= 1;
      Files.write(file, weights);
      assertNotEquals(before, fingerprint(), "byte " + at);
      weights[at] ^= 1;
    }
    Files.write(file, weights);
    String text = Files.readString(config);
    Files.writeString(config, text.replaceFirst("\"eps\": *1e-0?6", "\"eps\": 1e-5"));
    assertNotEquals(text, Files.readString(config));
    assertNotEquals(before, fingerprint());
  }

  private String fingerprint() {
    try (VideoTransformer wan = Denoisers.load(folder, backend, ElementType.FP32)) {
      return wan.fingerprint();
    }
  }

  @Test
  void missingWeight() throws IOException {
    refused("blocks.1.ffn.net.2.bias [128] is missing", w -> w.remove("blocks.1.ffn.net.2.bias"));
  }

  @Test
  void unexpectedWeight() throws IOException {
    refused(
        "1 unexpected weights: blocks.7.extra",
        w -> w.put("blocks.7.extra", w.get("proj_out.bias")));
  }

  @Test
  void wrongShape() throws IOException {
    refused(
        "proj_out.bias is [128]; the configuration asks for [16]",
        w -> w.put("proj_out.bias", w.get("blocks.0.norm2.bias")));
  }

  /** Whichever weight of whichever family lacks or has another shape, the message says which. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "wan2.1-i2v-image-tiny",
        "wan2.2-ti2v-tiny",
        "hunyuanvideo-t2v-tiny",
        "cogvideox1.5-i2v-tiny"
      })
  void everyWeightIsNamed(String model) {
    Path home = WAN.resolveSibling(model);
    ConfigFile config = ConfigFile.read(home.resolve("config.json"));
    try (TensorSource source = Safetensors.open(home)) {
      Set<String> names = source.names();
      assertTrue(names.size() > 50, names::toString);
      for (String name : names) {
        Tensor whole = source.tensor(name);
        refused(name + " ", () -> open(config, source, name, null));
        refused(name + " is [0", () -> open(config, source, name, whole.slice(0, 0, 0)));
        refused("1 unexpected weights: x." + name, () -> open(config, source, "x." + name, whole));
      }
    }
  }

  /** The source with one tensor in another's place, or without it where that is null. */
  private static void open(ConfigFile config, TensorSource source, String name, Tensor instead) {
    TensorSource changed =
        new TensorSource() {
          @Override
          public Set<String> names() {
            Set<String> names = new HashSet<>(source.names());
            names.remove(name);
            if (instead != null) {
              names.add(name);
            }
            return names;
          }

          @Override
          public Tensor tensor(String wanted) {
            return wanted.equals(name) ? instead : source.tensor(wanted);
          }

          @Override
          public Map<String, String> metadata() {
            return source.metadata();
          }

          @Override
          public void close() {}
        };
    Weights weights = new Weights(changed, backend, ElementType.BF16, Wan.FAMILY, "tiny");
    Denoisers.network("tiny", config, weights, backend).close();
  }

  @Test
  void unknownClass() throws IOException {
    config("WanTransformer3DModel", "OtherModel");
    write(w -> {});
    UnsupportedException e = assertThrows(UnsupportedException.class, this::load);
    assertTrue(e.getMessage().contains("OtherModel"), e::getMessage);
  }

  @Test
  void unknownSetting() throws IOException {
    config("\"ffn_dim\"", "\"other\"");
    write(w -> {});
    IllegalArgumentException e = assertThrows(IllegalArgumentException.class, this::load);
    assertTrue(e.getMessage().contains("config.json: other is 160"), e::getMessage);
  }

  /** It means diffusers' default, which is another model's. */
  @Test
  void missingSetting() throws IOException {
    config("\"ffn_dim\": 160,", "");
    write(w -> {});
    IllegalArgumentException e = assertThrows(IllegalArgumentException.class, this::load);
    assertTrue(e.getMessage().contains("the configuration asks for [13824"), e::getMessage);
  }

  @Test
  void unsupportedSetting() throws IOException {
    config("rms_norm_across_heads", "layer_norm");
    write(w -> {});
    IllegalArgumentException e = assertThrows(IllegalArgumentException.class, this::load);
    assertTrue(e.getMessage().contains("qk_norm"), e::getMessage);
  }

  @Test
  void noCheckpoint() {
    IllegalArgumentException e = assertThrows(IllegalArgumentException.class, this::load);
    assertTrue(e.getMessage().contains("config.json"), e::getMessage);
  }

  @Test
  void inputsThatDoNotFit() {
    try (VideoTransformer wan = Denoisers.load(WAN, backend, ElementType.FP32);
        Tensor latents = backend.allocate(ElementType.FP32, 4, 3, 16, 12);
        Tensor odd = backend.allocate(ElementType.FP32, 4, 3, 15, 12);
        Tensor text = backend.allocate(ElementType.FP32, 12, 24);
        Tensor wide = backend.allocate(ElementType.FP32, 12, 25)) {
      AttentionFunction none = (layer, q, k, v, valid, out) -> {};
      refused("15", () -> wan.forward(odd, 1, Conditioning.text(text), none, odd));
      refused("24 features", () -> wan.forward(latents, 1, Conditioning.text(wide), none, latents));
      refused(
          "out is",
          () -> wan.forward(latents, 1, Conditioning.text(text), none, latents.slice(1, 0, 2)));
      Conditioning withLatents = Conditioning.text(text).with(Conditioning.Part.LATENTS, latents);
      refused("takes no image latents", () -> wan.forward(latents, 1, withLatents, none, latents));
      wan.close();
      assertThrows(
          IllegalStateException.class,
          () -> wan.forward(latents, 1, Conditioning.text(text), none, latents));
    }
  }

  /** Published I2V checkpoints hold it, and diffusers ignores it. */
  @Test
  void aWeightThatNothingUsesMayBeThere() throws IOException {
    Path i2v = WAN.resolveSibling("wan2.1-i2v-image-tiny");
    Files.copy(i2v.resolve("config.json"), folder.resolve("config.json"));
    write(i2v, w -> w.put("blocks.0.attn2.norm_added_q.weight", w.get("blocks.0.norm2.weight")));
    load();
  }

  private void refused(String why, Consumer<Map<String, Tensor>> change) throws IOException {
    Files.copy(WAN.resolve("config.json"), folder.resolve("config.json"));
    write(change);
    refused(why, (Runnable) this::load);
  }

  private static void refused(String why, Runnable call) {
    IllegalArgumentException e = assertThrows(IllegalArgumentException.class, call::run);
    assertTrue(e.getMessage().contains(why), e::getMessage);
  }

  private void load() {
    Denoisers.load(folder, backend, ElementType.FP32).close();
  }

  private void config(String from, String to) throws IOException {
    String text = Files.readString(WAN.resolve("config.json"));
    Files.writeString(folder.resolve("config.json"), text.replace(from, to));
  }

  private void write(Consumer<Map<String, Tensor>> change) {
    write(WAN, change);
  }

  private void write(Path from, Consumer<Map<String, Tensor>> change) {
    try (TensorSource source = Safetensors.open(from)) {
      Map<String, Tensor> weights = new LinkedHashMap<>();
      source.names().forEach(name -> weights.put(name, source.tensor(name)));
      change.accept(weights);
      Safetensors.write(folder.resolve("diffusion_pytorch_model.safetensors"), weights, Map.of());
    }
  }
}

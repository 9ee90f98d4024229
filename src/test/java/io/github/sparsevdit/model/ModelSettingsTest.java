package io.github.sparsevdit.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.github.sparsevdit.Backend;
import io.github.sparsevdit.checkpoint.Denoisers;
import io.github.sparsevdit.checkpoint.GenerationConfig;
import io.github.sparsevdit.estimate.ModelProfile;
import io.github.sparsevdit.model.cogvideox.CogVideoXConfig;
import io.github.sparsevdit.model.hunyuan.HunyuanConfig;
import io.github.sparsevdit.model.parts.ConfigFile;
import io.github.sparsevdit.model.wan.WanConfig;
import io.github.sparsevdit.tensor.ElementType;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Each setting of a transformer, a VAE and a folder is followed, or refused by file, key, value.
 */
class ModelSettingsTest {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Path TINY = Path.of("calibration/tiny-wan");
  @TempDir Path folder;

  private static JsonNode resource(String name) throws IOException {
    try (InputStream in = ModelSettingsTest.class.getResourceAsStream(name)) {
      return JSON.readTree(in);
    }
  }

  private static Object config(String className, JsonNode json) {
    ConfigFile file = ConfigFile.parse(json.toString(), className);
    Object config =
        switch (className) {
          case "WanTransformer3DModel" -> WanConfig.of(file);
          case "HunyuanVideoTransformer3DModel" -> HunyuanConfig.of(file);
          default -> CogVideoXConfig.of(file);
        };
    return describe(config);
  }

  /** A record's text with the contents of its arrays. */
  private static String describe(Object config) {
    try {
      StringBuilder text = new StringBuilder();
      for (var component : config.getClass().getRecordComponents()) {
        component.getAccessor().setAccessible(true);
        Object value = component.getAccessor().invoke(config);
        text.append(component.getName())
            .append('=')
            .append(value instanceof int[] ints ? java.util.Arrays.toString(ints) : value)
            .append(' ');
      }
      return text.toString();
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException(e);
    }
  }

  /** Every argument of diffusers' classes, changed one at a time. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "WanTransformer3DModel",
        "HunyuanVideoTransformer3DModel",
        "CogVideoXTransformer3DModel"
      })
  void noSettingOfATransformerIsIgnored(String className) throws IOException {
    JsonNode defaults = resource("models.json").path(className);
    ObjectNode usual = defaults.deepCopy();
    if (className.startsWith("Cog")) {
      usual.put("patch_size_t", 2).put("use_rotary_positional_embeddings", true);
    } else {
      usual.put("in_channels", 20); // what out_channels are where they are null
    }
    noneIsIgnored(className, defaults, usual, json -> config(className, json));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"AutoencoderKLWan", "AutoencoderKLHunyuanVideo", "AutoencoderKLCogVideoX"})
  void noSettingOfAVaeIsIgnored(String className) throws IOException {
    JsonNode defaults = resource("models.json").path(className);
    ObjectNode usual = defaults.deepCopy();
    usual.put("_class_name", className);
    noneIsIgnored(className, defaults, usual, json -> vae(className, json));
  }

  private VaeSizes vae(String name, JsonNode json) {
    try {
      Path file = folder.resolve(name);
      Files.writeString(file, json.toString());
      return Denoisers.vaeSizes(file, "WanTransformer3DModel");
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }

  private static void noneIsIgnored(
      String className, JsonNode defaults, ObjectNode usual, Function<JsonNode, Object> read)
      throws IOException {
    JsonNode harmless = resource("parts/settings.json").path(className);
    assertTrue(defaults.size() > 10, className);
    Object plain = read.apply(usual);
    int followed = 0;
    for (String key : (Iterable<String>) defaults::fieldNames) {
      // What is absent is diffusers' default.
      ObjectNode absent = usual.deepCopy();
      absent.remove(key);
      boolean ours = !usual.get(key).equals(defaults.get(key));
      if (!ours) {
        assertEquals(plain, read.apply(absent), key);
      }
      for (JsonNode value : others(usual.get(key))) {
        ObjectNode changed = usual.deepCopy();
        changed.set(key, value);
        Object now;
        try {
          now = read.apply(changed);
        } catch (IllegalArgumentException e) {
          // Its own key, or one that must agree with it.
          boolean named = e.getMessage().contains(": " + key);
          boolean agrees =
              e.getMessage().contains("rope_axes_dim") || e.getMessage().contains("added_kv");
          assertTrue(e.getMessage().contains(className), e::getMessage);
          assertTrue(named || agrees, e::getMessage);
          assertTrue(!harmless.has(key), key);
          continue;
        }
        if (harmless.has(key)) {
          assertEquals(plain, now, key);
          assertTrue(harmless.path(key).textValue().length() > 20, key);
        } else {
          assertNotEquals(plain, now, className + " ignores " + key + " " + value);
          followed++;
        }
      }
    }
    assertTrue(followed >= 2, className);
    for (String key : (Iterable<String>) harmless::fieldNames) {
      assertTrue(defaults.has(key), className + " has no " + key);
    }
    ObjectNode unknown = usual.deepCopy().put("brand_new", 0.5);
    IllegalArgumentException e =
        assertThrows(IllegalArgumentException.class, () -> read.apply(unknown));
    assertTrue(e.getMessage().contains("brand_new is 0.5"), e::getMessage);
  }

  private static List<JsonNode> others(JsonNode usual) throws IOException {
    String[] texts =
        usual.isBoolean()
            ? new String[] {usual.booleanValue() ? "false" : "true"}
            : usual.isIntegralNumber()
                ? new String[] {Integer.toString(usual.intValue() * 2 + 2), "-3", "2.5", "null"}
                : usual.isNumber()
                    ? new String[] {Double.toString(usual.doubleValue() * 0.9 + 1e-3), "null"}
                    : usual.isArray()
                        ? new String[] {"[1, 2, 4]", "[2, 4]"}
                        : usual.isTextual()
                            ? new String[] {"\"other\"", "null"}
                            : new String[] {"7"};
    List<JsonNode> others = new ArrayList<>();
    for (String text : texts) {
      JsonNode value = JSON.readTree(text);
      if (!value.equals(usual)) {
        others.add(value);
      }
    }
    return others;
  }

  @Test
  void everyPublishedConfigurationIsUnderstood() {
    for (ModelProfile profile : ModelProfile.all()) {
      assertTrue(profile.geometry().parameters() > 1e9, profile.name());
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "generation_config.json | {\"guidance\": 3.0} | guidance is 3.0",
        "generation_config.json | {\"fps\": 0} | fps is 0; expected an integer of at least 1",
        "generation_config.json | {\"latents\": [8, 48]} | latents is [8,48]; expected three",
        "generation_config.json | {\"num_inference_steps\": 2.5} | num_inference_steps is 2.5",
        "generation_config.json | {\"guidance_scale\": \"3\"} | guidance_scale is \"3\"",
        "model_index.json | {\"boundary\": 0.9} | boundary is 0.9",
        "model_index.json | {\"expand_timesteps\": 1} | expand_timesteps is 1; expected true or false",
      })
  void aFoldersOwnSettings(String name, String json, String message) throws IOException {
    Path tiny = tiny();
    Path file = tiny.resolve(name);
    ObjectNode changed =
        name.startsWith("model")
            ? (ObjectNode) JSON.readTree(file.toFile())
            : JSON.createObjectNode();
    changed.setAll((ObjectNode) JSON.readTree(json));
    Files.writeString(file, changed.toString());
    IllegalArgumentException e =
        assertThrows(
            IllegalArgumentException.class,
            () -> {
              GenerationConfig.read(tiny);
              try (Backend backend = Backend.cpu()) {
                Denoisers.load(tiny, backend, ElementType.BF16).close();
              }
            });
    assertTrue(e.getMessage().startsWith(file + ": " + message), e::getMessage);
  }

  /** First frames are tokens of timestep 0 only where the pipeline says so, as in diffusers. */
  @Test
  void expandedTimesteps() throws IOException {
    Path tiny = tiny();
    Path index = tiny.resolve("model_index.json");
    ObjectNode json = (ObjectNode) JSON.readTree(index.toFile());
    long[] latents = {3, 2, 8, 8};
    for (boolean expands : new boolean[] {false, true}) {
      Files.writeString(index, json.put("expand_timesteps", expands).toString());
      try (Backend backend = Backend.cpu();
          VideoTransformer wan = Denoisers.load(tiny, backend, ElementType.BF16);
          var text = backend.allocate(ElementType.FP32, 8, 64);
          var frames = backend.allocate(ElementType.FP32, 3, 1, 8, 8)) {
        Conditioning given = Conditioning.text(text).with(Conditioning.Part.FIRST_FRAMES, frames);
        if (expands) {
          wan.check(latents, given);
        } else {
          IllegalArgumentException e =
              assertThrows(IllegalArgumentException.class, () -> wan.check(latents, given));
          assertTrue(e.getMessage().startsWith(index + ": expand_timesteps"), e::getMessage);
        }
        wan.check(latents, Conditioning.text(text));
      }
    }
  }

  private Path tiny() throws IOException {
    Path copy = folder.resolve("tiny");
    for (String name :
        List.of(
            "model_index.json",
            "transformer/config.json",
            "transformer/diffusion_pytorch_model.safetensors")) {
      Files.createDirectories(copy.resolve(name).getParent());
      Files.copy(TINY.resolve(name), copy.resolve(name));
    }
    return copy;
  }
}

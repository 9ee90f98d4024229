package io.github.sparsevdit.pipeline;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.github.sparsevdit.model.cogvideox.CogVideoX;
import io.github.sparsevdit.model.parts.ConfigFile;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Each setting of diffusers' schedulers is followed, or refused by name; none is ignored. */
class SchedulersTest {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String FLOW =
      "{\"prediction_type\": \"flow_prediction\", \"use_flow_sigmas\": true, \"flow_shift\": 3.0%s}";
  @TempDir Path folder;

  private static JsonNode reference() throws IOException {
    try (InputStream in = SchedulersTest.class.getResourceAsStream("schedulers.json")) {
      return JSON.readTree(in);
    }
  }

  static Stream<JsonNode> cases() throws IOException {
    return StreamSupport.stream(reference().path("cases").spliterator(), false);
  }

  @ParameterizedTest
  @MethodSource("cases")
  void computesWhatDiffusersDoes(JsonNode expected) {
    int steps = expected.path("steps").intValue();
    Scheduler scheduler =
        Schedulers.create(
            expected.path("class").textValue(), expected.path("config").toString(), steps, null);
    float[] sample = {0.8f, -1.1f, 0.3f};
    for (int step = 0; step < steps; step++) {
      assertEquals(
          expected.path("timesteps").path(step).doubleValue(),
          scheduler.schedule().timesteps().get(step),
          1e-3);
      float wave = (float) Math.sin(1 + step);
      scheduler.step(step, new float[] {0.5f * wave, wave, -0.7f * wave}, sample);
      float[] values = new float[3];
      for (int i = 0; i < 3; i++) {
        values[i] = expected.path("samples").path(step).path(i).floatValue();
      }
      float largest = Math.max(Math.abs(values[0]), Math.max(Math.abs(values[1]), 1));
      assertArrayEquals(values, sample, 3e-5f * largest, "after step " + step);
    }
  }

  /**
   * Every setting a class of diffusers has, changed one at a time: the steps change, or it is
   * refused by its name, or it is among those said to change nothing.
   */
  @Test
  void noSettingIsIgnored() throws IOException {
    JsonNode harmless;
    try (InputStream in = ConfigFile.class.getResourceAsStream("settings.json")) {
      harmless = JSON.readTree(in);
    }
    for (Map.Entry<String, JsonNode> of : reference().path("defaults").properties()) {
      String className = of.getKey();
      ObjectNode usual = ((ObjectNode) of.getValue()).deepCopy();
      if (className.startsWith("UniPC")) {
        usual.put("prediction_type", "flow_prediction").put("use_flow_sigmas", true);
      }
      String plain = Schedulers.create(className, usual.toString(), 6, null).fingerprint();
      int followed = 0;
      for (Map.Entry<String, JsonNode> setting : of.getValue().properties()) {
        String key = setting.getKey();
        for (JsonNode value : others(key, usual.get(key))) {
          ObjectNode changed = usual.deepCopy();
          changed.set(key, value);
          String now;
          try {
            now = Schedulers.create(className, changed.toString(), 6, null).fingerprint();
          } catch (IllegalArgumentException e) {
            assertTrue(
                e.getMessage().contains(className + ": " + key + " is " + value), e::getMessage);
            continue;
          }
          if (harmless.path(className).has(key)) {
            assertEquals(plain, now, key);
            assertTrue(harmless.path(className).path(key).textValue().length() > 20, key);
          } else {
            assertTrue(!plain.equals(now), className + " ignores " + key + " " + value);
            followed++;
          }
        }
      }
      assertTrue(followed >= 4, className);
      for (String key : (Iterable<String>) harmless.path(className)::fieldNames) {
        assertTrue(of.getValue().has(key), className + " has no " + key);
      }
    }
  }

  private static List<JsonNode> others(String key, JsonNode usual) throws IOException {
    List<JsonNode> others = new ArrayList<>();
    String[] texts =
        usual.isBoolean()
            ? new String[] {usual.booleanValue() ? "false" : "true"}
            : usual.isIntegralNumber()
                ? new String[] {Integer.toString(usual.intValue() / 2 + 1)}
                : usual.isNumber()
                    ? new String[] {Double.toString(usual.doubleValue() * 0.9)}
                    : usual.isArray()
                        ? new String[] {"[0]", "[1, 2]"}
                        : usual.isTextual()
                            ? new String[] {"\"scaled_linear\"", "\"linspace\"", "\"sample\""}
                            : new String[] {"0.25", "[0.1]"};
    for (String text : texts) {
      JsonNode value = JSON.readTree(text);
      if (!value.equals(usual)) {
        others.add(value);
      }
    }
    return others;
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        ", \"use_karras_sigmas\": true | use_karras_sigmas is true; only false is supported",
        ", \"use_exponential_sigmas\": true | use_exponential_sigmas is true",
        ", \"use_beta_sigmas\": true | use_beta_sigmas is true",
        ", \"solver_p\": {\"a\": 1} | solver_p is {\"a\":1}",
        ", \"flow_shift\": 0 | flow_shift is 0; expected a number above 0",
        ", \"flow_shift\": -3 | flow_shift is -3; expected a number above 0",
        ", \"shift_terminal\": 1 | shift_terminal is 1",
        ", \"solver_order\": 3 | solver_order is 3; expected 1 or 2",
        ", \"disable_corrector\": [-1] | disable_corrector is [-1]",
        ", \"solver_type\": \"bh1\" | solver_type is \"bh1\"; expected bh2",
        ", \"brand_new\": 0.5 | brand_new is 0.5",
      })
  void whatIsNotFollowedIsRefusedByFileKeyAndValue(String more, String expected)
      throws IOException {
    Path file = folder.resolve("scheduler_config.json");
    String config =
        FLOW.formatted(more).replaceFirst("\\{", "{\"_class_name\": \"UniPCMultistepScheduler\", ");
    if (more.contains("flow_shift")) {
      config = config.replace("\"flow_shift\": 3.0, ", "");
    }
    Files.writeString(file, config);
    IllegalArgumentException e =
        assertThrows(IllegalArgumentException.class, () -> Schedulers.read(file, 6, 1));
    assertTrue(e.getMessage().startsWith(file + ": " + expected), e::getMessage);
  }

  /** An absent key means what it means to diffusers. */
  @ParameterizedTest
  @ValueSource(strings = {"{}", "{\"prediction_type\": \"flow_prediction\"}"})
  void withoutFlowKeysUniPcIsNoFlow(String config) {
    IllegalArgumentException e =
        assertThrows(
            IllegalArgumentException.class,
            () -> Schedulers.create("UniPCMultistepScheduler", config, 6, null));
    assertTrue(e.getMessage().contains("is absent, which means"), e::getMessage);
  }

  @Test
  void schedulersThatDifferHaveOtherFingerprints() {
    List<Scheduler> all = new ArrayList<>();
    for (int order = 1; order <= 2; order++) {
      all.add(new UniPc(6, 3, order, 1000));
    }
    all.add(new UniPc(6, 3.0001, 2, 1000));
    all.add(new FlowMatchEuler(6, 3, 1000));
    for (double scale : new double[] {1, 3}) {
      all.add(new CogVideoXDdim(6, 1000, 0.00085, 0.012, scale));
      all.add(new CogVideoXDpm(6, 1000, 0.00085, 0.012, scale, null));
      all.add(new CogVideoXDpm(6, 1000, 0.00085, 0.012, scale, java.util.Random::new));
    }
    assertEquals(all.size(), all.stream().map(Scheduler::fingerprint).distinct().count());
  }

  static Stream<JsonNode> steps() throws IOException {
    try (InputStream in = SchedulersTest.class.getResourceAsStream("steps.json")) {
      return StreamSupport.stream(JSON.readTree(in).path("cases").spliterator(), false);
    }
  }

  /** The same scheduler takes other steps in another family's pipeline, and those it is given. */
  @ParameterizedTest
  @MethodSource("steps")
  void stepsAsAPipelineSetsThem(JsonNode expected) {
    List<Double> sigmas = numbers(expected.path("sigmas"));
    List<Double> timesteps = numbers(expected.path("timesteps"));
    RunSteps steps =
        !sigmas.isEmpty()
            ? RunSteps.atSigmas(sigmas)
            : timesteps.isEmpty()
                ? RunSteps.of(expected.path("steps").intValue())
                : RunSteps.atTimesteps(timesteps);
    ObjectNode config = expected.path("config").deepCopy();
    String key = config.fieldNames().next();
    double shift = config.path(key).doubleValue();
    if (key.equals("flow_shift")) {
      config.put("prediction_type", "flow_prediction").put("use_flow_sigmas", true);
    }
    for (boolean override : new boolean[] {false, true}) {
      // A shift of one's own is the same as that in the configuration.
      config.put(key, override ? 11 : shift);
      Scheduler scheduler =
          Schedulers.create(
              expected.path("scheduler").textValue(),
              config.toString(),
              expected.path("family").textValue(),
              override ? steps.withShift(shift) : steps,
              null);
      double[] made =
          scheduler instanceof UniPc uniPc
              ? uniPc.sigmas()
              : doubles(((FlowMatchEuler) scheduler).sigmas());
      List<Double> levels = numbers(expected.path("expectSigmas"));
      for (int i = 0; i < levels.size(); i++) {
        assertEquals(levels.get(i), made[i], 1e-6, "step " + i);
        assertEquals(
            numbers(expected.path("expectTimesteps")).get(i),
            scheduler.schedule().timesteps().get(i),
            1e-3);
      }
      assertEquals(0, made[levels.size()]);
    }
  }

  private static List<Double> numbers(JsonNode node) {
    List<Double> numbers = new ArrayList<>();
    node.forEach(number -> numbers.add(number.doubleValue()));
    return numbers;
  }

  private static double[] doubles(float[] values) {
    double[] doubles = new double[values.length];
    for (int i = 0; i < values.length; i++) {
      doubles[i] = values[i];
    }
    return doubles;
  }

  /** What a pipeline of diffusers cannot run is refused by name. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "CogVideoXDDIMScheduler | HunyuanVideoTransformer3DModel | pipeline cannot drive CogVideoXDDIMScheduler; take UniPC",
        "CogVideoXDPMScheduler | HunyuanVideoTransformer3DModel | pipeline cannot drive CogVideoXDPMScheduler; take UniPC",
        "CogVideoXDPMScheduler | WanTransformer3DModel | pipeline cannot drive",
        "EulerDiscreteScheduler | WanTransformer3DModel | EulerDiscreteScheduler is not supported",
        "UniPCMultistepScheduler | CogVideoXTransformer3DModel | prediction_type is \"v_prediction\"",
      })
  void swapsThatCannotRun(String scheduler, String family, String message) {
    RuntimeException e =
        assertThrows(
            RuntimeException.class,
            () -> Schedulers.create(scheduler, CogVideoX.SCHEDULER, family, RunSteps.of(4), null));
    assertTrue(e.getMessage().contains(message), e::getMessage);
    assertTrue(e.getMessage().startsWith(scheduler + ": "), e::getMessage);
  }

  @Test
  void cogVideoXsSchedulersTakeACountAlone() {
    for (RunSteps steps :
        List.of(
            RunSteps.atSigmas(List.of(1.0, 0.5)),
            RunSteps.atTimesteps(List.of(999.0, 499.0)),
            RunSteps.of(4).withShift(3.0))) {
      IllegalArgumentException e =
          assertThrows(
              IllegalArgumentException.class,
              () ->
                  Schedulers.create(
                      "CogVideoXDDIMScheduler", CogVideoX.SCHEDULER, null, steps, null));
      assertTrue(e.getMessage().contains("takes a number of steps"), e::getMessage);
    }
  }
}

package io.github.sparsevdit.pipeline;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.pipeline.DenoisingProgress.Stage;
import io.github.sparsevdit.tensor.ElementType;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CancellationException;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Progress, cancelling and resuming over all stages of a pipeline. */
class PipelineStagesTest {
  private static final Path IMAGE_TO_VIDEO =
      Path.of("src/test/resources/cases/pipelines/wan2.1-i2v");
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

  private static GenerateOptions options(DenoisingProgress progress) {
    return GenerateOptions.defaults()
        .withSteps(3)
        .withVideo(9, 32, 48)
        .withImage(IMAGE_TO_VIDEO.resolve("image.png"))
        .withProgress(progress);
  }

  /** Remembers what it is told; cancels when a stage, or a step, is first reached. */
  private static final class Watch implements DenoisingProgress {
    private final List<String> order = new ArrayList<>();
    private final Map<Stage, Long> last = new EnumMap<>(Stage.class);
    private Stage cancelAt;
    private boolean cancelled;

    @Override
    public void stage(Stage stage, long done, long of) {
      assertTrue(done >= last.getOrDefault(stage, 0L) || done == 0, stage + " goes back");
      assertTrue(done <= of, stage + " exceeds itself");
      if (done == 0) {
        order.add(stage.name());
      }
      last.put(stage, done);
      cancelled |= stage == cancelAt;
    }

    @Override
    public void step(int step, int steps) {
      order.add("step " + step);
    }

    @Override
    public boolean cancelled() {
      return cancelled;
    }
  }

  @Test
  void stagesAreToldInOrder() {
    Watch watch = new Watch();
    try (Generator generator = Generator.open(IMAGE_TO_VIDEO, backend)) {
      generator.generate("a fox", null, options(watch));
      assertEquals(List.of("TEXT", "IMAGE", "step 0", "step 1", "step 2", "DECODING"), watch.order);
      assertEquals(Map.of(Stage.TEXT, 2L, Stage.IMAGE, 100L, Stage.DECODING, 100L), watch.last);
      // The text is known by now, and its encoder not opened again.
      Watch again = new Watch();
      generator.generate("a fox", null, options(again));
      assertFalse(again.order.contains("TEXT"), again.order::toString);
    }
  }

  @Test
  void encodedPromptsOutliveTheProgram() throws Exception {
    Path cache = folder.resolve("cache");
    OpenOptions cached = OpenOptions.defaults().withEmbeddingCache(cache);
    float[] expected;
    try (Generator generator = Generator.open(IMAGE_TO_VIDEO, backend)) {
      expected = generator.generate("a fox", null, options(DenoisingProgress.NONE)).latents();
    }
    List<Boolean> encoded = new ArrayList<>();
    for (OpenOptions open : List.of(cached, cached, cached.withType(ElementType.FP32))) {
      Watch watch = new Watch();
      try (Generator generator = Generator.open(IMAGE_TO_VIDEO, backend, open)) {
        float[] made = generator.generate("a fox", null, options(watch)).latents();
        if (open == cached) {
          assertArrayEquals(expected, made);
        }
      }
      encoded.add(watch.order.contains("TEXT"));
    }
    assertEquals(List.of(true, false, true), encoded);
    try (var files = Files.list(cache)) {
      for (Path file : files.toList()) {
        Files.write(file, new byte[] {1, 2, 3});
      }
    }
    try (Generator generator = Generator.open(IMAGE_TO_VIDEO, backend, cached)) {
      String message =
          assertThrows(
                  IllegalArgumentException.class,
                  () -> generator.generate("a fox", null, options(DenoisingProgress.NONE)))
              .getMessage();
      assertTrue(message.contains("is damaged"), message);
      assertTrue(message.contains("delete it"), message);
    }
  }

  @ParameterizedTest
  @EnumSource(Stage.class)
  void everyStageIsCancelledAndTheRunResumed(Stage stage) {
    Path state = folder.resolve("run.state");
    float[] expected;
    try (Generator generator = Generator.open(IMAGE_TO_VIDEO, backend)) {
      expected =
          generator.generate("a fox", null, options(DenoisingProgress.NONE)).video().values();
    }
    try (Generator generator = Generator.open(IMAGE_TO_VIDEO, backend)) {
      Watch watch = new Watch();
      watch.cancelAt = stage;
      assertThrows(
          CancellationException.class,
          () -> generator.generate("a fox", null, options(watch).withResume(state)));
      assertEquals(stage == Stage.DECODING, Files.exists(state));
      Watch resumed = new Watch();
      Generated made = generator.generate("a fox", null, options(resumed).withResume(state));
      assertArrayEquals(expected, made.video().values());
      assertEquals(
          stage != Stage.DECODING, resumed.order.contains("step 0"), resumed.order::toString);
    }
  }

  @Test
  void anotherImageIsAnotherRun() throws Exception {
    Path state = folder.resolve("run.state");
    Path other = folder.resolve("other.png");
    var picture = new java.awt.image.BufferedImage(32, 32, 1);
    javax.imageio.ImageIO.write(picture, "png", other.toFile());
    try (Generator generator = Generator.open(IMAGE_TO_VIDEO, backend)) {
      generator.generate("a fox", null, options(DenoisingProgress.NONE).withResume(state));
      GenerateOptions changed = options(DenoisingProgress.NONE).withImage(other).withResume(state);
      String message =
          assertThrows(
                  IllegalArgumentException.class, () -> generator.generate("a fox", null, changed))
              .getMessage();
      assertTrue(message.contains(state.toString()), message);
    }
  }
}

package io.github.sparsevdit.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * {@code --sigmas}, {@code --timesteps}, {@code --flow-shift}, and schedulers of other families.
 */
class StepOptionsTest {
  private static final Path TINY = Path.of("calibration/tiny-wan");
  @TempDir Path folder;

  @Test
  void aShiftIsThatOfTheConfiguration() throws IOException {
    Path seven = copy("\"flow_shift\": 3.0", "\"flow_shift\": 7.0");
    byte[] configured = made(seven, "--steps", "2");
    assertArrayEquals(configured, made(TINY, "--steps", "2", "--flow-shift", "7"));
    assertFalse(Arrays.equals(configured, made(TINY, "--steps", "2")));
  }

  @Test
  void levelsGivenAreThoseTaken() throws IOException {
    // What the scheduler itself spreads: 1, 1 / 1000 and n + 1 levels, without the last.
    byte[] spread = made(TINY, "--steps", "2");
    assertArrayEquals(spread, made(TINY, "--sigmas", "1,0.5005"));
    assertArrayEquals(spread, made(TINY, "--timesteps", "1000,500.5"));
    assertArrayEquals(spread, made(TINY, "--timesteps", "1000,500.5", "--steps", "2"));
    assertFalse(Arrays.equals(spread, made(TINY, "--sigmas", "1,0.8")));
  }

  /** Where latents are pixels, both options name one size. */
  @Test
  void aSizeInPixels() throws IOException {
    byte[] latents = made(TINY, "--steps", "1");
    List<String> args = new ArrayList<>(List.of("generate", TINY.toString(), "--prompt", "bunny"));
    args.addAll(List.of("--steps", "1", "--out", folder.resolve("video").toString()));
    args.addAll(List.of("--video", "2x8x16"));
    assertEquals(0, Run.svdit(args.toArray(String[]::new)).code());
    assertArrayEquals(latents, Files.readAllBytes(folder.resolve("video.gif")));
    args.set(args.size() - 1, "2x8x15");
    Run refused = Run.svdit(args.toArray(String[]::new));
    assertTrue(refused.err().contains("--video 2x8x15: height and width must be"), refused.err());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "--video=2x8x16 | --latents and --video exclude each other",
        "--sigmas=0.5,1 | --sigmas [0.5, 1.0]: expected numbers above 0 and up to 1 that descend",
        "--sigmas=1,0 | --sigmas [1.0, 0.0]: expected",
        "--sigmas=2 | --sigmas [2.0]: expected",
        "--sigmas=NaN | --sigmas [NaN]: expected",
        "--timesteps=1000,1000 | --timesteps [1000.0, 1000.0]: expected",
        "--timesteps=1001 | --timesteps [1001.0]: expected numbers above 0 and up to 1000",
        "--sigmas=1,0.5 --steps=3 | --steps 3, but 2 are given",
        "--sigmas=1 --timesteps=1000 | exclude each other",
        "--flow-shift=0 | --flow-shift 0.0; expected a number above 0",
        "--flow-shift=NaN | --flow-shift NaN",
        "--steps=0 | --steps 0; expected at least 1",
        "--steps=-2 | --steps -2; expected at least 1",
      })
  void stepsThatAreNone(String options, String message) {
    Run run = generate(TINY, options.split(" "));
    assertEquals(1, run.code(), run.out());
    assertTrue(run.err().contains(message), run.err());
  }

  /** A scheduler of another family is followed where diffusers' pipeline could run it. */
  @Test
  void swappedSchedulers() throws IOException {
    byte[] usual = made(TINY, "--steps", "3");
    Path euler =
        copy(null, "{\"_class_name\": \"FlowMatchEulerDiscreteScheduler\", \"shift\": 3.0}");
    assertFalse(Arrays.equals(usual, made(euler, "--steps", "3")));
    Path dpm = copy(null, "{\"_class_name\": \"CogVideoXDPMScheduler\"}");
    Run refused = generate(dpm, "--steps", "3");
    assertEquals(1, refused.code());
    assertTrue(
        refused.err().contains(dpm.resolve("scheduler/scheduler_config.json").toString()),
        refused.err());
    assertTrue(refused.err().contains("CogVideoXDPMScheduler"), refused.err());
    Path ddim =
        copy(
            null,
            "{\"_class_name\": \"CogVideoXDDIMScheduler\", \"prediction_type\": \"v_prediction\"}");
    Run shift = generate(ddim, "--steps", "3", "--flow-shift", "3");
    assertEquals(1, shift.code());
    assertTrue(shift.err().contains("it has no flow shift"), shift.err());
  }

  /** tiny-wan with a change of its scheduler's configuration; whole where from is null. */
  private Path copy(String from, String to) throws IOException {
    Path copy = Files.createTempDirectory(folder, "copy");
    try (Stream<Path> files = Files.walk(TINY)) {
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        Path target = copy.resolve(TINY.relativize(file).toString());
        Files.createDirectories(target.getParent());
        Files.copy(file, target);
      }
    }
    Path config = copy.resolve("scheduler/scheduler_config.json");
    Files.writeString(config, from == null ? to : Files.readString(config).replace(from, to));
    return copy;
  }

  private byte[] made(Path checkpoint, String... options) throws IOException {
    Run run = generate(checkpoint, options);
    assertEquals(0, run.code(), run.err());
    return Files.readAllBytes(folder.resolve("video.gif"));
  }

  private Run generate(Path checkpoint, String... options) {
    List<String> args =
        new ArrayList<>(
            List.of(
                "generate",
                checkpoint.toString(),
                "--prompt",
                "bunny",
                "--latents",
                "2x8x16",
                "--out",
                folder.resolve("video").toString()));
    args.addAll(List.of(options));
    return Run.svdit(args.toArray(String[]::new));
  }
}

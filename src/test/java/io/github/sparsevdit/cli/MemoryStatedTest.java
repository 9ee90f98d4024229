package io.github.sparsevdit.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Commands that run a denoiser say first what memory that takes, and refuse what will not fit. */
class MemoryStatedTest {
  @TempDir Path folder;

  @Test
  void isSaidBeforeARun() {
    Run run = generate("2x24x32", "1");
    assertEquals(0, run.code(), run.err());
    assertTrue(
        run.err()
            .matches(
                "(?s)memory: weights \\d+ MB mapped and \\d MB converted, activations \\d MB,"
                    + " attention \\d+ MB, Java heap \\d+ MB\\R.*"),
        run.err());
  }

  @Test
  void whatWillNotFitIsRefusedBeforeAnythingRuns() {
    Run run = generate("2000x2400x3200", "1");
    assertEquals(1, run.code());
    assertTrue(
        run.err()
            .matches("svdit generate: the run needs \\d+\\.\\d GB \\(weights .*fewer frames.*\\R"),
        run.err());
    assertFalse(Files.exists(folder.resolve("clip.gif")));
  }

  private Run generate(String latents, String steps) {
    return Run.svdit(
        "generate",
        "calibration/tiny-wan",
        "--prompt",
        "horse",
        "--latents",
        latents,
        "--steps",
        steps,
        "--guidance",
        "1",
        "--backend",
        "cpu",
        "--out",
        folder.resolve("clip").toString());
  }
}

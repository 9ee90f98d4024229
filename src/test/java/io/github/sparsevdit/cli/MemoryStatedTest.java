package io.github.sparsevdit.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
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

  @Test
  void typesThatDoNotGoTogetherAreRefused() {
    refused(
        "--attention-type e4m3 takes a denoiser in bf16; --type is fp32",
        "--type",
        "fp32",
        "--attention-type",
        "e4m3");
    refused(
        "--attention-type fp32 takes a denoiser in fp32; --type is bf16",
        "--attention-type",
        "fp32");
    refused("denoisers compute in BF16 or FP32, not in E4M3", "--type", "e4m3");
    Run plan = Run.svdit("plan", "hunyuanvideo", "--type", "e4m3", "--no-time");
    assertEquals(2, plan.code());
    assertTrue(plan.err().contains("--type E4M3"), plan.err());
  }

  private void refused(String message, String... options) {
    Stream<String> command =
        Stream.of("generate", "calibration/tiny-wan", "--prompt", "horse", "--backend", "cpu");
    Run run = Run.svdit(Stream.concat(command, Stream.of(options)).toArray(String[]::new));
    assertEquals(1, run.code(), run.out());
    assertTrue(run.err().contains(message), run.err());
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

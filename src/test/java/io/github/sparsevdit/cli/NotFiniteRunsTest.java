package io.github.sparsevdit.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.tensor.Safetensors;
import io.github.sparsevdit.tensor.Tensor;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A run, a search and a capture stop at what is no number, and say where it came from. */
class NotFiniteRunsTest {
  private static final Path TINY = Path.of("calibration/tiny-wan");
  private static final List<String> SMALL =
      List.of("--steps", "2", "--latents", "2x16x16", "--backend", "cpu");
  @TempDir Path folder;

  @ParameterizedTest
  @ValueSource(strings = {"blocks.0.attn1.to_q.weight", "blocks.3.ffn.net.2.bias"})
  void aDamagedWeightIsNamed(String weight) throws IOException {
    Path checkpoint = Files.createDirectories(folder.resolve("damaged"));
    copy(TINY, checkpoint);
    change(
        TINY.resolve("transformer/diffusion_pytorch_model.safetensors"),
        checkpoint.resolve("transformer/diffusion_pytorch_model.safetensors"),
        weight,
        Float.NaN);
    String cause = "Cause: the weight " + weight + " holds NaN";
    Run run = generate(checkpoint);
    stopped(run, "step 1 of 2", "damaged", cause);

    Path out = folder.resolve("table.json");
    run = svdit("search", checkpoint, "--prompts", "bunny,horse", "--block", "32", "--out", out);
    assertEquals(1, run.code(), run.err());
    assertTrue(run.err().contains("step 0") || run.err().contains("step 1"), run.err());
    assertFalse(Files.exists(out));

    Path capture = folder.resolve("capture");
    run = svdit("capture", checkpoint, "--prompts", "bunny", "--out", capture);
    assertEquals(1, run.code(), run.err());
    assertTrue(run.err().contains("NaN"), run.err());
    try (Stream<Path> files = Files.walk(capture)) {
      for (Path file : files.filter(f -> f.toString().contains("-branch-")).toList()) {
        try (Safetensors point = Safetensors.open(file)) {
          for (String name : point.names()) {
            assertEquals(-1, point.tensor(name).firstNotFinite(), file + " " + name);
          }
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(floats = {Float.NaN, Float.POSITIVE_INFINITY, 1e30f})
  void aDamagedEmbeddingIsNamed(float value) throws IOException {
    Path embeddings = folder.resolve("prompts.safetensors");
    change(TINY.resolve("prompt_embeds.safetensors"), embeddings, "bunny", value);
    Run run = generate(TINY, "--embeddings", embeddings.toString());
    stopped(
        run,
        "before step 1 of 2",
        "the prompt's text embedding holds %s at element 70".formatted(value),
        "tiny-wan");
  }

  private Run generate(Path checkpoint, String... more) throws IOException {
    Path video = folder.resolve("video");
    Run run =
        svdit(
            "generate",
            checkpoint,
            Stream.concat(
                    Stream.of("--prompt", "bunny", "--out", video.toString()), Stream.of(more))
                .toArray());
    try (Stream<Path> files = Files.list(folder)) {
      assertTrue(files.noneMatch(f -> f.getFileName().toString().startsWith("video")));
    }
    return run;
  }

  private static Run svdit(String command, Path checkpoint, Object... more) {
    return Run.svdit(
        Stream.of(
                Stream.of(command, checkpoint.toString()),
                Stream.of(more).map(Object::toString),
                SMALL.stream())
            .flatMap(s -> s)
            .toArray(String[]::new));
  }

  private static void stopped(Run run, String... expected) {
    assertEquals(1, run.code(), run.out());
    for (String text : expected) {
      assertTrue(run.err().contains(text), run.err());
    }
  }

  @Test
  void nothingChangedRuns() throws IOException {
    Path embeddings = folder.resolve("prompts.safetensors");
    change(TINY.resolve("prompt_embeds.safetensors"), embeddings, "bunny", 1);
    Run run =
        svdit(
            "generate",
            TINY,
            "--prompt",
            "bunny",
            "--embeddings",
            embeddings,
            "--out",
            folder.resolve("v"));
    assertEquals(0, run.code(), run.err());
  }

  private static void change(Path from, Path to, String name, float value) {
    try (Safetensors source = Safetensors.open(from);
        Arena arena = Arena.ofShared()) {
      Map<String, Tensor> tensors = new HashMap<>();
      source.names().forEach(each -> tensors.put(each, source.tensor(each)));
      Tensor stored = source.tensor(name);
      float[] values = stored.toFloats();
      values[70] = value;
      Tensor changed =
          Tensor.of(
              arena.allocate(stored.elements() * stored.type().bytes(), 64),
              stored.type(),
              stored.shape());
      tensors.put(name, changed.copyFrom(values));
      Safetensors.write(to, tensors, source.metadata());
    }
  }

  private static void copy(Path from, Path to) throws IOException {
    try (Stream<Path> files = Files.walk(from)) {
      for (Path file : files.toList()) {
        Path target = to.resolve(from.relativize(file).toString());
        if (Files.isDirectory(file)) {
          Files.createDirectories(target);
        } else {
          Files.copy(file, target);
        }
      }
    }
  }
}

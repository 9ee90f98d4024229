package io.github.sparsevdit.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.github.sparsevdit.table.DispatchTable;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Safetensors;
import io.github.sparsevdit.tensor.Tensor;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Every family's tiny checkpoint from the command line: a table searched on it, a video generated
 * densely and with that table, and the table once more from captured Q, K, V.
 */
class FamiliesTest {
  private static final Path DENOISERS = Path.of("src/test/resources/cases/denoisers");
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final int FEATURES = 24;

  @TempDir Path folder;
  private Path checkpoint;
  private Path embeddings;
  private String latents;

  @ParameterizedTest
  @CsvSource({
    "wan2.1-t2v-tiny, 3x16x12, '4, 3, 16, 12', 12, ''",
    "wan2.1-t2v-tiny-sharded, 3x16x12, '4, 3, 16, 12', 12, ''",
    "wan2.1-i2v-tiny, 3x8x12, '4, 3, 8, 12', 12, image=9x20 latents=4x3x8x12",
    "wan2.1-i2v-image-tiny, 3x8x12, '4, 3, 8, 12', 512, image=9x20 latents=8x3x8x12",
    "wan2.2-i2v-tiny, 3x8x12, '4, 3, 8, 12', 12, latents=8x3x8x12",
    "wan2.2-ti2v-tiny, 3x8x12, '4, 3, 8, 12', 12, firstFrames=4x1x8x12",
    "hunyuanvideo-t2v-tiny, 3x16x12, '4, 3, 16, 12', 12, pooled=8 mask=12",
    "cogvideox1.5-t2v-tiny, 4x16x12, '4, 4, 16, 12', 10, ''",
    "cogvideox1.5-i2v-tiny, 4x16x12, '4, 4, 16, 12', 10, latents=4x4x16x12",
  })
  void searchCaptureAndGenerate(String name, String size, String shape, int text, String parts)
      throws IOException {
    checkpoint = DENOISERS.resolve(name);
    embeddings = folder.resolve("prompts.safetensors");
    latents = size;
    writePrompts(text, parts);

    Path table = folder.resolve("table.json");
    run("search", "--prompts", "a", rules(), "--type", "fp32", "--out", table.toString());
    DispatchTable read = DispatchTable.read(table);
    assertEquals(text(name, text), read.sequence().text());

    Path capture = folder.resolve("capture");
    run("capture", "--prompts", "a", "--type", "fp32", "--out", capture.toString());
    Path again = folder.resolve("again.json");
    ok(Run.svdit(args("search", capture.toString(), rules(), "--out", again.toString())));
    assertEquals(phases(table), phases(again));

    Path stem = folder.resolve("b");
    Run made =
        run(
            "generate",
            "--prompt",
            "b",
            "--table",
            table.toString(),
            "--compare",
            "--json",
            "--out",
            stem.toString());
    JsonNode report = JSON.readTree(made.out());
    assertTrue(report.path("density").asDouble() <= 0.7, made.out());
    double difference = report.path("relativeDifference").asDouble();
    assertTrue(difference > 0 && difference < 1, made.out());
    for (String run : new String[] {"dense", "sparse"}) {
      try (var file = Safetensors.open(folder.resolve("b-" + run + ".safetensors"))) {
        assertEquals("[" + shape + "]", Arrays.toString(file.shape("latents")));
        for (float value : file.tensor("latents").toFloats()) {
          assertTrue(Float.isFinite(value));
        }
      }
    }
  }

  /** What is wrong with a prompt is named, with the tensor that would mend it. */
  @ParameterizedTest
  @CsvSource({
    "hunyuanvideo-t2v-tiny, mask=12, needs a pooled embedding of the prompt: pooled [8]",
    "hunyuanvideo-t2v-tiny, pooled=9, 'pooled is BF16 [9]; this model takes 8 features'",
    "hunyuanvideo-t2v-tiny, pooled=8 mask=11, '(tensor a.mask) has 11 numbers'",
    "wan2.1-i2v-tiny, latents=4x3x8x12, 'needs an image''s features: image [tokens, 20]'",
    "wan2.1-i2v-tiny, image=9x20, 'needs an image''s latents beside the noisy ones: latents [4, 3, 8, 12]'",
    "wan2.1-i2v-tiny, image=9x20 latents=4x2x8x12, 'latents is FP32 [4, 2, 8, 12]; expected [4, 3, 8, 12]'",
    "wan2.2-ti2v-tiny, firstFrames=4x3x8x12, 'with fewer frames'",
    "wan2.1-t2v-tiny, pooled=8, 'takes no pooled embedding; given is BF16 [8]'",
    "cogvideox1.5-t2v-tiny, firstFrames=4x1x8x12, 'takes no first frames'",
  })
  void whatAPromptLacksIsNamed(String name, String parts, String message) throws IOException {
    checkpoint = DENOISERS.resolve(name);
    embeddings = folder.resolve("prompts.safetensors");
    writePrompts(12, parts);
    String size = name.startsWith("cog") ? "4x8x12" : "3x8x12";
    Run refused =
        Run.svdit(
            args(
                "generate",
                checkpoint,
                "--embeddings",
                embeddings,
                "--latents",
                size,
                "--steps",
                "2",
                "--prompt",
                "a",
                "--out",
                folder.resolve("none")));
    assertEquals(1, refused.code());
    assertTrue(refused.err().contains(message), refused.err());
    assertTrue(refused.err().contains(embeddings.toString()), refused.err());
    assertFalse(Files.exists(folder.resolve("none.safetensors")));
  }

  private static int text(String name, int tokens) {
    return name.startsWith("wan") ? 0 : tokens; // Wan's self-attention sees no text
  }

  /** Byte for byte: patterns, densities and errors. */
  private static String phases(Path table) throws IOException {
    return JSON.readTree(table.toFile()).path("phases").toPrettyString();
  }

  private static String[] rules() {
    return new String[] {
      "--cost",
      "sparsity",
      "--block",
      "16",
      "--phases",
      "0,2",
      "--share",
      "1",
      "--target-density",
      "0.7"
    };
  }

  private Run run(String command, Object... more) {
    return ok(
        Run.svdit(
            args(
                command,
                checkpoint.toString(),
                "--embeddings",
                embeddings.toString(),
                "--latents",
                latents,
                "--steps",
                "4",
                more)));
  }

  private static Run ok(Run run) {
    assertEquals(0, run.code(), run.err());
    return run;
  }

  /** Arrays among the arguments are laid out. */
  private static String[] args(Object... parts) {
    return Stream.of(parts)
        .flatMap(part -> part instanceof Object[] many ? Stream.of(args(many)) : Stream.of(part))
        .map(Object::toString)
        .toArray(String[]::new);
  }

  /** Prompts a and b, and a negative one, with parts such as {@code pooled=8 mask=12}. */
  private void writePrompts(int text, String parts) throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      Map<String, Tensor> tensors = new TreeMap<>();
      tensors.put("negative", random(arena, ElementType.FP32, 1, text, FEATURES));
      for (String prompt : new String[] {"a", "b"}) {
        tensors.put(prompt, random(arena, ElementType.BF16, prompt.hashCode(), text, FEATURES));
        for (String part : parts.isEmpty() ? new String[0] : parts.split(" ")) {
          String[] sides = part.split("=");
          long[] shape = Stream.of(sides[1].split("x")).mapToLong(Long::parseLong).toArray();
          boolean exact = sides[0].equals("latents") || sides[0].equals("firstFrames");
          ElementType type = exact ? ElementType.FP32 : ElementType.BF16;
          Tensor tensor = random(arena, type, part.hashCode(), shape);
          if (sides[0].equals("mask")) {
            float[] mask = new float[(int) shape[0]];
            Arrays.fill(mask, 0, 7, 1);
            tensor.copyFrom(mask);
          }
          tensors.put(prompt + "." + sides[0], tensor);
        }
      }
      Files.createDirectories(embeddings.getParent());
      Safetensors.write(embeddings, tensors, Map.of());
    }
  }

  private static Tensor random(Arena arena, ElementType type, long seed, long... shape) {
    int elements = (int) Arrays.stream(shape).reduce(1, (a, b) -> a * b);
    float[] values = new float[elements];
    Random random = new Random(seed);
    for (int i = 0; i < elements; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return Tensor.of(arena.allocate((long) type.bytes() * elements, 64), type, shape)
        .copyFrom(values);
  }
}

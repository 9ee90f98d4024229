package io.github.sparsevdit.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.AttentionPlan;
import io.github.sparsevdit.Backend;
import io.github.sparsevdit.checkpoint.Denoisers;
import io.github.sparsevdit.model.AttentionProvider;
import io.github.sparsevdit.model.Conditioning;
import io.github.sparsevdit.model.VideoTransformer;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Safetensors;
import io.github.sparsevdit.tensor.Tensor;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Prompt embeddings as pipelines and tokenizers give them, and both branches of guidance. */
class PromptFilesTest {
  private static final Path DENOISERS = Path.of("src/test/resources/cases/denoisers");
  private static final Path HUNYUAN = DENOISERS.resolve("hunyuanvideo-t2v-tiny");
  private static final Path WAN = DENOISERS.resolve("wan2.1-t2v-tiny");
  private static final Path COG = DENOISERS.resolve("cogvideox1.5-t2v-tiny");
  private static final int FEATURES = 24;

  @TempDir Path folder;

  /** A tensor of a file, of any dtype of the format. */
  private record Part(String dtype, long[] shape, byte[] bytes) {
    static Part floats(long seed, long... shape) {
      int elements = (int) Arrays.stream(shape).reduce(1, (a, b) -> a * b);
      ByteBuffer bytes = ByteBuffer.allocate(4 * elements).order(ByteOrder.LITTLE_ENDIAN);
      Random random = new Random(seed);
      for (int i = 0; i < elements; i++) {
        bytes.putFloat((float) random.nextGaussian());
      }
      return new Part("F32", shape, bytes.array());
    }

    static Part mask(String dtype, int valid, long... shape) {
      int elements = (int) Arrays.stream(shape).reduce(1, (a, b) -> a * b);
      int each = Map.of("I64", 8, "I32", 4, "F32", 4, "F16", 2).getOrDefault(dtype, 1);
      ByteBuffer bytes = ByteBuffer.allocate(each * elements).order(ByteOrder.LITTLE_ENDIAN);
      for (int i = 0; i < elements; i++) {
        int one = i < valid ? 1 : 0;
        switch (dtype) {
          case "I64" -> bytes.putLong(one);
          case "I32" -> bytes.putInt(one);
          case "F32" -> bytes.putFloat(one);
          case "F16" -> bytes.putShort((short) (one * 0x3c00));
          default -> bytes.put((byte) one);
        }
      }
      return new Part(dtype, shape, bytes.array());
    }

    Part shaped(long... shape) {
      return new Part(dtype, shape, bytes);
    }
  }

  private Path write(Map<String, Part> parts) throws IOException {
    StringBuilder header = new StringBuilder("{");
    ByteArrayOutputStream data = new ByteArrayOutputStream();
    for (Map.Entry<String, Part> part : new TreeMap<>(parts).entrySet()) {
      header.append(
          "%s\"%s\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[%d,%d]}"
              .formatted(
                  header.length() == 1 ? "" : ",",
                  part.getKey(),
                  part.getValue().dtype(),
                  Arrays.toString(part.getValue().shape()),
                  data.size(),
                  data.size() + part.getValue().bytes().length));
      data.writeBytes(part.getValue().bytes());
    }
    byte[] text = header.append("}").toString().getBytes(StandardCharsets.UTF_8);
    ByteBuffer file =
        ByteBuffer.allocate(8 + text.length + data.size()).order(ByteOrder.LITTLE_ENDIAN);
    file.putLong(text.length).put(text).put(data.toByteArray());
    Path path = folder.resolve("prompts.safetensors");
    return Files.write(path, file.array());
  }

  private static Map<String, Part> hunyuan() {
    Map<String, Part> parts = new TreeMap<>();
    parts.put("p", Part.floats(1, 12, FEATURES));
    parts.put("p.pooled", Part.floats(2, 8));
    parts.put("p.mask", Part.mask("F32", 7, 12));
    parts.put("negative", Part.floats(3, 12, FEATURES));
    parts.put("negative.pooled", Part.floats(4, 8));
    parts.put("negative.mask", Part.mask("F32", 3, 12));
    return parts;
  }

  private Run generate(Path checkpoint, Map<String, Part> parts, String... more)
      throws IOException {
    List<String> args =
        new ArrayList<>(
            List.of(
                "generate",
                checkpoint.toString(),
                "--embeddings",
                write(parts).toString(),
                "--latents",
                checkpoint.equals(COG) ? "4x8x12" : "3x8x12",
                "--steps",
                "3",
                "--type",
                "fp32",
                "--out",
                folder.resolve("made").toString()));
    if (!List.of(more).contains("--prompt")) {
      args.addAll(List.of("--prompt", "p"));
    }
    args.addAll(List.of(more));
    Files.deleteIfExists(folder.resolve("made.safetensors"));
    return Run.svdit(args.toArray(String[]::new));
  }

  private float[] made(Path checkpoint, Map<String, Part> parts, String... more)
      throws IOException {
    Run run = generate(checkpoint, parts, more);
    assertEquals(0, run.code(), run.err());
    try (Safetensors file = Safetensors.open(folder.resolve("made.safetensors"))) {
      return file.tensor("latents").toFloats();
    }
  }

  private void refused(Path checkpoint, Map<String, Part> parts, String... expected)
      throws IOException {
    Run run = generate(checkpoint, parts, "--guidance", "3");
    assertEquals(1, run.code(), run.out());
    assertTrue(run.err().contains("prompts.safetensors"), run.err());
    for (String text : expected) {
      assertTrue(run.err().contains(text), run.err());
    }
    assertFalse(Files.exists(folder.resolve("made.safetensors")));
  }

  @ParameterizedTest
  @ValueSource(strings = {"I64", "I32", "U8", "I8", "BOOL", "F32", "F16"})
  void leadingOnesAndMasksOfAnyType(String dtype) throws IOException {
    Map<String, Part> parts = hunyuan();
    float[] plain = made(HUNYUAN, parts);
    parts.put("p.mask", Part.mask(dtype, 7, 12));
    assertArrayEquals(plain, made(HUNYUAN, parts));
    parts.put("p", parts.get("p").shaped(1, 12, FEATURES));
    parts.put("p.pooled", parts.get("p.pooled").shaped(1, 8));
    parts.put("p.mask", Part.mask(dtype, 7, 1, 12));
    assertArrayEquals(plain, made(HUNYUAN, parts));
    parts.put("p.mask", Part.mask(dtype, 8, 12));
    assertFalse(Arrays.equals(plain, made(HUNYUAN, parts)), "the mask must matter");
  }

  @Test
  void imagesWithALeadingOne() throws IOException {
    Path i2v = DENOISERS.resolve("wan2.1-i2v-tiny");
    Map<String, Part> parts = new TreeMap<>();
    parts.put("p", Part.floats(1, 1, 12, FEATURES));
    parts.put("p.image", Part.floats(2, 1, 9, 20));
    parts.put("p.latents", Part.floats(3, 1, 4, 3, 8, 12));
    parts.put("p.noise", Part.floats(4, 1, 4, 3, 8, 12));
    float[] with = made(i2v, parts);
    parts.replaceAll(
        (name, part) -> part.shaped(Arrays.copyOfRange(part.shape(), 1, part.shape().length)));
    assertArrayEquals(with, made(i2v, parts));
  }

  @ParameterizedTest
  @CsvSource({
    "p, F32, 2x6x24, 'prompt ''p'', text (tensor p) is [2, 6, 24]; expected [tokens, features]'",
    "p, F32, 288, 'prompt ''p'', text (tensor p) is [288]'",
    "p, I64, 12x24, 'prompt ''p'', text (tensor p) has the dtype I64'",
    "p.pooled, F32, 2x4, 'prompt ''p'', pooled (tensor p.pooled) is [2, 4]'",
    "p.pooled, I32, 8, 'prompt ''p'', pooled (tensor p.pooled) has the dtype I32'",
    "p.mask, F64, 12, 'prompt ''p'', mask (tensor p.mask) has the dtype F64'",
    "p.mask, I64, 2x6, 'prompt ''p'', mask (tensor p.mask) is [2, 6]'",
    "p.mask, I64, 11, 'prompt ''p'', mask (tensor p.mask) has 11 numbers; expected one for each of the 12'",
    "negative.pooled, F32, 9, 'prompt ''negative'''",
    "negative.image, F32, 9x20, 'prompt ''negative'', image (tensor negative.image) is not used'",
  })
  void refusalsNameFilePromptAndPart(String name, String dtype, String shape, String message)
      throws IOException {
    Map<String, Part> parts = hunyuan();
    long[] sizes = Arrays.stream(shape.split("x")).mapToLong(Long::parseLong).toArray();
    int elements = (int) Arrays.stream(sizes).reduce(1, (a, b) -> a * b);
    int each = dtype.endsWith("64") ? 8 : 4;
    parts.put(name, new Part(dtype, sizes, new byte[each * elements]));
    refused(guided(), parts, message);
  }

  @Test
  void maskedMasksAreRefused() throws IOException {
    Map<String, Part> parts = hunyuan();
    Part mask = Part.mask("I64", 7, 12);
    mask.bytes()[8 * 9] = 1;
    parts.put("p.mask", mask);
    refused(HUNYUAN, parts, "prompt 'p', mask (tensor p.mask) has 1.0 at token 9");
  }

  @Test
  void partsThatAreNotUsedAreRefused() throws IOException {
    for (Path checkpoint : List.of(WAN, COG)) {
      Map<String, Part> parts = new TreeMap<>();
      parts.put("p", Part.floats(1, 12, FEATURES));
      made(checkpoint, parts);
      parts.put("p.mask", Part.mask("I64", 7, 12));
      refused(checkpoint, parts, "prompt 'p'", "p.<part>", "takes no mask");
      parts.remove("p.mask");
      parts.put("negative", Part.floats(1, 12, FEATURES));
      parts.put("negative.mask", Part.mask("I64", 7, 12));
      refused(checkpoint, parts, "prompt 'negative'", "takes no mask");
      parts.remove("negative");
      refused(checkpoint, parts, "negative.mask) is not used without a tensor negative");
    }
  }

  /** Of the prompt that is asked for, whatever others the file holds. */
  @Test
  void promptsOfTwoLengths() throws IOException {
    for (Path checkpoint : List.of(WAN, COG, HUNYUAN)) {
      Map<String, Part> alone = hunyuan();
      alone
          .keySet()
          .removeIf(
              name -> name.startsWith("negative") || checkpoint != HUNYUAN && !name.equals("p"));
      String[] off = {"--guidance", "1"};
      float[] expected = made(checkpoint, alone, off);
      Map<String, Part> two = new TreeMap<>(alone);
      two.put("a", Part.floats(9, 5, FEATURES)); // the file's first
      if (checkpoint == HUNYUAN) {
        two.put("a.pooled", Part.floats(9, 8));
      }
      assertArrayEquals(expected, made(checkpoint, two, off));
      made(checkpoint, two, "--prompt", "a", "--guidance", "1");
    }
  }

  @Test
  void aNegativeOfAnotherLength() throws IOException {
    Map<String, Part> parts = new TreeMap<>();
    parts.put("p", Part.floats(1, 12, FEATURES));
    parts.put("negative", Part.floats(2, 9, FEATURES));
    made(WAN, parts); // its text is attended to across: any length will do
    refused(COG, parts, "negative has 9 text tokens and prompt 'p' has 12");
    Map<String, Part> hunyuan = hunyuan();
    hunyuan.put("negative", Part.floats(2, 9, FEATURES));
    hunyuan.put("negative.mask", Part.mask("I64", 3, 9));
    refused(guided(), hunyuan, "negative has 9 text tokens and prompt 'p' has 12");
  }

  /** A search's prompts share a sequence, or are refused by name. */
  @Test
  void aSearchOverTwoLengths() throws IOException {
    Map<String, Part> parts = new TreeMap<>();
    parts.put("p", Part.floats(1, 12, FEATURES));
    parts.put("q", Part.floats(2, 9, FEATURES));
    for (Path checkpoint : List.of(WAN, COG)) {
      Run run =
          Run.svdit(
              "search",
              checkpoint.toString(),
              "--embeddings",
              write(parts).toString(),
              "--prompts",
              "p,q",
              "--latents",
              checkpoint.equals(COG) ? "4x8x12" : "3x8x12",
              "--steps",
              "2",
              "--block",
              "16",
              "--phases",
              "0",
              "--cost",
              "sparsity",
              "--target-density",
              "0.9",
              "--out",
              folder.resolve("table.json").toString());
      assertEquals(checkpoint == WAN ? 0 : 1, run.code(), run.err());
      if (checkpoint == COG) {
        assertTrue(run.err().contains("'p' has 12 text tokens and 'q' has 9"), run.err());
      }
    }
  }

  /** HunyuanVideo's tiny checkpoint without an embedded guidance scale. */
  private Path guided() throws IOException {
    Path guided = folder.resolve("guided");
    if (!Files.exists(guided)) {
      Files.createDirectories(guided);
      String config = Files.readString(HUNYUAN.resolve("config.json"));
      Files.writeString(
          guided.resolve("config.json"),
          config.replace("\"guidance_embeds\": true", "\"guidance_embeds\": false"));
      try (Safetensors weights = Safetensors.open(HUNYUAN)) {
        Map<String, Tensor> kept = new TreeMap<>();
        for (String name : weights.names()) {
          if (!name.contains("guidance_embedder")) {
            kept.put(name, weights.tensor(name));
          }
        }
        Safetensors.write(guided.resolve("diffusion_pytorch_model.safetensors"), kept, Map.of());
      }
    }
    return guided;
  }

  @Test
  void everyPartOfTheNegativeMatters() throws IOException {
    for (boolean embedded : new boolean[] {false, true}) {
      Path checkpoint = embedded ? HUNYUAN : guided();
      String[] scale =
          embedded ? new String[] {"--true-guidance", "3"} : new String[] {"--guidance", "3"};
      float[] plain = made(checkpoint, hunyuan(), scale);
      for (Map.Entry<String, Part> other :
          Map.of(
                  "negative",
                  Part.floats(13, 12, FEATURES),
                  "negative.pooled",
                  Part.floats(14, 8),
                  "negative.mask",
                  Part.mask("I64", 5, 12))
              .entrySet()) {
        Map<String, Part> parts = hunyuan();
        parts.put(other.getKey(), other.getValue());
        assertFalse(Arrays.equals(plain, made(checkpoint, parts, scale)), other.getKey());
        parts.remove(other.getKey());
        if (other.getKey().equals("negative")) {
          parts.remove("negative.pooled");
          parts.remove("negative.mask");
        }
        Run run = generate(checkpoint, parts, scale);
        assertEquals(1, run.code(), other.getKey());
        assertTrue(run.err().contains("negative"), run.err());
        String lacks = other.getKey().substring(other.getKey().indexOf('.') + 1);
        assertTrue(run.err().contains(lacks), run.err());
      }
    }
    // Without guidance a negative is not needed.
    Map<String, Part> alone = hunyuan();
    alone.keySet().removeIf(name -> name.startsWith("negative"));
    made(guided(), alone, "--guidance", "1");
    made(HUNYUAN, alone);
    Run run = generate(guided(), hunyuan(), "--true-guidance", "3");
    assertEquals(1, run.code());
    assertTrue(run.err().contains("takes --guidance"), run.err());
  }

  /** The run once more by hand: two forward passes a step, and Euler's steps. */
  @Test
  void guidanceIsThatOfTwoForwardPasses() throws IOException {
    for (boolean embedded : new boolean[] {false, true}) {
      Path checkpoint = embedded ? HUNYUAN : guided();
      Map<String, Part> parts = hunyuan();
      parts.put("p.noise", Part.floats(7, 4, 3, 8, 12));
      float[] made =
          embedded
              ? made(checkpoint, parts, "--guidance", "6", "--true-guidance", "3")
              : made(checkpoint, parts, "--guidance", "3");
      float[] expected = byHand(checkpoint, embedded ? 6000 : Double.NaN);
      double difference = 0;
      double norm = 0;
      for (int i = 0; i < made.length; i++) {
        difference += Math.pow(made[i] - expected[i], 2);
        norm += Math.pow(expected[i], 2);
      }
      assertTrue(Math.sqrt(difference / norm) < 1e-5, Math.sqrt(difference / norm) + "");
    }
  }

  private float[] byHand(Path checkpoint, double embedded) {
    try (Backend backend = Backend.cpu();
        VideoTransformer model = Denoisers.load(checkpoint, backend, ElementType.FP32);
        Safetensors file = Safetensors.open(folder.resolve("prompts.safetensors"));
        Arena arena = Arena.ofShared();
        AttentionPlan plan =
            backend.plan(
                model.sequence(new long[] {4, 3, 8, 12}, 12),
                ElementType.FP32,
                64,
                128,
                Collections.nCopies(2, Pattern.full()))) {
      float[] sample = file.tensor("p.noise").toFloats();
      long[] shape = {4, 3, 8, 12};
      Tensor latents = Tensor.of(arena.allocate(4L * sample.length, 64), ElementType.FP32, shape);
      Tensor out = Tensor.of(arena.allocate(4L * sample.length, 64), ElementType.FP32, shape);
      float[][] said = new float[2][];
      int steps = 3;
      for (int step = 0; step < steps; step++) {
        double sigma = shifted(1 - (double) step / steps);
        double next = shifted(1 - (step + 1.0) / steps);
        for (int branch = 0; branch < 2; branch++) {
          String name = branch == 0 ? "p" : "negative";
          Conditioning conditioning =
              Conditioning.text(
                  file.tensor(name), branch == 0 ? 7 : 3, file.tensor(name + ".pooled"), embedded);
          latents.copyFrom(sample);
          model.forward(
              latents,
              1000 * sigma,
              conditioning,
              AttentionProvider.of(plan).at(step, branch),
              out);
          said[branch] = out.toFloats();
        }
        for (int i = 0; i < sample.length; i++) {
          double velocity = said[1][i] + 3 * (said[0][i] - said[1][i]);
          sample[i] += (float) ((next - sigma) * velocity);
        }
      }
      return sample;
    }
  }

  private static double shifted(double sigma) {
    return 7 * sigma / (1 + 6 * sigma);
  }
}

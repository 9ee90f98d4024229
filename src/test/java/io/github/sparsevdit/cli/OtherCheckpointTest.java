package io.github.sparsevdit.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.checkpoint.Denoisers;
import io.github.sparsevdit.model.VideoTransformer;
import io.github.sparsevdit.pipeline.GenerateOptions;
import io.github.sparsevdit.pipeline.Generator;
import io.github.sparsevdit.table.DispatchTable;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Safetensors;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A table is for the checkpoint that it was searched on. */
class OtherCheckpointTest {
  private static final Path TINY = Path.of("calibration/tiny-wan");
  private static final String WEIGHTS = "transformer/diffusion_pytorch_model.safetensors";
  private static final String[] SMALL = {"--steps", "2", "--latents", "2x8x16", "--backend", "cpu"};

  @TempDir static Path folder;
  private static Path table;
  private static Path other; // the same but for one bit of one weight

  @BeforeAll
  static void prepare() throws IOException {
    table = folder.resolve("table.json");
    assertDone(search(TINY, table));
    other = folder.resolve("other-wan");
    try (Stream<Path> files = Files.walk(TINY)) {
      for (Path file : files.toList()) {
        Path target = other.resolve(TINY.relativize(file).toString());
        if (Files.isDirectory(file)) {
          Files.createDirectories(target);
        } else {
          Files.copy(file, target);
        }
      }
    }
    byte[] weights = Files.readAllBytes(other.resolve(WEIGHTS));
    weights[weights.length - 2] ^= 1;
    Files.write(other.resolve(WEIGHTS), weights);
  }

  private static Run search(Path source, Path out) {
    return small("search", source, "--prompts", "bunny", "--block", "16", "--out", out.toString());
  }

  private static Run generate(Path checkpoint, String... more) {
    List<String> all = new ArrayList<>(List.of("--prompt", "horse", "--out"));
    all.add(folder.resolve("horse.gif").toString());
    all.addAll(List.of(more));
    return small("generate", checkpoint, all.toArray(String[]::new));
  }

  private static Run small(String command, Path source, String... more) {
    List<String> all = new ArrayList<>(List.of(command, source.toString()));
    all.addAll(List.of(SMALL));
    all.addAll(List.of(more));
    return Run.svdit(all.toArray(String[]::new));
  }

  private static void assertDone(Run run) {
    assertEquals(0, run.code(), run.err());
  }

  private static String sha256(Path checkpoint) throws Exception {
    try (Backend backend = Backend.cpu();
        VideoTransformer wan = Denoisers.load(checkpoint, backend, ElementType.FP32)) {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      return HexFormat.of()
          .formatHex(digest.digest(wan.fingerprint().getBytes(StandardCharsets.UTF_8)));
    }
  }

  @Test
  void theOtherCheckpointIsRefusedUnlessItIsAllowed() throws Exception {
    String searched = DispatchTable.read(table).search().checkpointSha256();
    assertEquals(sha256(TINY), searched); // whatever it is computed in
    assertDone(generate(TINY, "--table", table.toString()));
    for (String[] more : new String[][] {{}, {"--compare"}}) {
      Run refused = generate(other, with(more, "--table", table.toString()));
      assertEquals(1, refused.code());
      assertTrue(refused.err().contains(searched), refused.err());
      assertTrue(refused.err().contains(sha256(other)), refused.err());
      assertTrue(refused.err().contains(other.toString()), refused.err());
      assertTrue(refused.err().contains("set --any-checkpoint"), refused.err());
      assertFalse(refused.err().contains("LoRA"), refused.err());
    }
    assertDone(generate(other, "--table", table.toString(), "--any-checkpoint"));
    Run without = generate(other, "--any-checkpoint");
    assertEquals(2, without.code());
    assertTrue(without.err().contains("--any-checkpoint"), without.err());
  }

  private static String[] with(String[] more, String... first) {
    List<String> all = new ArrayList<>(Arrays.asList(first));
    all.addAll(Arrays.asList(more));
    return all.toArray(String[]::new);
  }

  @Test
  void aTableThatDoesNotSayRunsAsBefore() throws IOException {
    Path old = folder.resolve("old.json");
    String json = Files.readString(table);
    String without = json.replaceFirst(", \"checkpointSha256\": \"[0-9a-f]{64}\"", "");
    assertTrue(without.length() < json.length());
    Files.writeString(old, without);
    assertDone(generate(other, "--table", old.toString()));
  }

  @Test
  void theLibraryRefusesIt() {
    DispatchTable read = DispatchTable.read(table);
    GenerateOptions options = GenerateOptions.defaults().withSteps(2).withLatents(2, 8, 16);
    try (Backend backend = Backend.cpu();
        Generator generator = Generator.open(other, backend)) {
      IllegalArgumentException e =
          assertThrows(
              IllegalArgumentException.class, () -> generator.generate("horse", read, options));
      assertTrue(e.getMessage().contains("set any-checkpoint"), e.getMessage());
      assertTrue(generator.generate("horse", read, options.withAnyCheckpoint(true)).density() <= 1);
    }
  }

  @Test
  void aLoraMakesItAnother() throws IOException {
    Path lora = folder.resolve("lora.safetensors");
    String layer = "blocks.0.attn1.to_q";
    try (Safetensors weights = Safetensors.open(TINY.resolve(WEIGHTS))) {
      long[] shape = weights.tensor(layer + ".weight").shape();
      long down = shape[1];
      long up = shape[0];
      String header =
          "{\"transformer.%s.lora_A.weight\":{\"dtype\":\"F32\",\"shape\":[1,%d],\"data_offsets\":[0,%d]},\"transformer.%1$s.lora_B.weight\":{\"dtype\":\"F32\",\"shape\":[%d,1],\"data_offsets\":[%3$d,%d]}}"
              .formatted(layer, down, 4 * down, up, 4 * (down + up));
      header += " ".repeat((8 - header.length() % 8) % 8);
      ByteBuffer bytes =
          ByteBuffer.allocate((int) (8 + header.length() + 4 * (down + up)))
              .order(ByteOrder.LITTLE_ENDIAN)
              .putLong(header.length())
              .put(header.getBytes(StandardCharsets.UTF_8));
      for (long i = 0; i < down + up; i++) {
        bytes.putFloat(0.1f);
      }
      Files.write(lora, bytes.array());
    }
    String option = lora.toString();
    Run refused = generate(TINY, "--table", table.toString(), "--lora", option);
    assertEquals(1, refused.code());
    assertTrue(refused.err().contains("with its LoRA"), refused.err());
    assertDone(generate(TINY, "--table", table.toString(), "--lora", option, "--any-checkpoint"));
  }

  @Test
  void aCaptureSaysWhatItIsOf() throws Exception {
    Path capture = folder.resolve("capture");
    assertDone(small("capture", TINY, "--prompts", "bunny", "--out", capture.toString()));
    Path out = folder.resolve("of-capture.json");
    Run run = Run.svdit("search", capture.toString(), "--block", "16", "--out", out.toString());
    assertDone(run);
    assertEquals(sha256(TINY), DispatchTable.read(out).search().checkpointSha256());
    Path manifest = capture.resolve("capture.json");
    String json = Files.readString(manifest);
    String without = json.replaceFirst("\"checkpointSha256\" ?: ?\"[0-9a-f]{64}\",", "");
    assertTrue(without.length() < json.length(), json);
    Files.writeString(manifest, without); // as other programs write them
    assertDone(Run.svdit("search", capture.toString(), "--block", "16", "--out", out.toString()));
    assertFalse(Files.readString(out).contains("checkpointSha256"));
  }
}

package io.github.sparsevdit.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.github.sparsevdit.table.DispatchTable;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Checkpoints in the shapes that people have them in give what the plain folder gives. */
class CheckpointFoldersTest {
  private static final Path TINY = Path.of("calibration/tiny-wan");
  private static final String WEIGHTS = "diffusion_pytorch_model.safetensors";

  @TempDir Path folder;
  private Path checkpoint;

  @BeforeEach
  void copy() throws IOException {
    checkpoint = folder.resolve("mine");
    copy(TINY, checkpoint);
  }

  @Test
  void aVariantInShards() throws IOException {
    byte[] plain = generated(TINY);
    Path transformer = checkpoint.resolve("transformer");
    Files.move(
        transformer.resolve(WEIGHTS),
        transformer.resolve("diffusion_pytorch_model.bf16-00001-of-00001.safetensors"));
    Files.writeString(
        transformer.resolve("diffusion_pytorch_model.safetensors.index.bf16.json"), index());
    assertArrayEquals(plain, generated(checkpoint));
    assertArrayEquals(plain, generated(checkpoint, "--variant", "bf16"));
    Run refused = generate(checkpoint, "--variant", "fp16");
    assertEquals(1, refused.code());
    assertTrue(refused.err().contains("no variant \"fp16\"; there are bf16"), refused.err());
  }

  private static String index() {
    List<String> entries = new ArrayList<>();
    try (var file =
        io.github.sparsevdit.tensor.Safetensors.open(TINY.resolve("transformer/" + WEIGHTS))) {
      file.names()
          .forEach(
              name ->
                  entries.add(
                      "\"%s\": \"diffusion_pytorch_model.bf16-00001-of-00001.safetensors\""
                          .formatted(name)));
    }
    return "{\"weight_map\": {" + String.join(",", entries) + "}}";
  }

  /** A header one byte longer: every weight lies at an odd address. */
  @Test
  void unalignedWeights() throws IOException {
    byte[] plain = generated(TINY);
    Path weights = checkpoint.resolve("transformer/" + WEIGHTS);
    ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(weights)).order(ByteOrder.LITTLE_ENDIAN);
    long header = bytes.getLong(0);
    ByteArrayOutputStream longer = new ByteArrayOutputStream();
    longer.writeBytes(
        ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(header + 1).array());
    longer.write(bytes.array(), 8, (int) header);
    longer.write(' ');
    longer.write(bytes.array(), 8 + (int) header, bytes.capacity() - 8 - (int) header);
    Files.write(weights, longer.toByteArray());
    assertArrayEquals(plain, generated(checkpoint));
  }

  @Test
  void pointersAndCutDownloads() throws IOException {
    Path weights = checkpoint.resolve("transformer/" + WEIGHTS);
    byte[] whole = Files.readAllBytes(weights);
    Files.write(weights, Arrays.copyOf(whole, whole.length - 1000));
    refused(weights + " is cut short: 1000 of the ");
    String pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 123456\n";
    for (String name : List.of("transformer/" + WEIGHTS, "transformer/config.json")) {
      Files.writeString(checkpoint.resolve(name), pointer);
      refused(
          checkpoint.resolve(name) + " is a Git LFS pointer in place of the file, whose 123456");
      Files.copy(
          TINY.resolve(name),
          checkpoint.resolve(name),
          java.nio.file.StandardCopyOption.REPLACE_EXISTING);
    }
  }

  private void refused(String message) throws IOException {
    Run run = generate(checkpoint);
    assertEquals(1, run.code());
    assertTrue(run.err().contains(message), run.err());
  }

  /** Some repositories keep a config.json of their own beside the pipeline's index. */
  @Test
  void aStrayConfig() throws IOException {
    Files.writeString(checkpoint.resolve("config.json"), "{\"model_type\": \"ti2v\"}");
    assertArrayEquals(generated(TINY), generated(checkpoint));
    Run plan =
        Run.svdit("plan", checkpoint.toString(), "--size", "48x64", "--frames", "8", "--no-time");
    assertEquals(0, plan.code(), plan.err());
  }

  /** The name of a snapshot is a hash; the model's is two folders up. */
  @Test
  void aCacheFolder() throws IOException {
    Path snapshot =
        folder.resolve(
            "models--Some-Owner--Tiny-Wan/snapshots/0123456789abcdef0123456789abcdef01234567");
    copy(TINY, snapshot);
    Path table = folder.resolve("table.json");
    Run search =
        Run.svdit(
            "search",
            snapshot.toString(),
            "--prompts",
            "bunny",
            "--steps",
            "2",
            "--latents",
            "2x8x16",
            "--block",
            "16",
            "--phases",
            "0",
            "--cost",
            "sparsity",
            "--target-density",
            "0.9",
            "--out",
            table.toString());
    assertEquals(0, search.code(), search.err());
    assertEquals("Tiny-Wan", DispatchTable.read(table).model().name());
    Run plan =
        Run.svdit(
            "plan", snapshot.toString(), "--size", "48x64", "--frames", "8", "--no-time", "--json");
    assertEquals(0, plan.code(), plan.err());
    assertTrue(plan.out().contains("Tiny-Wan"), plan.out());
    assertEquals(
        "Tiny-Wan", new ObjectMapper().readTree(plan.out()).path("model").asText(), plan.out());
  }

  private byte[] generated(Path from, String... more) throws IOException {
    Run run = generate(from, more);
    assertEquals(0, run.code(), run.err());
    return Files.readAllBytes(folder.resolve("video.gif"));
  }

  private Run generate(Path from, String... more) {
    List<String> args =
        new ArrayList<>(
            List.of(
                "generate",
                from.toString(),
                "--prompt",
                "bunny",
                "--steps",
                "2",
                "--latents",
                "2x8x16",
                "--out",
                folder.resolve("video").toString()));
    args.addAll(List.of(more));
    return Run.svdit(args.toArray(String[]::new));
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

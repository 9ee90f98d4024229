package io.github.sparsevdit.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.model.families.Families;
import io.github.sparsevdit.model.parts.OtherNames;
import io.github.sparsevdit.tensor.Safetensors;
import io.github.sparsevdit.tensor.Tensor;
import io.github.sparsevdit.tensor.TensorSource;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Transformers as others lay them out make the video that the same weights make in a pipeline. */
class BaseFolderTest {
  private static final Path CASES = Path.of("src/test/resources/cases");
  private static final Path DIFFUSERS = CASES.resolve("layouts/wan-t2v/diffusers");
  private static final String WEIGHTS = "diffusion_pytorch_model.safetensors";
  private static final String ORIGINAL =
      """
      {"_class_name": "WanModel", "_diffusers_version": "0.30.0", "dim": 64, "eps": 1e-06,
       "ffn_dim": 96, "freq_dim": 128, "in_dim": 4, "model_type": "t2v", "num_heads": 1,
       "num_layers": 2, "out_dim": 4, "text_len": 512}
      """;
  @TempDir Path folder;
  private Path pipeline;

  /** A pipeline with the transformer that the layouts have. */
  @BeforeEach
  void copyPipeline() throws IOException {
    pipeline = folder.resolve("pipeline");
    copy(CASES.resolve("pipelines/wan2.1-t2v"), pipeline);
    for (String name : List.of("config.json", WEIGHTS)) {
      Path to = pipeline.resolve("transformer").resolve(name);
      Files.delete(to);
      Files.copy(DIFFUSERS.resolve(name), to);
    }
  }

  private static void copy(Path from, Path to) throws IOException {
    try (Stream<Path> all = Files.walk(from)) {
      for (Path file : all.toList()) {
        Path target = to.resolve(from.relativize(file).toString());
        if (Files.isDirectory(file)) {
          Files.createDirectories(target);
        } else {
          Files.copy(file, target);
        }
      }
    }
  }

  @Test
  void anOriginalFolderInShardsWithABase() throws IOException {
    Path original = Files.createDirectory(folder.resolve("original"));
    Files.writeString(original.resolve("config.json"), ORIGINAL);
    writeOriginal(original, true);
    byte[] expected = video(pipeline);
    assertArrayEquals(expected, video(original, "--base", pipeline.toString()));
    assertArrayEquals(expected, video(DIFFUSERS, "--base", pipeline.toString()));
    Run run = generate(original, folder.resolve("none.mp4"));
    assertEquals(1, run.code(), run.err());
  }

  /** The weights under the names of the original repository, in a file or in two shards. */
  private static void writeOriginal(Path to, boolean shards) throws IOException {
    OtherNames names = Families.ofOtherClass("WanModel").otherNames();
    try (TensorSource source = Safetensors.open(DIFFUSERS)) {
      List<Map<String, Tensor>> files = List.of(new LinkedHashMap<>(), new LinkedHashMap<>());
      List<String> entries = new ArrayList<>();
      for (String name : source.names()) {
        int shard = shards && name.startsWith("blocks.1.") ? 1 : 0;
        files.get(shard).put(names.theirs(name), source.tensor(name));
        entries.add("\"%s\": \"%s\"".formatted(names.theirs(name), shard(shard)));
      }
      if (!shards) {
        Safetensors.write(to, files.getFirst(), Map.of());
        return;
      }
      for (int i = 0; i < 2; i++) {
        Safetensors.write(to.resolve(shard(i)), files.get(i), Map.of());
      }
      Files.writeString(
          to.resolve(WEIGHTS + ".index.json"),
          "{\"metadata\": {}, \"weight_map\": {%s}}".formatted(String.join(", ", entries)));
    }
  }

  private static String shard(int index) {
    return "diffusion_pytorch_model-0000%d-of-00002.safetensors".formatted(index + 1);
  }

  /** The frames' files: an MP4 also says when it was made. */
  private byte[] video(Path checkpoint, String... more) throws IOException {
    Path out = folder.resolve("fox.mp4");
    Path frames = folder.resolve("frames");
    List<String> all = new ArrayList<>(List.of(more));
    all.addAll(List.of("--frames", frames.toString()));
    Run run = generate(checkpoint, out, all.toArray(String[]::new));
    assertEquals(0, run.code(), run.err());
    assertTrue(Files.size(out) > 0);
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (Stream<Path> files = Files.list(frames)) {
      for (Path file : files.sorted().toList()) {
        bytes.write(Files.readAllBytes(file));
      }
    }
    return bytes.toByteArray();
  }

  private static Run generate(Path checkpoint, Path out, String... more) {
    List<String> command =
        new ArrayList<>(
            List.of(
                "generate",
                checkpoint.toString(),
                "--prompt",
                "A fox, in the snow!",
                "--steps",
                "4",
                "--video",
                "9x32x48",
                "--out",
                out.toString()));
    command.addAll(List.of(more));
    return Run.svdit(command.toArray(String[]::new));
  }
}

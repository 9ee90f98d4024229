package io.github.sparsevdit.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.checkpoint.CheckpointFolder;
import io.github.sparsevdit.estimate.RunMemory;
import io.github.sparsevdit.model.families.Families;
import io.github.sparsevdit.model.parts.OtherNames;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Safetensors;
import io.github.sparsevdit.tensor.Tensor;
import io.github.sparsevdit.tensor.TensorSource;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Arrays;
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
    writeOriginal(original, true, 1);
    byte[] expected = video(pipeline);
    assertArrayEquals(expected, video(original, "--base", pipeline.toString()));
    assertArrayEquals(expected, video(DIFFUSERS, "--base", pipeline.toString()));
    assertRefused("prompt_embeds.safetensors", original);
  }

  /** The base's second network, or one of its own, whose configuration the base has. */
  @Test
  void filesOfTwoNetworksWithABase() throws IOException {
    Path index = pipeline.resolve("model_index.json");
    String json = Files.readString(index);
    Path high = folder.resolve("high.safetensors");
    writeOriginal(high, false, 1);
    Path low = folder.resolve("low.safetensors");
    writeOriginal(low, false, 0.5f);
    String base = pipeline.toString();
    assertRefused("has one network", high, "--base", base, "--second", low.toString());
    assertRefused("has one network", high, "--second", low.toString());
    Files.writeString(index, json.replaceFirst("\\{", "{\"boundary_ratio\": 0.875,"));
    assertRefused("transformer_2/config.json is missing", high, "--base", base);
    byte[] onlyFirst = video(high, "--base", base, "--second", copyOf(high).toString());

    Path second = Files.createDirectory(pipeline.resolve("transformer_2"));
    Files.copy(DIFFUSERS.resolve("config.json"), second.resolve("config.json"));
    Files.copy(low, second.resolve(WEIGHTS));
    byte[] both = video(pipeline);
    assertFalse(Arrays.equals(onlyFirst, both), "the second network changes nothing");
    assertArrayEquals(both, video(high, "--base", base));
    assertArrayEquals(both, video(DIFFUSERS, "--base", base));
    assertArrayEquals(onlyFirst, video(pipeline, "--second", copyOf(high).toString()));

    assertEquals(
        List.of(high, second), CheckpointFolder.of(high).withBase(pipeline).transformers());

    Files.delete(second.resolve(WEIGHTS)); // its configuration says what the file is
    assertArrayEquals(both, video(high, "--base", base, "--second", low.toString()));
    assertRefused("name one network", high, "--base", base, "--second", base);
    assertRefused("is the first network", high, "--base", base, "--second", high.toString());

    Path lora = CASES.resolve("layouts/wan-t2v/lora-musubi/lora.safetensors");
    String[] withLora = {"--base", base, "--second", low.toString(), "--lora-2", lora.toString()};
    assertFalse(Arrays.equals(both, video(high, withLora)), "its LoRA changes nothing");
    CheckpointFolder opened = CheckpointFolder.of(high).withBase(pipeline).withSecond(low);
    assertEquals(List.of(high, low), opened.transformers());
    ElementType type = ElementType.FP32;
    int[] latents = {3, 4, 6};
    long one = RunMemory.of(CheckpointFolder.of(DIFFUSERS), type, type, latents, 8, 1).weights();
    assertEquals(2 * one, RunMemory.of(opened, type, type, latents, 8, 1).weights());
  }

  private Path copyOf(Path file) throws IOException {
    return Files.copy(
        file, folder.resolve("copy.safetensors"), StandardCopyOption.REPLACE_EXISTING);
  }

  private void assertRefused(String message, Path checkpoint, String... more) {
    Run run = generate(checkpoint, folder.resolve("none.mp4"), more);
    assertEquals(1, run.code(), run.err());
    assertTrue(run.err().contains(message), run.err());
  }

  /**
   * The weights under the names of the original repository, in a file or in two shards.
   *
   * @param scale of what the network gives
   */
  private static void writeOriginal(Path to, boolean shards, float scale) throws IOException {
    OtherNames names = Families.ofOtherClass("WanModel").otherNames();
    try (TensorSource source = Safetensors.open(DIFFUSERS);
        Arena arena = Arena.ofConfined()) {
      List<Map<String, Tensor>> files = List.of(new LinkedHashMap<>(), new LinkedHashMap<>());
      List<String> entries = new ArrayList<>();
      for (String name : source.names()) {
        int shard = shards && name.startsWith("blocks.1.") ? 1 : 0;
        files.get(shard).put(names.theirs(name), scaled(name, source, scale, arena));
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

  private static Tensor scaled(String name, TensorSource source, float scale, Arena arena) {
    Tensor tensor = source.tensor(name);
    if (scale == 1 || !name.startsWith("proj_out.")) {
      return tensor;
    }
    float[] values = tensor.toFloats();
    for (int i = 0; i < values.length; i++) {
      values[i] *= scale;
    }
    ElementType type = tensor.type();
    return Tensor.of(arena.allocate((long) type.bytes() * values.length, 64), type, tensor.shape())
        .copyFrom(values);
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

package io.github.sparsevdit.checkpoint;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.UnsupportedException;
import io.github.sparsevdit.eval.cases.CaseResult;
import io.github.sparsevdit.eval.cases.ReferenceCase;
import io.github.sparsevdit.eval.cases.ReferenceCases;
import io.github.sparsevdit.model.VideoTransformer;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Safetensors;
import io.github.sparsevdit.tensor.Tensor;
import io.github.sparsevdit.tensor.TensorSource;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Folders and files as people have them: other names, E4M3 weights, LoRA files, a cache. */
class LayoutsTest {
  private static final Path CASES = Path.of("src/test/resources/cases/layouts");
  private static final Path DIFFUSERS = CASES.resolve("wan-t2v/diffusers");
  private static final Path COMFYUI = CASES.resolve("wan-t2v/comfyui/wan_tiny_fp16.safetensors");
  private static final Path LORA = CASES.resolve("wan-t2v/lora-musubi/lora.safetensors");
  private static Backend backend;
  @TempDir Path folder;

  @BeforeAll
  static void open() {
    backend = Backend.cpu();
  }

  @AfterAll
  static void close() {
    backend.close();
  }

  static List<ReferenceCase> cases() {
    return ReferenceCases.find(CASES);
  }

  @ParameterizedTest
  @MethodSource("cases")
  void agreesWithDiffusers(ReferenceCase each) {
    assertEquals("layouts", each.family());
    CaseResult result = each.run(backend);
    assertEquals(CaseResult.Status.PASSED, result.status(), result::toString);
    assertTrue(result.bound() <= 1e-5, result::toString);
  }

  @Test
  void aMergedWeightIsItsSumRoundedOnce() {
    CheckpointFolder plain = CheckpointFolder.of(DIFFUSERS);
    CheckpointFolder merged = plain.withLoras(List.of(new Lora(LORA, 0.7)), List.of());
    String name = "blocks.0.attn1.to_q.weight";
    try (TensorSource exact = merged.weights(merged.transformer(), ElementType.FP32);
        TensorSource rounded = merged.weights(merged.transformer(), ElementType.BF16)) {
      float[] values = exact.tensor(name).toFloats();
      float[] bf16 = rounded.tensor(name).toFloats();
      for (int i = 0; i < values.length; i++) {
        int bits = ElementType.BF16.encode(values[i]);
        assertEquals(ElementType.BF16.decode(bits), bf16[i], "element " + i);
      }
      assertEquals(ElementType.BF16, rounded.tensor(name).type());
      assertEquals(2 * values.length, rounded.copiedBytes(name, ElementType.BF16));
      assertEquals(0, rounded.copiedBytes("patch_embedding.weight", ElementType.BF16));
    }
  }

  @Test
  void aLoraOfAnotherModelIsRefusedByItsLayer() {
    assertRefused(
        "the model has no layer diffusion_model.blocks.7.self_attn.q",
        Map.of(
            "diffusion_model.blocks.7.self_attn.q.lora_A.weight", new long[] {2, 64},
            "diffusion_model.blocks.7.self_attn.q.lora_B.weight", new long[] {64, 2}));
    assertRefused(
        "lora_te_text_model_encoder",
        Map.of(
            "lora_te_text_model_encoder.lora_down.weight", new long[] {2, 64},
            "lora_te_text_model_encoder.lora_up.weight", new long[] {64, 2}));
    assertRefused(
        "has one factor of its product",
        Map.of("transformer.blocks.0.attn1.to_q.lora_A.weight", new long[] {2, 64}));
    assertRefused(
        "the model's weight is [64, 64]",
        Map.of(
            "transformer.blocks.0.attn1.to_q.lora_A.weight", new long[] {2, 32},
            "transformer.blocks.0.attn1.to_q.lora_B.weight", new long[] {64, 2}));
    assertRefused(
        "dora_scale is of no kind that is merged",
        Map.of("transformer.blocks.0.attn1.to_q.dora_scale", new long[] {64}));
  }

  private void assertRefused(String message, Map<String, long[]> shapes) {
    Path file = folder.resolve("lora.safetensors");
    try (Arena arena = Arena.ofConfined()) {
      Map<String, Tensor> tensors = new LinkedHashMap<>();
      shapes.forEach(
          (name, shape) -> {
            long elements = Stream.of(shape).mapToLong(s -> s[0] * (s.length > 1 ? s[1] : 1)).sum();
            tensors.put(name, Tensor.of(arena.allocate(4 * elements), ElementType.FP32, shape));
          });
      Safetensors.write(file, tensors, Map.of());
    }
    CheckpointFolder checkpoint =
        CheckpointFolder.of(DIFFUSERS).withLoras(List.of(new Lora(file, 1)), List.of());
    RuntimeException refusal =
        assertThrows(
            RuntimeException.class, () -> Denoisers.load(checkpoint, backend, ElementType.FP32));
    assertTrue(refusal.getMessage().contains(message), refusal::getMessage);
    assertTrue(refusal.getMessage().contains(file.toString()), refusal::getMessage);
  }

  @Test
  void aSecondLoraNeedsASecondNetwork() {
    CheckpointFolder one = CheckpointFolder.of(DIFFUSERS);
    List<Lora> loras = List.of(new Lora(LORA, 1));
    String message =
        assertThrows(IllegalArgumentException.class, () -> one.withLoras(List.of(), loras))
            .getMessage();
    assertTrue(message.contains("one network"), message);
  }

  @Test
  void aFileAloneSaysItsSizesButForAnUnpublishedHeadDim() {
    IllegalArgumentException refusal =
        assertThrows(IllegalArgumentException.class, () -> Denoisers.geometry(COMFYUI));
    assertTrue(refusal.getMessage().contains("64 wide, no multiple of the head dim 128"));
    assertEquals(
        Denoisers.geometry(DIFFUSERS).shape(""),
        Denoisers.geometry(CheckpointFolder.of(COMFYUI).withBase(DIFFUSERS)).shape(""));
  }

  @Test
  void whatIsNotReadIsRefusedWithTheWayOut() throws IOException {
    for (String name : List.of("model.gguf", "model.pth", "pytorch_model.bin")) {
      Path file = Files.writeString(folder.resolve(name), "anything");
      String message =
          assertThrows(IllegalArgumentException.class, () -> CheckpointFolder.of(file))
              .getMessage();
      assertTrue(message.contains("convert it to safetensors"), message);
    }
    Files.copy(DIFFUSERS.resolve("config.json"), folder.resolve("config.json"));
    String message =
        assertThrows(
                IllegalArgumentException.class,
                () -> Denoisers.load(folder, backend, ElementType.FP32))
            .getMessage();
    assertTrue(message.contains("only model.gguf, which is not read"), message);
  }

  @Test
  void otherSchemesOfQuantisedWeightsAreRefusedByName() throws IOException {
    String layer = "blocks.0.self_attn.q";
    assertUnsupported(layer + ".weight", "F8_E5M2", "has the dtype F8_E5M2; expected F8_E4M3");
    assertUnsupported(layer + ".weight_scale", "F8_E4M3", "a scheme of quantised weights");
  }

  private void assertUnsupported(String name, String dtype, String message) throws IOException {
    byte[] header =
        "{\"%s\":{\"dtype\":\"%s\",\"shape\":[4],\"data_offsets\":[0,4]}}"
            .formatted(name, dtype)
            .getBytes(StandardCharsets.UTF_8);
    ByteBuffer bytes = ByteBuffer.allocate(8 + header.length + 4).order(ByteOrder.LITTLE_ENDIAN);
    bytes.putLong(header.length).put(header);
    Path file = Files.write(folder.resolve("quantised.safetensors"), bytes.array());
    CheckpointFolder checkpoint = CheckpointFolder.of(file).withBase(DIFFUSERS);
    String refusal =
        assertThrows(
                UnsupportedException.class,
                () -> Denoisers.load(checkpoint, backend, ElementType.FP32))
            .getMessage();
    assertTrue(refusal.contains(message), refusal);
    assertTrue(refusal.contains(name), refusal);
  }

  /** As huggingface_hub lays a repository out. */
  @Test
  void aCacheFolderIsReadThroughItsLinks() throws IOException {
    Path repository = folder.resolve("models--Owner--tiny-wan");
    String commit = "0123456789abcdef0123456789abcdef01234567";
    Path blobs = Files.createDirectories(repository.resolve("blobs"));
    Path snapshot = Files.createDirectories(repository.resolve("snapshots").resolve(commit));
    try (Stream<Path> files = Files.list(DIFFUSERS)) {
      for (Path file : files.toList()) {
        String etag = Integer.toHexString(file.getFileName().hashCode());
        Files.copy(file, blobs.resolve(etag));
        Files.createSymbolicLink(
            snapshot.resolve(file.getFileName()), Path.of("../../blobs", etag));
      }
    }
    assertEquals(snapshot, CheckpointFolder.of(repository).path(), "the only snapshot");
    Files.createDirectories(repository.resolve("refs"));
    Files.writeString(repository.resolve("refs/main"), commit);
    try (VideoTransformer wan = Denoisers.load(repository, backend, ElementType.FP32)) {
      assertEquals("tiny-wan", wan.shape().name());
    }
    Files.delete(blobs.resolve(Integer.toHexString("config.json".hashCode())));
    assertThrows(IllegalArgumentException.class, () -> CheckpointFolder.of(repository));
    Files.writeString(repository.resolve("refs/main"), commit.replace('0', '1'));
    String message =
        assertThrows(IllegalArgumentException.class, () -> CheckpointFolder.of(repository))
            .getMessage();
    assertTrue(message.contains("download the repository again"), message);
  }

  @Test
  void aRepositoryThatIsNotInTheCacheIsRefusedWithItsDownload() {
    String message =
        assertThrows(
                IllegalArgumentException.class,
                () -> CheckpointFolder.of(Path.of("No-Such-Owner/No-Such-Model")))
            .getMessage();
    assertTrue(message.contains("hf download No-Such-Owner/No-Such-Model"), message);
  }
}

package io.github.sparsevdit.eval.cases;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.model.text.ClipTextEncoder;
import io.github.sparsevdit.model.text.T5Encoder;
import io.github.sparsevdit.model.text.Tokenizer;
import io.github.sparsevdit.model.text.Tokens;
import io.github.sparsevdit.tensor.ElementType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Encoders and tokenizers against what transformers computed, and what they refuse. */
class EncoderCasesTest {
  private static final Path CASES =
      Path.of(System.getProperty("svdit.cases", "src/test/resources/cases"));
  private static final Path UMT5 = Path.of("src/test/resources/cases/text_encoders/umt5-sharded");
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

  static List<ReferenceCase> encoders() {
    return ReferenceCases.find(CASES.resolve("text_encoders"));
  }

  static List<ReferenceCase> tokenizers() {
    return ReferenceCases.find(CASES.resolve("tokenizers"));
  }

  @ParameterizedTest
  @MethodSource("encoders")
  void encodesAsTransformersDoes(ReferenceCase each) {
    CaseResult result = each.run(backend);
    assertEquals(CaseResult.Status.PASSED, result.status(), result::toString);
    assertTrue(result.bound() <= 1e-4, result::toString);
  }

  /**
   * Activations of 8 bits are off by up to 2⁻⁸, and some ten roundings follow each other in each of
   * two to four layers: 2⁻⁹ √40 is 0.012, which the softmax of scores that are not scaled widens.
   */
  @ParameterizedTest
  @MethodSource("encoders")
  void encodesInBf16WithinItsRounding(ReferenceCase each) {
    CaseResult result = ((EncoderCase) each).run(backend, ElementType.BF16, 0.03);
    assertEquals(CaseResult.Status.PASSED, result.status(), result::toString);
    assertTrue(result.error() > 1e-4, "computed in fp32 after all: " + result);
  }

  @ParameterizedTest
  @MethodSource("tokenizers")
  void tokensAreThoseOfTheLibrary(ReferenceCase each) {
    assertEquals("tokenizers", each.family());
    CaseResult result = each.run(backend);
    assertEquals(CaseResult.Status.PASSED, result.status(), result::toString);
  }

  @Test
  void aTokenOfAnotherVocabularyIsRefused() {
    try (T5Encoder encoder = T5Encoder.open(UMT5, null, backend, ElementType.FP32)) {
      String message =
          assertThrows(
                  IllegalArgumentException.class,
                  () -> encoder.encode(new Tokens(new int[] {5, 300}, 2), true))
              .getMessage();
      assertTrue(message.contains("token 300 is not in its vocabulary of 300"), message);
      assertTrue(message.contains("the tokenizer is another model's"), message);
    }
  }

  @Test
  void aShardThatIsCutShortIsNamed() throws IOException {
    copy(UMT5);
    Path shard = folder.resolve("model-00002-of-00003.safetensors");
    byte[] bytes = Files.readAllBytes(shard);
    Files.write(shard, java.util.Arrays.copyOf(bytes, bytes.length - 100));
    String message = refusal();
    assertTrue(message.contains(shard.toString()), message);
    assertTrue(message.contains("download it again"), message);
  }

  @Test
  void aSettingThatIsNotFollowedIsRefusedByName() throws IOException {
    copy(UMT5);
    Path config = folder.resolve("config.json");
    String text = Files.readString(config);
    Files.writeString(config, text.replaceFirst("\\{", "{\"sliding_window\": 128, "));
    String message = refusal();
    assertTrue(message.contains("sliding_window is 128"), message);
    Files.writeString(config, text.replace("gated-gelu", "relu"));
    message = refusal();
    assertTrue(message.contains("feed_forward_proj"), message);
  }

  @Test
  void weightsOfAnotherSizeAreRefusedByName() throws IOException {
    copy(UMT5);
    Path config = folder.resolve("config.json");
    String text = Files.readString(config);
    Files.writeString(config, text.replace("\"d_ff\": 40", "\"d_ff\": 48"));
    String message = refusal();
    assertTrue(message.contains("DenseReluDense"), message);
    assertTrue(message.contains("config.json is another model's"), message);
    Files.writeString(config, text.replace("\"num_layers\": 3", "\"num_layers\": 2"));
    message = refusal();
    assertTrue(message.contains("unexpected weights"), message);
  }

  private String refusal() {
    return assertThrows(
            IllegalArgumentException.class,
            () -> T5Encoder.open(folder, null, backend, ElementType.FP32).close())
        .getMessage();
  }

  @Test
  void textsLongerThanItsPositionsAreRefused() {
    Path clip = CASES.resolve("text_encoders/clip-text-eos2");
    try (ClipTextEncoder encoder = ClipTextEncoder.open(clip, null, backend, ElementType.FP32)) {
      String message =
          assertThrows(IllegalArgumentException.class, () -> encoder.encode(new int[78]))
              .getMessage();
      assertTrue(message.contains("78 tokens; it takes at most 77"), message);
    }
  }

  @Test
  void aMissingOrDamagedTokenizerIsRefusedWithTheWayOut() throws IOException {
    String message =
        assertThrows(IllegalArgumentException.class, () -> Tokenizer.open(folder, 16)).getMessage();
    assertTrue(message.contains("has no tokenizer"), message);
    Path model = folder.resolve("spiece.model");
    byte[] whole = Files.readAllBytes(CASES.resolve("tokenizers/t5-spiece/spiece.model"));
    Files.write(model, java.util.Arrays.copyOf(whole, whole.length / 2));
    message =
        assertThrows(IllegalArgumentException.class, () -> Tokenizer.open(folder, 16)).getMessage();
    assertTrue(message.contains("is damaged or no sentencepiece model"), message);
    Files.writeString(folder.resolve("tokenizer.json"), "{\"model\": 3}");
    message =
        assertThrows(IllegalArgumentException.class, () -> Tokenizer.open(folder, 16)).getMessage();
    assertTrue(message.contains(folder.toString()), message);
  }

  private void copy(Path from) throws IOException {
    try (Stream<Path> files = Files.list(from)) {
      for (Path file : files.toList()) {
        Files.copy(file, folder.resolve(file.getFileName()));
      }
    }
  }
}

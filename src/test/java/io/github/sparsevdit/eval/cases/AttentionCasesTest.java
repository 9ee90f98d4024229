package io.github.sparsevdit.eval.cases;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.CpuOptions;
import io.github.sparsevdit.TestBackends;
import io.github.sparsevdit.internal.io.Json;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Safetensors;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Every attention case in every tier and element type, through the public face. */
class AttentionCasesTest {
  /** {@code -Dsvdit.cases=DIR} names another folder of the same shape. */
  static final Path CASES = Path.of(System.getProperty("svdit.cases", "src/test/resources/cases"));

  @TestFactory
  Stream<DynamicTest> everyCaseInEveryTier() {
    List<AttentionCase> cases = cases();
    return TestBackends.tiers().stream()
        .flatMap(
            tier ->
                Stream.of(ElementType.values())
                    .flatMap(
                        type ->
                            cases.stream()
                                .map(
                                    one ->
                                        DynamicTest.dynamicTest(
                                            one.name() + " " + tier + " " + type,
                                            () -> passes(one, tier, type)))));
  }

  private static void passes(AttentionCase one, CpuOptions.Tier tier, ElementType type) {
    try (Backend backend = Backend.cpu(new CpuOptions(0, tier))) {
      assertEquals(tier, backend.info().tier());
      CaseResult result = one.run(backend, type);
      assertEquals(CaseResult.Status.PASSED, result.status(), result::toString);
    }
  }

  @Test
  void thePackagedCasesAreAllFound() {
    List<ReferenceCase> packaged =
        ReferenceCases.find(Path.of("src/test/resources/cases/attention"));
    assertEquals(12, packaged.size());
    assertTrue(packaged.stream().allMatch(one -> one.family().equals("attention")));
  }

  /** The reference the random tests stand on, against results computed by another program. */
  @Test
  void theReferenceInJavaGivesTheFilesResults() throws Exception {
    try (Stream<Path> files = Files.list(Path.of("src/test/resources/cases/attention"))) {
      for (Path path : files.toList()) {
        try (Safetensors file = Safetensors.open(path)) {
          Json json = Json.parse(path.toString(), file.metadata().get("case"), 8);
          AttentionCase.Description description = AttentionCase.Description.of(json, file);
          long[] shape = file.shape("q");
          for (int row = 0; row < shape[0]; row++) {
            for (int head = 0; head < shape[1]; head++) {
              ReferenceAttention.Result exact =
                  ReferenceAttention.exact(
                      head(file, "q", row, head),
                      head(file, "k", row, head),
                      head(file, "v", row, head),
                      description.headDim(),
                      1 / Math.sqrt(description.headDim()),
                      description.mask(head, row));
              requireClose(head(file, "out", row, head), exact.out(), path);
              requireClose(head(file, "lse", row, head), exact.lse(), path);
            }
          }
        }
      }
    }
  }

  static List<CpuOptions.Tier> tiers() {
    return TestBackends.tiers();
  }

  /**
   * The table of docs/fp8.md is what the cases give: rms in percent, of BF16 in the tier that
   * rounds weights to bf16 and in those that do not, and of E4M3.
   */
  @ParameterizedTest
  @MethodSource("tiers")
  void theDocsTellWhatEightBitsCost(CpuOptions.Tier tier) throws Exception {
    Map<String, String[]> rows =
        Files.readAllLines(Path.of("docs/fp8.md")).stream()
            .filter(line -> line.matches("\\| `[a-z0-9-]+` \\|.*"))
            .map(line -> line.split(" *\\| *"))
            .collect(Collectors.toMap(cells -> cells[1].replace("`", ""), cells -> cells));
    List<AttentionCase> packaged =
        ReferenceCases.find(Path.of("src/test/resources/cases/attention")).stream()
            .map(AttentionCase.class::cast)
            .toList();
    assertEquals(packaged.size(), rows.size());
    int ofBf16 = tier == CpuOptions.Tier.AVX512_BF16 ? 2 : 4;
    try (Backend backend = Backend.cpu(new CpuOptions(0, tier))) {
      for (AttentionCase one : packaged) {
        requireTold(rows.get(one.name())[ofBf16], one.deviation(backend, ElementType.BF16));
        requireTold(rows.get(one.name())[5], one.deviation(backend, ElementType.E4M3));
      }
    }
  }

  /** Within what two digits can tell. */
  private static void requireTold(String percent, Deviation deviation) {
    double told = Double.parseDouble(percent.replace(" %", "")) / 100;
    assertEquals(1, deviation.rms() / told, 0.06, percent + " told, " + deviation);
  }

  private static float[] head(Safetensors file, String name, int row, int head) {
    return file.tensor(name).select(0, row).select(0, head).toFloats();
  }

  /** The files hold float64 results rounded to float. */
  private static void requireClose(float[] expected, double[] computed, Path path) {
    for (int i = 0; i < expected.length; i++) {
      if (Float.isFinite(expected[i])) {
        assertEquals(
            expected[i], computed[i], 1e-7 * Math.max(1, Math.abs(expected[i])), path::toString);
      } else {
        assertEquals((double) expected[i], computed[i], path::toString);
      }
    }
  }

  private static List<AttentionCase> cases() {
    List<AttentionCase> cases =
        ReferenceCases.find(CASES).stream()
            .filter(AttentionCase.class::isInstance)
            .map(AttentionCase.class::cast)
            .toList();
    return cases;
  }
}

package io.github.sparsevdit.eval.cases;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.CpuOptions;
import io.github.sparsevdit.TestBackends;
import io.github.sparsevdit.tensor.ElementType;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

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

  private static List<AttentionCase> cases() {
    List<AttentionCase> cases =
        ReferenceCases.find(CASES).stream()
            .filter(AttentionCase.class::isInstance)
            .map(AttentionCase.class::cast)
            .toList();
    return cases;
  }
}

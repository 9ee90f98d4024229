package io.github.sparsevdit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.CpuOptions.Tier;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** One test a CPU tier; it is skipped with the reason where that tier is not tested here. */
class TiersTest {
  @ParameterizedTest
  @EnumSource(mode = EnumSource.Mode.EXCLUDE, names = "AUTO")
  void isTestedHere(Tier tier) {
    TestBackends.assumeTier(tier);
    try (Backend backend = Backend.cpu(new CpuOptions(1, tier))) {
      assertEquals(tier, backend.info().tier());
    }
  }

  /** A processor is never told as one of nothing, and what is chosen is what is tested last. */
  @Test
  void theBestTierTestedIsTheOneChosen() {
    assertTrue(TestBackends.tiers().contains(Tier.PORTABLE), TestBackends.tiers()::toString);
    try (Backend backend = Backend.cpu()) {
      assertEquals(TestBackends.tiers().getLast(), backend.info().tier());
    }
  }
}

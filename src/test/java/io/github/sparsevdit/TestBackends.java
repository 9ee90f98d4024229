package io.github.sparsevdit;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.sparsevdit.CpuOptions.Tier;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/**
 * The CPU tiers to test here: those the processor has, but none above what SVDIT_CPU_TIER names, so
 * that the suite can be run as on a lesser processor. {@link TiersTest} reports the others.
 */
public final class TestBackends {
  private static final String CAP = System.getenv("SVDIT_CPU_TIER");

  private TestBackends() {}

  /** Portable first; the best last. */
  public static List<Tier> tiers() {
    return Arrays.stream(Tier.values())
        .filter(tier -> tier != Tier.AUTO && whyAbsent(tier) == null)
        .toList();
  }

  /** Skips the running test, with the reason, where a tier is not tested here. */
  public static void assumeTier(Tier tier) {
    String why = whyAbsent(tier);
    assumeTrue(why == null, () -> "not tested here: " + name(tier) + ": " + why);
  }

  /** Null where the tier is tested. */
  static String whyAbsent(Tier tier) {
    for (Tier lower : Tier.values()) {
      if (lower != Tier.AUTO && lower.compareTo(tier) < 0 && name(lower).equals(CAP)) {
        return "SVDIT_CPU_TIER is " + CAP + ", which is less";
      }
    }
    try {
      Backend.probe(new CpuOptions(0, tier));
      return null;
    } catch (BackendUnavailableException processorLacksIt) {
      return processorLacksIt.getMessage();
    }
  }

  private static String name(Tier tier) {
    return tier.name().toLowerCase(Locale.ROOT);
  }
}

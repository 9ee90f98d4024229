package io.github.sparsevdit;

import io.github.sparsevdit.CpuOptions.Tier;
import java.util.Arrays;
import java.util.List;

/** The CPU tiers this machine can run. */
public final class TestBackends {
  private TestBackends() {}

  /** Portable first; the processor's best last. */
  public static List<Tier> tiers() {
    return Arrays.stream(Tier.values()).filter(tier -> tier != Tier.AUTO && runs(tier)).toList();
  }

  private static boolean runs(Tier tier) {
    try {
      Backend.probe(new CpuOptions(0, tier));
      return true;
    } catch (BackendUnavailableException processorLacksIt) {
      return false;
    }
  }
}

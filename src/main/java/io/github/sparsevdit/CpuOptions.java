package io.github.sparsevdit;

/**
 * How the CPU backend computes.
 *
 * @param threads threads that compute, the caller's included; 0 as many as affinity and the
 *     cgroup's quota allow
 * @param tier which instructions it uses
 */
public record CpuOptions(int threads, Tier tier) {
  /** Instruction sets, in the order of the C ABI's SVDIT_CPU_TIER_*. */
  public enum Tier {
    /** The highest the processor has, or what the environment variable SVDIT_CPU_TIER says. */
    AUTO,
    /** Plain C++. */
    PORTABLE,
    /** AVX2 and FMA. */
    AVX2,
    /** AVX-512 F, BW, DQ, VL. */
    AVX512,
    /** AVX-512 with bfloat16 dot products. */
    AVX512_BF16
  }

  public static final CpuOptions DEFAULT = new CpuOptions(0, Tier.AUTO);

  public CpuOptions {
    if (threads < 0) {
      throw new IllegalArgumentException("threads must be at least 0: " + threads);
    }
    if (tier == null) {
      throw new IllegalArgumentException("a tier is needed; Tier.AUTO picks one");
    }
  }
}

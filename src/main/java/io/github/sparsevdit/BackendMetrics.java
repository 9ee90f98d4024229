package io.github.sparsevdit;

/**
 * What a backend did since it was opened, as of one moment: {@link Backend#metrics}. Counts only
 * grow, except those that say "now". A call that is running may be counted in part.
 *
 * @param calls attention calls that returned; the search's sweeps and a denoiser's other operations
 *     are none
 * @param callNanos how long those took, in nanoseconds, all threads' added up; on CUDA, how long it
 *     took to queue them
 * @param visiblePairs (query, key) pairs that those computed, over batch rows and heads, as if all
 *     text were valid; a call of some heads or query blocks counts their share
 * @param allPairs pairs that dense attention would have computed instead
 * @param plansCompiled plans compiled
 * @param plansReused plans that a {@link SparseAttention} took from the cache instead
 * @param plansCached unused plans in the cache, now
 * @param planCacheBytes memory of those, now
 * @param memoryBytes memory of tensors, buffers and workspaces where the backend computes, now
 * @param pinnedBytes host memory from {@link Backend#allocatePinned}, now
 * @param queueWaits on the CPU, how often a call, of any kind, waited for a turn on the threads
 * @param queueWaitNanos how long those waited, in nanoseconds, all added up
 */
public record BackendMetrics(
    long calls,
    long callNanos,
    long visiblePairs,
    long allPairs,
    long plansCompiled,
    long plansReused,
    long plansCached,
    long planCacheBytes,
    long memoryBytes,
    long pinnedBytes,
    long queueWaits,
    long queueWaitNanos) {
  /** Visible pairs / all pairs of the calls so far; NaN before the first. */
  public double density() {
    return (double) visiblePairs / allPairs;
  }
}

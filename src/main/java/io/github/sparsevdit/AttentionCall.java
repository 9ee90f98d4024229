package io.github.sparsevdit;

import io.github.sparsevdit.cuda.CudaStream;
import io.github.sparsevdit.cuda.DeviceBuffer;
import io.github.sparsevdit.tensor.Tensor;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * An attention call with options. Options stay set, so a call may be run again without garbage. It
 * is for one thread at a time: a second thread that sets or runs it meanwhile gets an
 * IllegalStateException.
 */
public final class AttentionCall {
  private final AttentionPlan plan;
  private final AtomicBoolean used = new AtomicBoolean(); // what is checked must not change
  Tensor lse;
  int[] textValid;
  DeviceBuffer textValidBuffer;
  float scale;
  int headBegin;
  int headEnd;
  int queryBlockBegin;
  int queryBlockEnd;
  Tensor workspace;
  Cancellation cancellation;

  AttentionCall(AttentionPlan plan) {
    this.plan = plan;
  }

  /**
   * Where natural-log softmax denominators go: FP32 [B, H, S], contiguous, in the caller's token
   * order; null for nowhere.
   */
  public AttentionCall lse(Tensor lse) {
    return set(() -> this.lse = lse);
  }

  /**
   * How many text keys (keys of a cross plan) are real, per batch row; null for all. Later ones are
   * never read as keys.
   */
  public AttentionCall textValid(int... textValid) {
    int[] own = textValid == null ? null : textValid.clone();
    return set(
        () -> {
          this.textValid = own;
          this.textValidBuffer = null;
        });
  }

  /**
   * The same, one 32-bit count per batch row, as the buffer contains them when the work runs: a
   * captured graph serves another prompt once the buffer contains other counts. On CUDA counts
   * outside of 0 to the number of text keys count as the nearest of the two.
   */
  public AttentionCall textValid(DeviceBuffer textValid) {
    return set(
        () -> {
          this.textValid = null;
          this.textValidBuffer = textValid;
        });
  }

  /** The factor of q·kᵀ; 0 for 1/√D. */
  public AttentionCall scale(float scale) {
    return set(() -> this.scale = scale);
  }

  /**
   * Computes heads begin (inclusive) to end (exclusive) only, and leaves the others' output as it
   * is; 0, 0 for all.
   */
  public AttentionCall heads(int begin, int end) {
    requireRange("heads", begin, end, plan.patterns().size());
    return set(
        () -> {
          headBegin = begin;
          headEnd = end;
        });
  }

  /**
   * Computes query blocks begin to end only: video blocks in each pattern's order, then text
   * blocks; 0, 0 for all.
   */
  public AttentionCall queryBlocks(int begin, int end) {
    requireRange("query blocks", begin, end, plan.queryBlocks());
    return set(
        () -> {
          queryBlockBegin = begin;
          queryBlockEnd = end;
        });
  }

  /**
   * The call's workspace: memory of the backend, at least {@link AttentionPlan#workspaceBytes}. It
   * is for one call at a time, on CUDA for the calls of one stream. By default the backend's pool
   * supplies it.
   */
  public AttentionCall workspace(Tensor workspace) {
    return set(() -> this.workspace = workspace);
  }

  /** Cancels the call, on the CPU; null for no cancellation. */
  public AttentionCall cancellation(Cancellation cancellation) {
    return set(() -> this.cancellation = cancellation);
  }

  /** As {@link AttentionPlan#run}. */
  public void run(Tensor q, Tensor k, Tensor v, Tensor out) {
    run(q, k, v, out, null);
  }

  /** The same, queued on a stream of the plan's device; null is as without. */
  public void run(Tensor q, Tensor k, Tensor v, Tensor out, CudaStream stream) {
    hold();
    try {
      plan.run(q, k, v, out, this, stream);
    } finally {
      used.setRelease(false);
    }
  }

  private AttentionCall set(Runnable assignment) {
    hold();
    assignment.run();
    used.setRelease(false);
    return this;
  }

  private void hold() {
    if (!used.compareAndSet(false, true)) {
      throw new IllegalStateException("the call is in use by another thread");
    }
  }

  private static void requireRange(String what, int begin, int end, int count) {
    if (begin < 0 || end > count || begin > end || (begin == end && begin != 0)) {
      throw new IllegalArgumentException(
          what
              + " ["
              + begin
              + ", "
              + end
              + "): expected a range within [0, "
              + count
              + "), or 0, 0 for all");
    }
  }
}

package io.github.sparsevdit.model;

import io.github.sparsevdit.AttentionCall;
import io.github.sparsevdit.AttentionPlan;
import io.github.sparsevdit.SparseAttention;
import io.github.sparsevdit.tensor.Tensor;
import java.util.IdentityHashMap;
import java.util.Map;

/** Gives each forward pass of a run its self-attention. */
@FunctionalInterface
public interface AttentionProvider {
  /**
   * The attention of one forward pass.
   *
   * @param step from 0
   * @param branch 0 conditional, 1 unconditional
   */
  AttentionFunction at(int step, int branch);

  /** The same plan for every layer and step; it stays the caller's. For one run at a time. */
  static AttentionProvider of(AttentionPlan plan) {
    PlanCalls calls = new PlanCalls();
    AttentionFunction function =
        (layer, q, k, v, textValid, out) -> calls.run(plan, q, k, v, textValid, out);
    return (step, branch) -> function;
  }

  /** What a policy says; it stays the caller's. For one run at a time. */
  static AttentionProvider of(SparseAttention attention) {
    PlanCalls calls = new PlanCalls();
    return (step, branch) ->
        (layer, q, k, v, textValid, out) ->
            calls.run(attention.plan(step, layer), q, k, v, textValid, out);
  }

  /** Runs plans with text padding without making garbage: one call object per plan. */
  final class PlanCalls {
    private final Map<AttentionPlan, AttentionCall> calls = new IdentityHashMap<>();

    void run(AttentionPlan plan, Tensor q, Tensor k, Tensor v, int[] textValid, Tensor out) {
      if (textValid == null) {
        plan.run(q, k, v, out);
      } else {
        calls.computeIfAbsent(plan, AttentionPlan::call).textValid(textValid).run(q, k, v, out);
      }
    }
  }
}

package io.github.sparsevdit.model;

import io.github.sparsevdit.AttentionPlan;
import io.github.sparsevdit.SparseAttention;
import io.github.sparsevdit.tensor.Tensor;
import java.util.function.IntFunction;

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

  /** The same plan for every layer and step; it stays the caller's. */
  static AttentionProvider of(AttentionPlan plan) {
    AttentionFunction function = planned(layer -> plan);
    return (step, branch) -> function;
  }

  /** What a policy says; it stays the caller's. For one run at a time. */
  static AttentionProvider of(SparseAttention attention) {
    AttentionFunction[] functions = new AttentionFunction[1]; // of the step last asked for
    int[] functionStep = {-1};
    return (step, branch) -> {
      if (functionStep[0] != step) {
        functions[0] = planned(layer -> attention.plan(step, layer));
        functionStep[0] = step;
      }
      return functions[0];
    };
  }

  private static AttentionFunction planned(IntFunction<AttentionPlan> plans) {
    return new AttentionFunction() {
      @Override
      public void attend(int layer, Tensor q, Tensor k, Tensor v, int[] textValid, Tensor out) {
        plans.apply(layer).run(q, k, v, out, textValid);
      }

      @Override
      public AttentionPlan plan(int layer) {
        return plans.apply(layer);
      }
    };
  }
}

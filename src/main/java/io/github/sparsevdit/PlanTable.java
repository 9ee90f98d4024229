package io.github.sparsevdit;

import io.github.sparsevdit.internal.BackendHandle;
import io.github.sparsevdit.internal.Resources;
import io.github.sparsevdit.pattern.ModelShape;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Policy;
import io.github.sparsevdit.pattern.Schedule;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.tensor.ElementType;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * The plans of a policy, by step and layer. Whoever uses it retains it; the last one to release it
 * closes the plans.
 */
final class PlanTable {
  private static final int MAX_PLANS = 1 << 24;

  private final int steps;
  private final int layers;
  private final AttentionPlan[] plans; // step after step, layer after layer
  private final List<AttentionPlan> distinct;
  private final AtomicInteger users = new AtomicInteger(1);

  private PlanTable(int steps, int layers, AttentionPlan[] plans, List<AttentionPlan> distinct) {
    this.steps = steps;
    this.layers = layers;
    this.plans = plans;
    this.distinct = distinct;
  }

  /** Retained by the caller. */
  static PlanTable of(
      BackendHandle backend,
      Policy policy,
      Sequence sequence,
      Schedule schedule,
      ElementType type) {
    policy.requireSequence(sequence);
    ModelShape model = policy.model();
    long count = (long) schedule.steps() * model.layers();
    if (count > MAX_PLANS) {
      throw new IllegalArgumentException(
          schedule.steps()
              + " steps of "
              + model.layers()
              + " layers, expected at most "
              + MAX_PLANS
              + " in all");
    }
    AttentionPlan[] plans = new AttentionPlan[(int) count];
    Map<List<Pattern>, AttentionPlan> distinct = new HashMap<>();
    // A table gives the same list at every step of a phase: comparing its blocks one by one can
    // wait.
    Map<List<Pattern>, AttentionPlan> known = new IdentityHashMap<>();
    try {
      for (int step = 0; step < schedule.steps(); step++) {
        for (int layer = 0; layer < model.layers(); layer++) {
          List<Pattern> patterns = policy.patterns(schedule.timesteps().get(step), layer);
          if (patterns.size() != model.heads()) {
            throw new IllegalArgumentException(
                "the policy gives "
                    + patterns.size()
                    + " patterns for layer "
                    + layer
                    + " at step "
                    + step
                    + "; expected one per head, "
                    + model.heads());
          }
          AttentionPlan plan = known.get(patterns);
          if (plan == null) {
            plan = distinct.get(patterns);
            if (plan == null) {
              plan =
                  AttentionPlan.shared(
                      backend,
                      new AttentionPlan.Source(
                          sequence, 0, type, model.headDim(), policy.block(), patterns));
              distinct.put(plan.patterns(), plan);
            }
            known.put(patterns, plan);
          }
          plans[step * model.layers() + layer] = plan;
        }
      }
    } catch (RuntimeException | Error failure) {
      Resources plansSoFar = new Resources();
      distinct.values().forEach(plansSoFar::add);
      plansSoFar.closeAfter(failure);
      throw failure;
    }
    return new PlanTable(
        schedule.steps(), model.layers(), plans, new ArrayList<>(distinct.values()));
  }

  /** Whether it is retained now; not where the last user has released it. */
  boolean tryRetain() {
    int now = users.get();
    while (now > 0 && !users.compareAndSet(now, now + 1)) {
      now = users.get();
    }
    return now > 0;
  }

  /** Whether that was the last user's, and the plans are closed. */
  boolean release() {
    if (users.decrementAndGet() > 0) {
      return false;
    }
    close();
    return true;
  }

  /** Closes the plans, whoever uses them: waits for running calls, and refuses more. */
  void close() {
    Resources.closeAll(distinct);
  }

  AttentionPlan plan(int step, int layer) {
    if (step < 0 || step >= steps || layer < 0 || layer >= layers) {
      throw new IllegalArgumentException(
          "step "
              + step
              + ", layer "
              + layer
              + ": expected a step below "
              + steps
              + " and a layer below "
              + layers);
    }
    return plans[step * layers + layer];
  }

  List<AttentionPlan> distinct() {
    return distinct;
  }

  /** Mean over steps, layers and heads of visible pairs / all pairs, all text valid. */
  double density() {
    Map<AttentionPlan, Double> densities = new HashMap<>();
    double sum = 0;
    for (AttentionPlan plan : plans) {
      sum += densities.computeIfAbsent(plan, AttentionPlan::meanDensity);
    }
    return sum / plans.length;
  }
}

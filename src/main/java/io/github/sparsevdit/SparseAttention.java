package io.github.sparsevdit;

import io.github.sparsevdit.internal.Resources;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;

/**
 * A policy made ready for a run: every plan it needs, built up front; layers and steps with the
 * same patterns share one.
 *
 * <p>Works from any thread. {@code close()} may be called twice; it refuses new calls and waits for
 * the running ones.
 */
public final class SparseAttention implements AutoCloseable {
  private static final int MAX_PLANS = 1 << 24;

  private final Schedule schedule;
  private final int layers;
  private final AttentionPlan[] plans; // step after step, layer after layer
  private final List<AttentionPlan> distinct;

  private SparseAttention(
      Schedule schedule, int layers, AttentionPlan[] plans, List<AttentionPlan> distinct) {
    this.schedule = schedule;
    this.layers = layers;
    this.plans = plans;
    this.distinct = distinct;
  }

  /** The same for BF16. */
  public static SparseAttention of(
      Backend backend, Policy policy, Sequence sequence, Schedule schedule) {
    return of(backend, policy, sequence, schedule, ElementType.BF16);
  }

  /**
   * Builds the plans. The caller closes the result.
   *
   * @param policy for instance a {@link DispatchTable}; IllegalArgumentException if it was made for
   *     another sequence
   * @param type that is computed in; q, k, v and out are of its {@code tensorType()}: BF16 for E4M3
   */
  public static SparseAttention of(
      Backend backend, Policy policy, Sequence sequence, Schedule schedule, ElementType type) {
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
              plan = backend.plan(sequence, type, model.headDim(), policy.block(), patterns);
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
    return new SparseAttention(schedule, model.layers(), plans, new ArrayList<>(distinct.values()));
  }

  /** One layer's attention at a step; as {@link AttentionPlan#run}. */
  public void run(int step, int layer, Tensor q, Tensor k, Tensor v, Tensor out) {
    plan(step, layer).run(q, k, v, out);
  }

  /** The same, queued on a stream of the backend's device. */
  public void run(
      int step, int layer, Tensor q, Tensor k, Tensor v, Tensor out, CudaStream stream) {
    plan(step, layer).run(q, k, v, out, stream);
  }

  /**
   * The same with padded text: textValid counts the real text keys of each batch row; null for all.
   * Makes no garbage, so every prompt of a batch may have its own length at every call.
   */
  public void run(int step, int layer, Tensor q, Tensor k, Tensor v, Tensor out, int[] textValid) {
    plan(step, layer).run(q, k, v, out, textValid);
  }

  /** The same, queued on a stream of the backend's device. */
  public void run(
      int step,
      int layer,
      Tensor q,
      Tensor k,
      Tensor v,
      Tensor out,
      int[] textValid,
      CudaStream stream) {
    plan(step, layer).run(q, k, v, out, textValid, stream);
  }

  /** The plan of a layer at a step; this object closes it. */
  public AttentionPlan plan(int step, int layer) {
    if (step < 0 || step >= schedule.steps() || layer < 0 || layer >= layers) {
      throw new IllegalArgumentException(
          "step "
              + step
              + ", layer "
              + layer
              + ": expected a step below "
              + schedule.steps()
              + " and a layer below "
              + layers);
    }
    return plans[step * layers + layer];
  }

  /** Measures how to launch each plan; as {@link AttentionPlan#tune}. */
  public void tune(Tensor q, Tensor k, Tensor v, Tensor out) {
    distinct.forEach(plan -> plan.tune(q, k, v, out));
  }

  /** How many different plans there are. */
  public int planCount() {
    return distinct.size();
  }

  /** Mean over steps, layers and heads of visible pairs / all pairs, all text valid. */
  public double density() {
    Map<AttentionPlan, Double> densities = new HashMap<>();
    double sum = 0;
    for (AttentionPlan plan : plans) {
      sum += densities.computeIfAbsent(plan, AttentionPlan::meanDensity);
    }
    return sum / plans.length;
  }

  @Override
  public void close() {
    Resources.closeAll(distinct);
  }
}

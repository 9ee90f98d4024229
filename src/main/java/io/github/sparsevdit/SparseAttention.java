package io.github.sparsevdit;

import io.github.sparsevdit.cuda.CudaStream;
import io.github.sparsevdit.internal.Resources;
import io.github.sparsevdit.pattern.ModelShape;
import io.github.sparsevdit.pattern.Policy;
import io.github.sparsevdit.pattern.Schedule;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.table.DispatchTable;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * A policy compiled for a run: one plan for every layer and step, built up front. Layers and steps
 * with the same patterns share a plan, and so do all SparseAttentions of a backend. Unused plans
 * stay in the backend's cache ({@link Backend#planCacheBytes}), so that going back to an earlier
 * resolution or table compiles nothing.
 *
 * <p>Works from any thread. {@code close()} may be called twice; it refuses new calls and waits for
 * the running ones.
 */
public final class SparseAttention implements AutoCloseable {
  private final Backend backend;
  private final Sequence sequence;
  private final Schedule schedule;
  private final ElementType type;
  private final ModelShape model;
  private final Set<PlanTable> replaced = ConcurrentHashMap.newKeySet(); // and still in use
  private volatile PlanTable table; // written with this object's lock
  private boolean closed; // guarded by this

  private SparseAttention(
      Backend backend, Policy policy, Sequence sequence, Schedule schedule, ElementType type) {
    this.backend = backend;
    this.sequence = sequence;
    this.schedule = schedule;
    this.type = type;
    this.model = policy.model();
    this.table = PlanTable.of(backend.handle(), policy, sequence, schedule, type);
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
    return new SparseAttention(backend, policy, sequence, schedule, type);
  }

  /** One layer's attention at a step; as {@link AttentionPlan#run}. */
  public void run(int step, int layer, Tensor q, Tensor k, Tensor v, Tensor out) {
    PlanTable held = retain();
    try {
      held.plan(step, layer).run(q, k, v, out);
    } finally {
      release(held);
    }
  }

  /** The same, queued on a stream of the backend's device. */
  public void run(
      int step, int layer, Tensor q, Tensor k, Tensor v, Tensor out, CudaStream stream) {
    PlanTable held = retain();
    try {
      held.plan(step, layer).run(q, k, v, out, stream);
    } finally {
      release(held);
    }
  }

  /**
   * The same with padded text: textValid counts the real text keys of each batch row; null for all.
   * Makes no garbage, so every prompt of a batch may have its own length at every call.
   */
  public void run(int step, int layer, Tensor q, Tensor k, Tensor v, Tensor out, int[] textValid) {
    PlanTable held = retain();
    try {
      held.plan(step, layer).run(q, k, v, out, textValid);
    } finally {
      release(held);
    }
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
    PlanTable held = retain();
    try {
      held.plan(step, layer).run(q, k, v, out, textValid, stream);
    } finally {
      release(held);
    }
  }

  /**
   * The same, which another thread may cancel, on the CPU; null for no cancellation. {@link
   * Cancellation} says what state remains.
   */
  public void run(
      int step,
      int layer,
      Tensor q,
      Tensor k,
      Tensor v,
      Tensor out,
      int[] textValid,
      Cancellation cancellation) {
    PlanTable held = retain();
    try {
      held.plan(step, layer).run(q, k, v, out, textValid, cancellation);
    } finally {
      release(held);
    }
  }

  /**
   * Replaces the policy by another for the same model, sequence and steps. The new plans are
   * compiled before the old ones are released. Equal plans are reused. Calls that begin from now on
   * use the new policy. Running calls and open {@link Session}s finish with the old one, and the
   * last of them releases its plans to the cache.
   *
   * @param policy IllegalArgumentException if it was made for another model or sequence; nothing is
   *     replaced then
   */
  public synchronized void swap(Policy policy) {
    requireOpen();
    if (!policy.model().matches(model)) {
      throw new IllegalArgumentException(
          "the policy is for " + policy.model() + "; expected one for " + model);
    }
    PlanTable old = table;
    table = PlanTable.of(backend.handle(), policy, sequence, schedule, type);
    replaced.add(old);
    release(old);
  }

  /**
   * Retains the current plans, for a run of many calls that must use one policy, whatever {@link
   * #swap} does meanwhile. The caller closes it.
   */
  public Session session() {
    return new Session(retain());
  }

  /**
   * The plans that {@link #session} retains. Works from any thread. Closing it twice does nothing.
   * Closing its SparseAttention ends it.
   */
  public final class Session implements AutoCloseable {
    private final PlanTable held;
    private final AtomicBoolean open = new AtomicBoolean(true);

    private Session(PlanTable held) {
      this.held = held;
    }

    /** The plan of a layer at a step; usable until the session is closed. */
    public AttentionPlan plan(int step, int layer) {
      if (!open.get()) {
        throw new IllegalStateException("the session is closed");
      }
      return held.plan(step, layer);
    }

    @Override
    public void close() {
      if (open.compareAndSet(true, false)) {
        release(held);
      }
    }
  }

  /** The plan of a layer at a step; this object closes it, and {@link #swap} may. */
  public AttentionPlan plan(int step, int layer) {
    return table.plan(step, layer);
  }

  /** Measures how to launch each plan; as {@link AttentionPlan#tune}. */
  public void tune(Tensor q, Tensor k, Tensor v, Tensor out) {
    PlanTable held = retain();
    try {
      held.distinct().forEach(plan -> plan.tune(q, k, v, out));
    } finally {
      release(held);
    }
  }

  /** How many different plans there are. */
  public int planCount() {
    return table.distinct().size();
  }

  /** Mean over steps, layers and heads of visible pairs / all pairs, all text valid. */
  public double density() {
    PlanTable held = retain();
    try {
      return held.density();
    } finally {
      release(held);
    }
  }

  @Override
  public void close() {
    List<AutoCloseable> all = new ArrayList<>();
    synchronized (this) {
      closed = true;
      all.add(table::close);
    }
    replaced.forEach(old -> all.add(old::close));
    Resources.closeAll(all);
  }

  private void requireOpen() {
    if (closed) {
      throw new IllegalStateException("the attention is closed");
    }
  }

  /** The table of now; it stays whole until release(). */
  private PlanTable retain() {
    for (; ; ) {
      PlanTable now = table;
      if (now.tryRetain()) { // else swap() has just replaced it
        return now;
      }
    }
  }

  private void release(PlanTable held) {
    if (held.release()) {
      replaced.remove(held);
    }
  }
}

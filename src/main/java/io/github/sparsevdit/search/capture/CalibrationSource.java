package io.github.sparsevdit.search.capture;

import io.github.sparsevdit.pattern.ModelShape;
import io.github.sparsevdit.pattern.Schedule;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.util.List;
import java.util.stream.IntStream;

/**
 * What yields Q, K, V and the output projection of every self-attention call of some runs: captured
 * files ({@link CapturedSource}), or a denoiser running. A source may be visited several times and
 * gives the same points, with the same values, in the same order each time.
 */
public interface CalibrationSource extends AutoCloseable {
  /** The model the points come from. */
  ModelShape model();

  /** The model that {@link #model} is some heads of; the same where the points are of all heads. */
  default ModelShape wholeModel() {
    return model();
  }

  /** Which heads of the whole model the points are of, ascending; empty for all. */
  default List<Integer> heads() {
    return List.of();
  }

  /**
   * The checkpoint the points come from, as {@code VideoTransformer.checkpointSha256()} gives it;
   * empty where that is not known.
   */
  default String checkpointSha256() {
    return "";
  }

  /** The sequence of every point. */
  Sequence sequence();

  /** Element type of Q, K and V. */
  ElementType type();

  /** The timesteps of the runs; {@link Key#step} counts in it. */
  Schedule schedule();

  /**
   * The steps at which another network takes over, with layers alike but weights of its own;
   * ascending, empty where one network computes all steps. A search has a phase begin there.
   */
  default List<Integer> networkStarts() {
    return List.of();
  }

  /** Number of runs (prompts, seeds). */
  int samples();

  /**
   * The only video query blocks whose queries are there, in frame-major and in token-major order;
   * the other rows of Q hold anything. Null where all are.
   */
  default QueryBlocks queryBlocks() {
    return null;
  }

  /** The steps that have points, ascending; all, as a rule. */
  default List<Integer> steps() {
    return IntStream.range(0, schedule().steps()).boxed().toList();
  }

  /** Whether a layer has points; one without gets full attention. */
  default boolean hasLayer(int layer) {
    return true;
  }

  /** How many points a visitor that wants them all is given. */
  long points();

  /**
   * SHA-256, 64 hex digits, of what determines the points: stored in the table, and what identifies
   * a half-done search belongs to this source.
   */
  String sha256();

  /**
   * Calls {@code visitor} for every point, in a fixed order that never depends on what is wanted. A
   * point that is not wanted costs as little as the source can manage.
   */
  void visit(Visitor visitor);

  @Override
  void close();

  /**
   * Some video query blocks.
   *
   * @param block tokens in each; the last may be short
   * @param blocks ascending, at least one
   */
  record QueryBlocks(int block, List<Integer> blocks) {}

  /**
   * Names a point.
   *
   * @param sample the run, from 0
   * @param step the denoising step, from 0 (the noisiest)
   * @param layer the layer, from 0
   * @param branch the guidance branch: 0 conditional, 1 unconditional; 0 where one call has both as
   *     a batch
   */
  record Key(int sample, int step, int layer, int branch) implements Comparable<Key> {
    @Override
    public int compareTo(Key other) {
      int order = Integer.compare(sample, other.sample);
      order = order != 0 ? order : Integer.compare(step, other.step);
      order = order != 0 ? order : Integer.compare(layer, other.layer);
      return order != 0 ? order : Integer.compare(branch, other.branch);
    }
  }

  /**
   * One self-attention call. The tensors are the source's, valid until {@link Visitor#accept}
   * returns.
   *
   * @param key which call
   * @param timestep of its step
   * @param q queries as attention sees them, [B, H, S, D]
   * @param k keys, [B, H, S, D]
   * @param v values, [B, H, S, D]
   * @param outProjection the layer's output projection as stored, [d, H·D]; null where unknown
   * @param textValid valid text tokens per batch row; null where all are
   */
  record Point(
      Key key,
      double timestep,
      Tensor q,
      Tensor k,
      Tensor v,
      Tensor outProjection,
      int[] textValid) {}

  /** What a source is shown to. */
  interface Visitor {
    /** Whether this point is wanted; asked once per point, before it is made. */
    boolean wants(Key key);

    /** A wanted point. */
    void accept(Point point);
  }
}

package io.github.sparsevdit.pattern;

import io.github.sparsevdit.table.DispatchTable;
import java.util.Collections;
import java.util.List;

/**
 * What gives each head its pattern at run time. A {@link DispatchTable} is a static policy; dense
 * attention and the published baselines are others. Implementations are immutable.
 */
public interface Policy {
  /** The model it is for. */
  ModelShape model();

  /** Tokens per block: 128, 64, and on the CPU 32 or 16. */
  int block();

  /**
   * The patterns of a layer at a timestep in [0, 1000], one per head. Depends on its arguments
   * alone.
   */
  List<Pattern> patterns(double timestep, int layer);

  /**
   * Throws IllegalArgumentException if the policy was made for another sequence. By default any
   * sequence is accepted.
   */
  default void requireSequence(Sequence sequence) {}

  /** Full attention for every head of every layer. */
  static Policy dense(ModelShape model, int block) {
    List<Pattern> full = Collections.nCopies(model.heads(), Pattern.full());
    return new Policy() {
      @Override
      public ModelShape model() {
        return model;
      }

      @Override
      public int block() {
        return block;
      }

      @Override
      public List<Pattern> patterns(double timestep, int layer) {
        return full;
      }

      @Override
      public String toString() {
        return "dense";
      }
    };
  }
}

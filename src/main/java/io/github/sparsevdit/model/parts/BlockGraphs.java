package io.github.sparsevdit.model.parts;

import io.github.sparsevdit.AttentionPlan;
import io.github.sparsevdit.Backend;
import io.github.sparsevdit.cuda.CudaGraph;
import io.github.sparsevdit.cuda.CudaStream;
import io.github.sparsevdit.model.AttentionFunction;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/**
 * A denoiser's blocks as CUDA graphs, one for each list of plans they attend by: launched at once
 * instead of operation by operation. The first pass of a list runs as it is, so that whatever is
 * chosen or loaded at a first call is; the second is recorded.
 */
final class BlockGraphs implements AutoCloseable {
  private static final int MOST = 4; // a table's parts of the schedule; an older one makes room

  private final Operations ops;
  private final Workspace workspace;
  private final CudaStream stream;
  private final List<Entry> entries = new ArrayList<>(); // last used last

  private static final class Entry {
    final List<AttentionPlan> plans;
    CudaGraph graph; // null until the second pass

    Entry(List<AttentionPlan> plans) {
      this.plans = plans;
    }

    boolean attendsBy(List<AttentionPlan> others) {
      for (int i = 0; i < plans.size(); i++) {
        if (plans.get(i) != others.get(i)) {
          return false;
        }
      }
      return true;
    }
  }

  BlockGraphs(Backend backend, Operations ops, Workspace workspace) {
    this.ops = ops;
    this.workspace = workspace;
    stream = backend.stream();
  }

  /**
   * Launches the blocks with one plan for each layer.
   *
   * @param blocks runs them with the attention it is given
   * @return false where this is the first pass with these plans, and nothing was done
   */
  boolean launch(List<AttentionPlan> plans, Consumer<AttentionFunction> blocks) {
    Entry entry = null;
    for (int i = entries.size() - 1; i >= 0 && entry == null; i--) {
      entry = entries.get(i).attendsBy(plans) ? entries.remove(i) : null;
    }
    boolean first = entry == null;
    if (first) {
      entry = new Entry(plans);
      if (entries.size() == MOST) {
        drop(entries.removeFirst());
      }
    }
    entries.add(entry);
    if (first) {
      return false;
    }
    if (entry.graph == null) {
      entry.graph = record(plans, blocks);
    }
    entry.graph.launch(stream);
    return true;
  }

  private CudaGraph record(List<AttentionPlan> plans, Consumer<AttentionFunction> blocks) {
    AttentionFunction attention =
        (layer, q, k, v, textValid, out) ->
            ops.attend(plans.get(layer), q, k, v, textValid == null ? null : workspace.counts, out);
    ops.on(stream);
    try {
      return stream.capture(() -> blocks.accept(attention));
    } finally {
      ops.on(null);
    }
  }

  private static void drop(Entry entry) {
    if (entry.graph != null) {
      entry.graph.close();
    }
  }

  /** Waits for what was launched. */
  @Override
  public void close() {
    entries.forEach(BlockGraphs::drop);
    entries.clear();
    stream.close();
  }
}

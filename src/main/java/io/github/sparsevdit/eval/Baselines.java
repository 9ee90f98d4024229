package io.github.sparsevdit.eval;

import io.github.sparsevdit.AttentionPlan;
import io.github.sparsevdit.Backend;
import io.github.sparsevdit.pattern.Mode;
import io.github.sparsevdit.pattern.ModelShape;
import io.github.sparsevdit.pattern.Order;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Schedule;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.table.DispatchTable;
import io.github.sparsevdit.table.DispatchTable.HeadEntry;
import io.github.sparsevdit.table.DispatchTable.Phase;
import io.github.sparsevdit.tensor.ElementType;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.stream.IntStream;

/** What a searched table is compared with: policies that know less, at the same density. */
public final class Baselines {
  private Baselines() {}

  /**
   * One window of one mode for every head of every layer: the diagonal is window attention in
   * space, the multi-diagonal in time.
   *
   * @param density of the whole run, dense steps counted; the window is the widest whose table does
   *     not exceed it
   * @param denseSteps steps at the start that are dense
   * @throws IllegalArgumentException if not even window 0 stays within it
   */
  public static DispatchTable window(
      Backend backend,
      ModelShape model,
      Sequence sequence,
      Schedule schedule,
      int block,
      Mode mode,
      double density,
      int denseSteps) {
    if (mode != Mode.DIAGONAL && mode != Mode.MULTI_DIAGONAL) {
      throw new IllegalArgumentException("a window needs a diagonal mode; not " + mode.json());
    }
    List<Pattern> windows =
        IntStream.range(0, sequence.videoBlocks(block))
            .mapToObj(reach -> pattern(mode, (long) reach * block))
            .toList();
    double[] densities = densities(backend, sequence, block, windows);
    double dense = (double) denseSteps / schedule.steps();
    int best = -1;
    for (int i = 0; i < densities.length; i++) {
      if (dense + (1 - dense) * densities[i] <= density) {
        best = i;
      }
    }
    if (best < 0) {
      throw new IllegalArgumentException(
          String.format(
              Locale.ROOT,
              "density %.3f cannot be reached by a %s window with %d of %d steps dense",
              density,
              mode.json(),
              denseSteps,
              schedule.steps()));
    }
    HeadEntry entry = new HeadEntry(windows.get(best), densities[best], Double.NaN);
    List<List<HeadEntry>> layers =
        Collections.nCopies(model.layers(), Collections.nCopies(model.heads(), entry));
    List<Phase> phases = new ArrayList<>();
    double bound = bound(schedule, denseSteps);
    if (denseSteps > 0) {
      phases.add(Phase.full(1000, bound));
    }
    if (denseSteps < schedule.steps()) {
      phases.add(new Phase(bound, 0, layers));
    }
    return new DispatchTable(model, sequence, block, null, phases);
  }

  /**
   * The same patterns on other heads: within each phase the table's entries are shuffled over all
   * heads of all layers, so that its density and its mix of modes stay the same, and only the
   * assignment to heads is lost.
   */
  public static DispatchTable shuffled(DispatchTable table, long seed) {
    Random random = new Random(seed);
    int heads = table.model().heads();
    List<Phase> phases = new ArrayList<>();
    for (Phase phase : table.phases()) {
      List<HeadEntry> entries = new ArrayList<>();
      for (List<HeadEntry> layer : phase.layers()) {
        for (HeadEntry entry : layer) {
          entries.add(new HeadEntry(entry.pattern(), entry.density(), Double.NaN));
        }
      }
      Collections.shuffle(entries, random);
      List<List<HeadEntry>> layers = new ArrayList<>();
      for (int from = 0; from < entries.size(); from += heads) {
        layers.add(entries.subList(from, from + heads));
      }
      phases.add(new Phase(phase.from(), phase.to(), layers));
    }
    return new DispatchTable(table.model(), table.sequence(), table.block(), null, phases);
  }

  /**
   * Blocks drawn at random for every query block of every head, its own among them; all steps
   * alike.
   */
  public static DispatchTable random(
      ModelShape model, Sequence sequence, int block, double density, long seed) {
    Random random = new Random(seed);
    int blocks = sequence.videoBlocks(block);
    int seen = Math.clamp(Math.round(density * blocks), 1, blocks);
    List<List<HeadEntry>> layers = new ArrayList<>();
    for (int layer = 0; layer < model.layers(); layer++) {
      List<HeadEntry> heads = new ArrayList<>();
      for (int head = 0; head < model.heads(); head++) {
        List<List<Integer>> lists = new ArrayList<>();
        for (int query = 0; query < blocks; query++) {
          List<Integer> others = new ArrayList<>();
          for (int key = 0; key < blocks; key++) {
            if (key != query) {
              others.add(key);
            }
          }
          Collections.shuffle(others, random);
          List<Integer> list = new ArrayList<>(others.subList(0, seen - 1));
          list.add(query);
          Collections.sort(list);
          lists.add(list);
        }
        heads.add(new HeadEntry(Pattern.blocks(Order.FRAME_MAJOR, lists)));
      }
      layers.add(heads);
    }
    return new DispatchTable(model, sequence, block, null, List.of(new Phase(1000, 0, layers)));
  }

  private static Pattern pattern(Mode mode, long window) {
    return mode == Mode.DIAGONAL ? Pattern.diagonal(window) : Pattern.multiDiagonal(window);
  }

  private static double[] densities(
      Backend backend, Sequence sequence, int block, List<Pattern> patterns) {
    try (AttentionPlan plan = backend.plan(sequence, ElementType.BF16, 64, block, patterns)) {
      return plan.density();
    }
  }

  /** Half-way between the step before and this one. */
  private static double bound(Schedule schedule, int step) {
    if (step == 0) {
      return 1000;
    }
    return step == schedule.steps()
        ? 0
        : (schedule.timesteps().get(step - 1) + schedule.timesteps().get(step)) / 2;
  }
}

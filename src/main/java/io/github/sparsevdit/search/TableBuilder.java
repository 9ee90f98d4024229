package io.github.sparsevdit.search;

import io.github.sparsevdit.pattern.Mode;
import io.github.sparsevdit.table.DispatchTable;
import io.github.sparsevdit.table.DispatchTable.HeadEntry;
import io.github.sparsevdit.table.DispatchTable.Phase;
import io.github.sparsevdit.table.DispatchTable.SearchInfo;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;

/** Turns a selection into a dispatch table. */
final class TableBuilder {
  private final SearchSetup setup;
  private final SearchOptions options;
  private final Findings findings;

  TableBuilder(SearchSetup setup, SearchOptions options, Findings findings) {
    this.setup = setup;
    this.options = options;
    this.findings = findings;
  }

  DispatchTable build(Selection selection) {
    List<Phase> phases = new ArrayList<>();
    int dense = options.denseSteps();
    if (dense > 0) {
      phases.add(Phase.full(bound(0), bound(dense)));
    }
    for (int phase = 0; phase < setup.phases(); phase++) {
      if (selection.chosen()[phase] != null) {
        double from = bound(Math.max(dense, setup.phaseStarts.get(phase)));
        phases.add(phase(selection, phase, from, bound(setup.phaseEnd(phase))));
      }
    }
    boolean paper = options.rule() == RuleName.PAPER;
    SearchInfo info =
        new SearchInfo(
            options.rule().json(),
            paper ? options.lambda() : selection.knob(),
            paper ? selection.knob() : Double.NaN,
            options.cost().name(),
            options.cost().device(),
            setup.samples,
            setup.wantedSteps.stream().map(setup.timesteps::get).toList(),
            setup.sourceSha256,
            setup.checkpointSha256,
            setup.fingerprint());
    return new DispatchTable(setup.model, setup.sequence, options.block(), info, phases);
  }

  private Phase phase(Selection selection, int phase, double from, double to) {
    List<List<HeadEntry>> layers =
        IntStream.range(0, setup.model.layers())
            .parallel() // heads' blocks are ranked
            .mapToObj(layer -> heads(selection, phase, layer))
            .toList();
    boolean full =
        layers.stream().flatMap(List::stream).allMatch(head -> head.pattern().mode() == Mode.FULL);
    return full ? Phase.full(from, to) : new Phase(from, to, layers);
  }

  private List<HeadEntry> heads(Selection selection, int phase, int layer) {
    List<HeadEntry> heads = new ArrayList<>();
    for (int head = 0; head < setup.model.heads(); head++) {
      int chosen = selection.chosen()[phase][layer][head];
      heads.add(
          new HeadEntry(
              findings.pattern(phase, layer, head, chosen),
              findings.density(phase, layer, head, chosen),
              findings.error(phase, layer, head, chosen)));
    }
    return heads;
  }

  /**
   * Where the phase that begins with a step begins: half-way from the step before, so that no step
   * is on the edge.
   */
  private double bound(int step) {
    if (step == 0) {
      return 1000;
    }
    return step == setup.timesteps.size()
        ? 0
        : (setup.timesteps.get(step - 1) + setup.timesteps.get(step)) / 2;
  }
}

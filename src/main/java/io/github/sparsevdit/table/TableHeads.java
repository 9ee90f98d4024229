package io.github.sparsevdit.table;

import io.github.sparsevdit.pattern.ModelShape;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.table.DispatchTable.HeadEntry;
import io.github.sparsevdit.table.DispatchTable.Phase;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/** Makes a table of some heads one of the whole model. */
final class TableHeads {
  private TableHeads() {}

  static DispatchTable spread(DispatchTable table, ModelShape whole, List<Integer> heads) {
    HeadEntry full = new HeadEntry(Pattern.full(), 1, 0);
    List<Phase> phases = new ArrayList<>();
    for (Phase phase : table.phases()) {
      List<List<HeadEntry>> layers = new ArrayList<>();
      for (List<HeadEntry> some : phase.layers()) {
        List<HeadEntry> all = new ArrayList<>(Collections.nCopies(whole.heads(), full));
        for (int i = 0; i < heads.size(); i++) {
          all.set(heads.get(i), some.get(i));
        }
        layers.add(all);
      }
      phases.add(new Phase(phase.from(), phase.to(), layers));
    }
    return new DispatchTable(whole, table.sequence(), table.block(), table.search(), phases);
  }
}

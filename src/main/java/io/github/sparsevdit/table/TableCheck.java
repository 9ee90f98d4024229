package io.github.sparsevdit.table;

import io.github.sparsevdit.pattern.ModelShape;
import io.github.sparsevdit.table.DispatchTable.HeadEntry;
import io.github.sparsevdit.table.DispatchTable.Phase;
import java.util.List;
import java.util.Set;

/**
 * What must hold in every table, wherever it comes from; messages name places as the JSON has them.
 */
final class TableCheck {
  private static final Set<Integer> BLOCKS = Set.of(16, 32, 64, 128);

  private TableCheck() {}

  static void check(DispatchTable table) {
    require(BLOCKS.contains(table.block()), "block", table.block(), "16, 32, 64 or 128");
    List<Phase> phases = table.phases();
    require(!phases.isEmpty(), "phases", phases, "at least one phase");
    double bound = 1000;
    for (int i = 0; i < phases.size(); i++) {
      String at = "phases[" + i + "]";
      Phase phase = phases.get(i);
      require(
          phase.from() == bound,
          at + ".from",
          phase.from(),
          i == 0 ? "1000, where timesteps begin" : bound + ", where phases[" + (i - 1) + "] ends");
      require(
          phase.to() >= 0 && phase.to() < phase.from(),
          at + ".to",
          phase.to(),
          "at least 0 and less than from");
      bound = phase.to();
      if (!phase.dense()) {
        checkLayers(table, at + ".layers", phase.layers());
      }
    }
    require(bound == 0, "phases[" + (phases.size() - 1) + "].to", bound, "0, where timesteps end");
  }

  private static void checkLayers(DispatchTable table, String at, List<List<HeadEntry>> layers) {
    ModelShape model = table.model();
    require(
        layers.size() == model.layers(),
        at,
        layers.size() + " layers",
        "model.layers, " + model.layers());
    for (int layer = 0; layer < layers.size(); layer++) {
      List<HeadEntry> heads = layers.get(layer);
      String atLayer = at + "[" + layer + "]";
      require(
          heads.size() == model.heads(),
          atLayer,
          heads.size() + " heads",
          "model.heads, " + model.heads());
      for (int head = 0; head < heads.size(); head++) {
        try {
          heads.get(head).pattern().requireFits(table.sequence(), table.block());
        } catch (IllegalArgumentException e) {
          throw new IllegalArgumentException(atLayer + "[" + head + "]: " + e.getMessage(), e);
        }
      }
    }
  }

  private static void require(boolean holds, String what, Object value, String expected) {
    if (!holds) {
      throw new IllegalArgumentException(what + " is " + value + "; expected " + expected);
    }
  }
}

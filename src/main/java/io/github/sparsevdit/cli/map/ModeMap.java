package io.github.sparsevdit.cli.map;

import io.github.sparsevdit.pattern.Mode;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;

/**
 * Which mode each head has, as it is drawn: one panel per phase, a row per layer, a column per
 * head.
 *
 * @param title the model
 * @param subtitle what else to know: sequence, density, how it was searched
 * @param panels the phases, first one first; all of the same size
 */
public record ModeMap(String title, String subtitle, List<Panel> panels) {
  /** One phase: its name and {@code cells[layer][head]}. */
  public record Panel(String name, List<List<Cell>> layers) {}

  /**
   * One head.
   *
   * @param detail what sets it apart from others of its mode ("±3 frames", "4 blocks"); may be
   *     empty
   * @param density visible (query, key) pairs over all of them; NaN where not known
   */
  public record Cell(Mode mode, String detail, double density) {}

  /** Refuses a map without cells. */
  public ModeMap {
    panels = List.copyOf(panels);
    if (panels.isEmpty() || panels.getFirst().layers().isEmpty()) {
      throw new IllegalArgumentException("a mode map needs at least one phase and one layer");
    }
  }

  /** Number of layers, the same in every panel. */
  public int layers() {
    return panels.getFirst().layers().size();
  }

  /** Number of heads, the same in every layer. */
  public int heads() {
    return panels.getFirst().layers().getFirst().size();
  }

  /** How many cells each mode has, over all panels; modes that do not occur are left out. */
  public Map<Mode, Integer> counts() {
    Map<Mode, Integer> counts = new EnumMap<>(Mode.class);
    for (Panel panel : panels) {
      for (List<Cell> layer : panel.layers()) {
        for (Cell cell : layer) {
          counts.merge(cell.mode(), 1, Integer::sum);
        }
      }
    }
    return counts;
  }
}

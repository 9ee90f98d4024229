package io.github.sparsevdit.cli.map;

import io.github.sparsevdit.pattern.ModelShape;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.table.DispatchTable;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** Makes mode maps of dispatch tables. */
public final class ModeMaps {
  private ModeMaps() {}

  /** The map of {@code table}; phases that are dense throughout become panels of full heads. */
  public static ModeMap of(DispatchTable table) {
    ModelShape model = table.model();
    List<ModeMap.Panel> panels = new ArrayList<>();
    for (DispatchTable.Phase phase : table.phases()) {
      String name = "timesteps " + timestep(phase.from()) + " to " + timestep(phase.to());
      panels.add(new ModeMap.Panel(name, layers(phase, model)));
    }
    String title = model.name().isEmpty() ? "Dispatch table" : model.name();
    return new ModeMap(title, subtitle(table), panels);
  }

  private static String timestep(double value) {
    return String.format(Locale.ROOT, value == Math.rint(value) ? "%.0f" : "%.1f", value);
  }

  private static List<List<ModeMap.Cell>> layers(DispatchTable.Phase phase, ModelShape model) {
    List<List<ModeMap.Cell>> layers = new ArrayList<>();
    for (int layer = 0; layer < model.layers(); layer++) {
      List<ModeMap.Cell> cells = new ArrayList<>();
      for (int head = 0; head < model.heads(); head++) {
        cells.add(
            phase.dense()
                ? cell(Pattern.full(), 1)
                : cell(
                    phase.layers().get(layer).get(head).pattern(),
                    phase.layers().get(layer).get(head).density()));
      }
      layers.add(cells);
    }
    return layers;
  }

  private static ModeMap.Cell cell(Pattern pattern, double density) {
    return new ModeMap.Cell(pattern.mode(), detail(pattern), density);
  }

  private static String detail(Pattern pattern) {
    int blocks = pattern.blocks().size();
    return switch (pattern.mode()) {
      case FULL, SKIP, BLOCKS -> "";
      case DIAGONAL, MULTI_DIAGONAL -> "±" + pattern.window() + (blocks == 0 ? "" : " +" + blocks);
      case VERTICAL_STRIPE -> blocks + (blocks == 1 ? " stripe" : " stripes");
    };
  }

  private static String subtitle(DispatchTable table) {
    StringBuilder text = new StringBuilder();
    text.append(table.sequence()).append(" tokens, block ").append(table.block());
    DispatchTable.SearchInfo search = table.search();
    if (search != null) {
      text.append(" · ").append(search.rule());
      if (!Double.isNaN(search.lambda())) {
        text.append(String.format(Locale.ROOT, ", λ %.3g", search.lambda()));
      }
      if (!Double.isNaN(search.epsilon())) {
        text.append(String.format(Locale.ROOT, ", ε %.3g", search.epsilon()));
      }
      text.append(", cost ").append(search.cost());
    }
    return text.toString();
  }
}

package io.github.sparsevdit.cli.report;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.github.sparsevdit.Backend;
import io.github.sparsevdit.UnsupportedException;
import io.github.sparsevdit.cli.terminal.TextTable;
import io.github.sparsevdit.eval.cases.AttentionCase;
import io.github.sparsevdit.eval.cases.Deviation;
import io.github.sparsevdit.tensor.ElementType;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** What E4M3 costs beside BF16: for each attention case the error of both against float64. */
public final class TypeAccuracy {
  private static final List<ElementType> TYPES = List.of(ElementType.BF16, ElementType.E4M3);

  private record Line(String name, Map<ElementType, Deviation> deviations) {}

  private final List<Line> lines = new ArrayList<>();

  /** Runs a case in both types; one that the backend does not compute is left out. */
  public void add(AttentionCase one, Backend backend) {
    Map<ElementType, Deviation> deviations = new EnumMap<>(ElementType.class);
    for (ElementType type : TYPES) {
      try {
        deviations.put(type, one.deviation(backend, type));
      } catch (UnsupportedException notComputed) {
        continue; // the case itself says why
      }
    }
    if (!deviations.isEmpty()) {
      lines.add(new Line(one.name(), deviations));
    }
  }

  public boolean isEmpty() {
    return lines.isEmpty();
  }

  public String table() {
    TextTable table = new TextTable("attention", "bf16 rms", "max", "e4m3 rms", "max");
    for (Line line : lines) {
      List<String> cells = new ArrayList<>(List.of(line.name));
      for (ElementType type : TYPES) {
        Deviation deviation = line.deviations.get(type);
        cells.add(deviation == null ? "-" : number(deviation.rms()));
        cells.add(deviation == null ? "-" : number(deviation.max()));
      }
      table.add(cells.toArray(String[]::new));
    }
    return table
        + "Against float64 on the inputs before they are rounded: rms over the rms of the output, max"
        + " over its greatest element.\n";
  }

  public void putInto(ObjectNode report) {
    var all = report.putArray("accuracy");
    for (Line line : lines) {
      ObjectNode node = all.addObject().put("name", line.name);
      line.deviations.forEach(
          (type, deviation) ->
              node.putObject(type.name().toLowerCase(Locale.ROOT))
                  .put("rms", deviation.rms())
                  .put("max", deviation.max()));
    }
  }

  private static String number(double value) {
    return String.format(Locale.ROOT, "%.2e", value);
  }
}

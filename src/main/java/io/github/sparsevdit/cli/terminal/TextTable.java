package io.github.sparsevdit.cli.terminal;

import java.util.ArrayList;
import java.util.List;

/**
 * Columns of text for a terminal: a heading, then rows; numbers to the right, words to the left.
 */
public final class TextTable {
  private final List<String[]> rows = new ArrayList<>();

  public TextTable(String... heading) {
    rows.add(heading);
  }

  public void add(String... cells) {
    if (cells.length != rows.getFirst().length) {
      throw new IllegalArgumentException(
          cells.length + " cells in a table of " + rows.getFirst().length + " columns");
    }
    rows.add(cells);
  }

  @Override
  public String toString() {
    int columns = rows.getFirst().length;
    int[] widths = new int[columns];
    boolean[] numbers = new boolean[columns];
    for (int c = 0; c < columns; c++) {
      numbers[c] = rows.size() > 1;
      for (int r = 0; r < rows.size(); r++) {
        String cell = rows.get(r)[c];
        widths[c] = Math.max(widths[c], cell.length());
        numbers[c] &= r == 0 || cell.matches("[-+]?[0-9.]+.*|-|");
      }
    }
    StringBuilder text = new StringBuilder();
    for (String[] row : rows) {
      StringBuilder line = new StringBuilder();
      for (int c = 0; c < columns; c++) {
        String format = "%" + (numbers[c] ? "" : "-") + Math.max(1, widths[c]) + "s";
        line.append(c == 0 ? "" : "  ").append(String.format(format, row[c]));
      }
      text.append(line.toString().stripTrailing()).append('\n');
    }
    return text.toString();
  }
}

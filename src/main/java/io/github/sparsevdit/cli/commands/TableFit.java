package io.github.sparsevdit.cli.commands;

import io.github.sparsevdit.cli.terminal.CommandFailure;
import io.github.sparsevdit.pattern.ModelShape;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.table.DispatchTable;
import java.nio.file.Path;

/** A dispatch table for a model and a sequence. */
final class TableFit {
  private TableFit() {}

  /**
   * The table, carried over to the sequence where that is asked for.
   *
   * @param file the table's, for messages
   * @throws CommandFailure if it is for another model, or for another sequence and rescale is false
   */
  static DispatchTable of(
      Path file, DispatchTable table, ModelShape model, Sequence sequence, boolean rescale) {
    if (!table.model().matches(model)) {
      throw new CommandFailure(file + " is for " + table.model() + "; this model is " + model);
    }
    if (rescale) {
      return table.rescale(sequence);
    }
    if (!table.sequence().equals(sequence)) {
      throw new CommandFailure(
          "%s was searched on %s, and this run has %s; --rescale carries it over"
              .formatted(file, table.sequence(), sequence));
    }
    return table;
  }
}

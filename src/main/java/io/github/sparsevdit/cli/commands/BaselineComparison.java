package io.github.sparsevdit.cli.commands;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.cli.terminal.Console;
import io.github.sparsevdit.cli.terminal.ProgressDisplay;
import io.github.sparsevdit.eval.Baselines;
import io.github.sparsevdit.eval.Evaluation;
import io.github.sparsevdit.eval.Report;
import io.github.sparsevdit.pattern.Mode;
import io.github.sparsevdit.pipeline.DenoisingProgress;
import io.github.sparsevdit.search.Findings;
import io.github.sparsevdit.table.DispatchTable;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;

/**
 * What a search is worth: its table beside policies of the same density that know less, all from
 * the same noise and compared with the dense videos.
 */
final class BaselineComparison {
  /** Shuffled tables differ much among themselves; their mean is told. */
  private static final int SHUFFLES = 5;

  private static final List<Mode> WINDOWS = List.of(Mode.DIAGONAL, Mode.MULTI_DIAGONAL);

  private final Console console;
  private final Backend backend;
  private final Checkpoint checkpoint;
  private final Findings findings;

  BaselineComparison(Console console, Backend backend, Checkpoint checkpoint, Findings findings) {
    this.console = console;
    this.backend = backend;
    this.checkpoint = checkpoint;
    this.findings = findings;
  }

  /**
   * Generates and compares.
   *
   * @param calibrate prompts the search was made on: they weigh its layers and phases too
   * @param prompts that it never saw
   */
  Report compare(List<String> calibrate, List<String> prompts) {
    int weighing = findings.phaseStarts().size() + checkpoint.shape().layers();
    long runs =
        (1L + weighing) * calibrate.size() + (3L + WINDOWS.size() + SHUFFLES) * prompts.size();
    long steps = checkpoint.schedule().steps();
    try (ProgressDisplay progress = new ProgressDisplay(console, "baselines", runs * steps)) {
      DenoisingProgress counting =
          new DenoisingProgress() {
            @Override
            public void step(int step, int of) {
              progress.step();
            }
          };
      progress.note("weighing layers and phases");
      DispatchTable weighted =
          findings.weighted(checkpoint.evaluation(calibrate, counting, false).wholeRun()).table();
      Evaluation evaluation = checkpoint.evaluation(prompts, counting, true);
      DispatchTable table = findings.table();
      List<Report.Row> rows = new ArrayList<>();
      progress.note("searched");
      rows.add(evaluation.score("searched", table));
      rows.add(evaluation.score("searched, layers and phases weighted by whole runs", weighted));
      progress.note("windows");
      rows.add(window(evaluation, table, rows.getFirst().density()));
      progress.note("shuffled");
      rows.add(shuffled(evaluation, table));
      return new Report(rows);
    }
  }

  /** The better of the modes. */
  private Report.Row window(Evaluation evaluation, DispatchTable table, double density) {
    return WINDOWS.stream()
        .map(
            mode ->
                evaluation.score(
                    "best single window for all heads (" + mode.json() + ")",
                    Baselines.window(
                        backend,
                        table.model(),
                        table.sequence(),
                        evaluation.schedule(),
                        table.block(),
                        mode,
                        density,
                        findings.options().denseSteps())))
        .max(Comparator.comparingDouble(Report.Row::meanPsnr))
        .orElseThrow();
  }

  /** The mean over several shuffles, clip by clip. */
  private static Report.Row shuffled(Evaluation evaluation, DispatchTable table) {
    List<Report.Row> rows =
        IntStream.range(0, SHUFFLES)
            .mapToObj(seed -> evaluation.score("", Baselines.shuffled(table, seed)))
            .toList();
    Report.Row first = rows.getFirst();
    return new Report.Row(
        "the searched patterns shuffled over the heads, mean of " + SHUFFLES,
        first.heads(),
        first.density(),
        mean(rows.stream().map(Report.Row::psnr).toList()),
        mean(rows.stream().map(Report.Row::ssim).toList()),
        rows.stream().mapToDouble(Report.Row::denseSeconds).average().orElseThrow(),
        rows.stream().mapToDouble(Report.Row::sparseSeconds).average().orElseThrow());
  }

  private static List<Double> mean(List<List<Double>> lists) {
    List<Double> sums = new ArrayList<>(Collections.nCopies(lists.getFirst().size(), 0.0));
    for (List<Double> list : lists) {
      for (int i = 0; i < list.size(); i++) {
        sums.set(i, sums.get(i) + list.get(i) / lists.size());
      }
    }
    return sums;
  }
}

package io.github.sparsevdit.cli.commands;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.github.sparsevdit.Backend;
import io.github.sparsevdit.checkpoint.CheckpointFolder;
import io.github.sparsevdit.cli.map.ModeMapText;
import io.github.sparsevdit.cli.map.ModeMaps;
import io.github.sparsevdit.cli.media.ParetoChart;
import io.github.sparsevdit.cli.terminal.Console;
import io.github.sparsevdit.cli.terminal.Json;
import io.github.sparsevdit.cli.terminal.TextTable;
import io.github.sparsevdit.estimate.RunMemory;
import io.github.sparsevdit.internal.media.Pictures;
import io.github.sparsevdit.pattern.Policy;
import io.github.sparsevdit.search.Findings;
import io.github.sparsevdit.search.ParetoFront;
import io.github.sparsevdit.search.SearchOptions;
import io.github.sparsevdit.search.capture.CalibrationSource;
import io.github.sparsevdit.search.capture.CapturedSource;
import io.github.sparsevdit.table.DispatchTable;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code svdit search}. */
@Command(
    name = "search",
    description = {
      "Searches a dispatch table: which pattern each head of each layer gets.",
      "",
      "Runs the denoiser densely on some prompts (or reads captured Q, K, V), scores every pattern"
          + " on every head against full attention, and gives each head the one that serves the"
          + " whole best. All windows of a mode are scored in one pass. Prints what quality each"
          + " density costs (the Pareto front) and writes the table; Ctrl-C leaves an older table"
          + " as it was."
    },
    footerHeading = "%nExamples:%n",
    footer = {
      "  svdit search calibration/tiny-wan --prompts bunny,generated1 --block 64 \\",
      "      --target-density 0.35 --out table.json",
      "  svdit search Wan-AI/Wan2.1-T2V-1.3B-Diffusers --prompts prompts.txt --out table.json",
      "  svdit search checkpoint --prompts p0,p1 --target-speedup 1.8 --cost measured \\",
      "      --resume search.state --out table.json",
      "  svdit search --from search.state --target-density 0.25 --out sparser.json    in seconds",
      "  svdit search my-capture --rule paper --lambda 0.5 --epsilon 1 --out table.json"
    })
public final class SearchCommand implements Callable<Integer> {
  @Parameters(
      paramLabel = "SOURCE",
      arity = "0..1",
      description =
          "A checkpoint's folder (pipeline or transformer), or a folder with captured Q, K, V.")
  Path source;

  @Option(
      names = "--prompts",
      paramLabel = "NAME|FILE",
      split = ",",
      description =
          "Which prompts to search on: "
              + PromptList.DESCRIPTION
              + " (default: the first four of the embeddings).")
  List<String> prompts = List.of();

  @Option(
      names = {"-o", "--out"},
      paramLabel = "FILE",
      required = true,
      description = "Where the table goes (JSON).")
  Path out;

  @Option(
      names = "--resume",
      paramLabel = "FILE",
      description = "Save what is found to FILE, and resume from it if it exists.")
  Path resume;

  @Option(
      names = "--from",
      paramLabel = "FILE",
      description =
          "In place of SOURCE: another table from the scores of a finished search, kept with"
              + " --resume FILE. What is not given stays as it was there.")
  Path from;

  @Option(
      names = "--chart",
      paramLabel = "FILE",
      description = "Also draw the Pareto front to this PNG file.")
  Path chart;

  @Option(names = "--json", description = "Print one JSON object instead of the front and the map.")
  boolean json;

  @ArgGroup(validate = false, heading = "%nWhat is searched for:%n")
  SearchRuleOptions rules = new SearchRuleOptions();

  @ArgGroup(validate = false, heading = "%nHow the denoiser runs:%n")
  RunOptions runs = new RunOptions();

  @Mixin BackendOptions backendOptions;
  @Spec CommandSpec spec;
  private final Console console;

  public SearchCommand(Console console) {
    this.console = console;
  }

  @Override
  public Integer call() throws IOException {
    if ((source == null) == (from == null)) {
      throw new ParameterException(
          spec.commandLine(),
          source == null
              ? "what is searched on is missing: a SOURCE, or --from FILE"
              : "SOURCE and --from exclude each other: --from takes the scores of an earlier search");
    }
    if (from != null) {
      write(new StoredSearch(from, rules).findings(spec));
      return 0;
    }
    SearchOptions options = searchOptions();
    if (!CheckpointFolder.isOne(source) && !Files.exists(source)) {
      throw new NoSuchFileException(source.toString());
    }
    try (Backend backend = backendOptions.open()) {
      if (CheckpointFolder.isOne(source)) {
        try (Checkpoint checkpoint =
                Checkpoint.open(source, backend, runs, PromptList.of(prompts));
            CalibrationSource points = checkpoint.calibration()) {
          console.err().println("memory: " + memory(checkpoint, options));
          search(backend, points, options);
        }
      } else {
        try (CalibrationSource points = CapturedSource.open(source)) {
          search(backend, points, options);
        }
      }
    }
    return 0;
  }

  /** A search runs densely, and keeps what it measured beside the run. */
  private static RunMemory memory(Checkpoint checkpoint, SearchOptions options) {
    return checkpoint
        .memory(Policy.dense(checkpoint.shape(), options.block()))
        .withSearch(
            checkpoint.shape(), checkpoint.sequence(), options.block(), checkpoint.networks());
  }

  private SearchOptions searchOptions() {
    try {
      return rules.options();
    } catch (IllegalArgumentException e) {
      throw new ParameterException(spec.commandLine(), e.getMessage(), e);
    }
  }

  private void search(Backend backend, CalibrationSource points, SearchOptions options)
      throws IOException {
    write(SearchRun.measure(console, backend, points, rules.measuresCost(), options, resume));
  }

  private void write(Findings findings) throws IOException {
    DispatchTable table = findings.wholeTable();
    ParetoFront front = findings.front();
    table.write(out);
    if (chart != null && Pictures.canDrawText()) {
      Pictures.writePng(chart, ParetoChart.draw(table.model().name(), front));
    }
    if (json) {
      Json.print(console.out(), report(table, front));
    } else {
      console.out().print(front(front));
      console.out().print(ModeMapText.render(ModeMaps.of(table), console.colour()));
      console.out().println("wrote " + out);
    }
  }

  private static String front(ParetoFront front) {
    TextTable table = new TextTable("knob", "density", "error", "speed-up");
    for (ParetoFront.Point point : front.points()) {
      table.add(
          String.format(Locale.ROOT, "%.3g", point.knob()),
          String.format(Locale.ROOT, "%.3f", point.density()),
          String.format(Locale.ROOT, "%.4f", point.error()),
          String.format(Locale.ROOT, "%.2f", point.speedup()));
    }
    return table + "\n";
  }

  private ObjectNode report(DispatchTable table, ParetoFront front) {
    ObjectNode report = Json.object();
    report.put("table", out.toString());
    report.put("model", table.model().name());
    var points = report.putArray("front");
    for (ParetoFront.Point point : front.points()) {
      points
          .addObject()
          .put("knob", point.knob())
          .put("density", point.density())
          .put("error", point.error())
          .put("speedup", point.speedup());
    }
    return report;
  }
}

package io.github.sparsevdit.cli.commands;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.cli.terminal.CommandFailure;
import io.github.sparsevdit.cli.terminal.Console;
import io.github.sparsevdit.cli.terminal.Json;
import io.github.sparsevdit.cli.terminal.ProgressDisplay;
import io.github.sparsevdit.eval.Report;
import io.github.sparsevdit.pattern.Policy;
import io.github.sparsevdit.search.Findings;
import io.github.sparsevdit.search.SearchOptions;
import io.github.sparsevdit.search.capture.CalibrationSource;
import io.github.sparsevdit.table.DispatchTable;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code svdit demo}: the main job. */
@Command(
    name = "demo",
    description = {
      "Does the whole chain with a small checkpoint, and compares.",
      "",
      "Searches on some prompts; generates videos for others, densely and sparsely from the same"
          + " noise, at several densities; prints one table, and leaves videos, tables and mode"
          + " maps in a folder."
    },
    footerHeading = "%nExamples:%n",
    footer = {
      "  svdit demo --out out",
      "  svdit demo --prompts horse --densities 0.4 --steps 10    quicker",
      "  svdit demo --baselines --prompts dog,horse --calibrate bunny,generated1 --block 32 \\",
      "      --dense-steps 1 --densities 0.35                     what the search is worth",
      "  svdit demo --attention-type e4m3      what 8-bit attention changes, beside bf16",
      "  svdit demo --json                                        the table for a script"
    })
public final class DemoCommand implements Callable<Integer> {
  @Option(
      names = "--model",
      paramLabel = "DIR",
      description =
          "A pipeline with a VAE, or one that works in pixels (default: calibration/tiny-wan).")
  Path model;

  @Option(
      names = {"-o", "--out"},
      paramLabel = "DIR",
      defaultValue = "out",
      description = "Where everything goes (default: out).")
  Path out;

  @Option(
      names = "--calibrate",
      paramLabel = "NAME|FILE",
      split = ",",
      defaultValue = "bunny,generated1,hiker1",
      description =
          "Prompts to search on: " + PromptList.DESCRIPTION + " (default: ${DEFAULT-VALUE}).")
  List<String> calibrate;

  @Option(
      names = "--prompts",
      paramLabel = "NAME|FILE",
      split = ",",
      defaultValue = "horse,dog,kitten",
      description =
          "Prompts to generate for, in the same form; none of those searched on (default:"
              + " ${DEFAULT-VALUE}).")
  List<String> prompts;

  @Option(
      names = "--densities",
      paramLabel = "D",
      split = ",",
      defaultValue = "0.5,0.35,0.25",
      description = "Densities of the tables (default: ${DEFAULT-VALUE}).")
  List<Double> densities;

  @Option(
      names = "--block",
      paramLabel = "N",
      defaultValue = "64", // 1,536 tokens are few: at 128 a window could hardly be narrow
      description = "Tokens per block (default: ${DEFAULT-VALUE}).")
  int block;

  @Option(
      names = "--dense-steps",
      paramLabel = "N",
      defaultValue = "0",
      description = "Steps at the start that stay dense (default: ${DEFAULT-VALUE}).")
  int denseSteps;

  @Option(
      names = "--baselines",
      description = {
        "Write no videos, and say what the search is worth: compare the table of the first density"
            + " with the best single window for all heads and with its own patterns shuffled over"
            + " the heads."
      })
  boolean baselines;

  @Option(names = "--json", description = "Print one JSON object instead of the table.")
  boolean json;

  @Mixin AttentionTypeOption attentionType;

  @ArgGroup(validate = false, heading = "%nHow the denoiser runs:%n")
  RunOptions runs = new RunOptions();

  @Mixin BackendOptions backendOptions;
  @Spec CommandSpec spec;
  private final Console console;

  public DemoCommand(Console console) {
    this.console = console;
  }

  @Override
  public Integer call() throws IOException {
    calibrate = PromptList.of(calibrate);
    prompts = PromptList.of(prompts);
    checkOptions();
    try (Backend backend = backendOptions.open();
        Checkpoint checkpoint =
            Checkpoint.open(
                folder(),
                backend,
                runs,
                attentionType.of(runs.type),
                false,
                Stream.concat(calibrate.stream(), prompts.stream()).toList())) {
      if (!checkpoint.decodes()) {
        throw new CommandFailure(
            folder()
                + " has no VAE and does not work in pixels, so its results cannot be looked at here");
      }
      Findings findings = search(backend, checkpoint);
      if (baselines) {
        compare(backend, checkpoint, findings);
        return 0;
      }
      List<DemoResult.Sparse> results = new ArrayList<>();
      for (double density : densities) {
        SearchOptions options = findings.options().withTargetDensity(density);
        results.add(new DemoResult.Sparse(density, findings.with(options).table()));
      }
      DemoResult result =
          new DemoResult(backend.describe(), checkpoint, findings.front(), prompts, results);
      generate(checkpoint, result);
      List<Path> files = new DemoFiles(out).write(result);
      report(result, files);
    }
    return 0;
  }

  private void compare(Backend backend, Checkpoint checkpoint, Findings findings) {
    Report report =
        new BaselineComparison(console, backend, checkpoint, findings).compare(calibrate, prompts);
    if (json) {
      console.out().println(report.toJson());
    } else {
      console.out().print(report.render());
    }
  }

  private void checkOptions() {
    for (double density : densities) {
      if (!(density > 0 && density <= 1)) {
        throw new ParameterException(
            spec.commandLine(),
            "density " + density + " in --densities; expected over 0 and up to 1");
      }
    }
    for (String prompt : prompts) {
      if (calibrate.contains(prompt)) {
        throw new ParameterException(
            spec.commandLine(), "prompt " + prompt + " is in --calibrate and in --prompts");
      }
    }
  }

  /** The given folder, else the repository's own, wherever the command was called from. */
  private Path folder() {
    if (model != null) {
      return model;
    }
    Path here = Path.of("calibration", "tiny-wan");
    Path home = Path.of(System.getProperty("svdit.home", ".")).resolve(here);
    return Files.exists(here) ? here : home;
  }

  private Findings search(Backend backend, Checkpoint checkpoint) {
    SearchOptions options =
        SearchOptions.defaults()
            .withBlock(block)
            .withDenseSteps(denseSteps)
            .withStepsPerPhase(2)
            .withRefine(false)
            .withTargetDensity(densities.getFirst());
    try (CalibrationSource source = checkpoint.calibration(calibrate)) {
      return SearchRun.measure(console, backend, source, false, options, null);
    }
  }

  private void generate(Checkpoint checkpoint, DemoResult result) {
    boolean plainly = result.comparesTypes();
    int videos = prompts.size() * (1 + result.sparse().size()) * (plainly ? 2 : 1);
    long steps = (long) videos * checkpoint.schedule().steps();
    try (ProgressDisplay progress = new ProgressDisplay(console, "generate", steps)) {
      for (int i = 0; i < prompts.size(); i++) {
        String prompt = prompts.get(i);
        long noise = runs.seed + i;
        progress.note(prompt + ", dense");
        Policy dense = Policy.dense(checkpoint.shape(), block);
        result.dense().add(checkpoint.generate(prompt, noise, dense, step -> progress.step()));
        if (plainly) {
          result
              .plainDense()
              .add(checkpoint.generatePlainly(prompt, noise, dense, step -> progress.step()));
        }
        for (DemoResult.Sparse sparse : result.sparse()) {
          DispatchTable table = sparse.table();
          progress.note(String.format(Locale.ROOT, "%s, density %.2f", prompt, sparse.target()));
          sparse.runs().add(checkpoint.generate(prompt, noise, table, step -> progress.step()));
          if (plainly) {
            sparse
                .plainRuns()
                .add(checkpoint.generatePlainly(prompt, noise, table, step -> progress.step()));
          }
        }
      }
    }
  }

  private void report(DemoResult result, List<Path> files) {
    if (json) {
      Json.print(console.out(), result.json());
    } else {
      console.out().print(result.table());
      console.out().println("wrote " + files.size() + " files to " + out + ", among them:");
      files.stream().limit(4).forEach(file -> console.out().println("  " + file));
    }
  }
}

package io.github.sparsevdit.cli.commands;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.cli.terminal.CommandFailure;
import io.github.sparsevdit.cli.terminal.Console;
import io.github.sparsevdit.cli.terminal.ProgressDisplay;
import io.github.sparsevdit.pattern.Policy;
import io.github.sparsevdit.search.capture.CalibrationSource;
import io.github.sparsevdit.search.capture.CaptureWriter;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code svdit capture}. */
@Command(
    name = "capture",
    description = {
      "Runs a denoiser densely and writes Q, K and V of its self-attention, for svdit search.",
      "",
      "Says first how much that will be. An interrupted capture resumes where it stopped."
    },
    footerHeading = "%nExamples:%n",
    footer = {
      "  svdit capture calibration/tiny-wan --prompts bunny,generated1 --at-steps 2,10 \\",
      "      --out capture",
      "  svdit search capture --block 64 --phases 0 --target-density 0.4 --out table.json"
    })
public final class CaptureCommand implements Callable<Integer> {
  @Parameters(paramLabel = "CHECKPOINT", description = "A pipeline's or a transformer's folder.")
  Path folder;

  @Option(
      names = "--prompts",
      paramLabel = "NAME",
      split = ",",
      required = true,
      description = "Which prompts to run: " + PromptList.DESCRIPTION + ".")
  List<String> prompts;

  @Option(
      names = "--at-steps",
      paramLabel = "STEP",
      split = ",",
      description = "Steps to capture, from 0 (default: all).")
  List<Integer> steps = List.of();

  @Option(
      names = "--layers",
      paramLabel = "LAYER",
      split = ",",
      description = "Layers to capture, from 0 (default: all).")
  List<Integer> layers = List.of();

  @Option(
      names = {"-o", "--out"},
      paramLabel = "DIR",
      required = true,
      description = "The capture's folder.")
  Path out;

  @ArgGroup(validate = false, heading = "%nHow the denoiser runs:%n")
  RunOptions runs = new RunOptions();

  @Mixin BackendOptions backendOptions;
  private final Console console;

  public CaptureCommand(Console console) {
    this.console = console;
  }

  @Override
  public Integer call() throws IOException {
    try (Backend backend = backendOptions.open();
        Checkpoint checkpoint = Checkpoint.open(folder, backend, runs, PromptList.of(prompts));
        CalibrationSource source = checkpoint.calibration()) {
      int allSteps = source.schedule().steps();
      int allLayers = source.model().layers();
      within("--at-steps", steps, allSteps);
      within("--layers", layers, allLayers);
      long points =
          source.points()
              / allSteps
              / allLayers
              * (steps.isEmpty() ? allSteps : steps.size())
              * (layers.isEmpty() ? allLayers : layers.size());
      console
          .err()
          .printf(
              "capture: %d points, %s%n",
              points, DoctorCommand.gib(CaptureWriter.bytes(source, points)));
      console.err().println("memory: " + checkpoint.memory(Policy.dense(checkpoint.shape(), 128)));
      CaptureWriter writer = CaptureWriter.begin(out, source, branches(source), this::wanted);
      try (ProgressDisplay progress = new ProgressDisplay(console, "capture", points)) {
        source.visit(counting(writer, progress));
      }
    }
    console.out().println("wrote " + out);
    return 0;
  }

  private static int branches(CalibrationSource source) {
    long calls = (long) source.samples() * source.schedule().steps() * source.model().layers();
    return Math.toIntExact(source.points() / calls);
  }

  private boolean wanted(CalibrationSource.Key key) {
    return (steps.isEmpty() || steps.contains(key.step()))
        && (layers.isEmpty() || layers.contains(key.layer()));
  }

  private static void within(String option, List<Integer> values, int count) {
    for (int value : values) {
      if (value < 0 || value >= count) {
        throw new CommandFailure(option + " " + value + "; expected 0 to " + (count - 1));
      }
    }
  }

  private static CalibrationSource.Visitor counting(
      CaptureWriter writer, ProgressDisplay progress) {
    return new CalibrationSource.Visitor() {
      @Override
      public boolean wants(CalibrationSource.Key key) {
        return writer.wants(key);
      }

      @Override
      public void accept(CalibrationSource.Point point) {
        writer.accept(point);
        progress.step();
      }
    };
  }
}

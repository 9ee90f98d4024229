package io.github.sparsevdit.cli.commands;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.github.sparsevdit.Backend;
import io.github.sparsevdit.cli.report.TypeAccuracy;
import io.github.sparsevdit.cli.terminal.CommandFailure;
import io.github.sparsevdit.cli.terminal.Console;
import io.github.sparsevdit.cli.terminal.Json;
import io.github.sparsevdit.eval.cases.AttentionCase;
import io.github.sparsevdit.eval.cases.CaseResult;
import io.github.sparsevdit.eval.cases.CaseResult.Status;
import io.github.sparsevdit.eval.cases.ReferenceCase;
import io.github.sparsevdit.eval.cases.ReferenceCases;
import io.github.sparsevdit.tensor.ElementType;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.function.Supplier;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code svdit check}. */
@Command(
    name = "check",
    description = {
      "Runs the reference cases and compares with what they should give.",
      "",
      "Attention must be as near to the float64 result as twice the plain formula's own rounding; a"
          + " denoiser, a scheduler and a whole run must agree with diffusers. Families that are"
          + " not supported count as skipped. The exit code is 1 if a case fails.",
      "",
      "A table at the end says what computing attention in e4m3 costs beside bf16."
    },
    footerHeading = "%nExamples:%n",
    footer = {
      "  svdit check                        the cases that come with svdit",
      "  svdit check --tier avx2            the same, with fewer instructions",
      "  svdit check --cases my/fixtures    cases of your own, in a folder like fixtures/"
    })
public final class CheckCommand implements Callable<Integer> {
  @Option(
      names = "--cases",
      paramLabel = "DIR",
      description =
          "A folder of cases, a part of one, or a single file (default: the packaged cases).")
  Path cases;

  @Option(names = "--json", description = "Print one JSON object instead of lines.")
  boolean json;

  @Mixin BackendOptions backendOptions;
  private final Console console;

  public CheckCommand(Console console) {
    this.console = console;
  }

  /** A case, in one element type where it has several, and what became of it. */
  private record Outcome(String name, CaseResult result) {
    boolean is(Status status) {
      return result.status() == status;
    }
  }

  @Override
  public Integer call() throws IOException {
    List<Outcome> outcomes = new ArrayList<>();
    TypeAccuracy accuracy = new TypeAccuracy();
    try (CaseFiles files = cases == null ? CaseFiles.packaged() : CaseFiles.in(cases);
        Backend backend = backendOptions.open()) {
      for (ReferenceCase each : ReferenceCases.find(files.root())) {
        run(each, backend, outcomes, accuracy);
      }
      if (outcomes.isEmpty()) {
        throw new CommandFailure("there is no case (*.safetensors) in " + cases);
      }
      if (json) {
        ObjectNode report = report(backend, outcomes);
        accuracy.putInto(report);
        Json.print(console.out(), report);
      } else {
        if (!accuracy.isEmpty()) {
          console.out().print(accuracy.table());
        }
        console.out().println(summary(outcomes) + " on " + backend.describe());
      }
    }
    return count(outcomes, Status.FAILED) == 0 ? 0 : 1;
  }

  private void run(
      ReferenceCase each, Backend backend, List<Outcome> outcomes, TypeAccuracy accuracy) {
    String name = each.family() + "/" + each.name();
    if (each instanceof AttentionCase attention) {
      int first = outcomes.size();
      for (ElementType type : ElementType.values()) {
        String typed = name + " " + type.name().toLowerCase(Locale.ROOT);
        add(typed, () -> attention.run(backend, type), outcomes);
      }
      if (outcomes.subList(first, outcomes.size()).stream().noneMatch(o -> o.is(Status.FAILED))) {
        accuracy.add(attention, backend);
      }
    } else {
      add(name, () -> each.run(backend), outcomes);
    }
  }

  /** What a case throws is its own failure; the others go on. */
  private void add(String name, Supplier<CaseResult> run, List<Outcome> outcomes) {
    CaseResult result;
    try {
      result = run.get();
    } catch (RuntimeException e) {
      result = CaseResult.failed(e.getMessage() == null ? e.toString() : e.getMessage());
    }
    Outcome outcome = new Outcome(name, result);
    outcomes.add(outcome);
    if (!json) {
      console.out().println(line(outcome));
    }
  }

  private static String line(Outcome outcome) {
    String verdict =
        switch (outcome.result().status()) {
          case PASSED -> "ok     ";
          case FAILED -> "FAILED ";
          case SKIPPED -> "skipped";
        };
    return String.format("%s  %-44s %s", verdict, outcome.name(), numbers(outcome)).stripTrailing();
  }

  private static String numbers(Outcome outcome) {
    CaseResult result = outcome.result();
    if (Double.isNaN(result.bound())) {
      return result.note();
    }
    String text =
        String.format(Locale.ROOT, "error %.2e, at most %.2e", result.error(), result.bound());
    return outcome.is(Status.FAILED) ? text + " (" + result.note() + ")" : text;
  }

  private static String summary(List<Outcome> outcomes) {
    return "%d passed, %d failed, %d skipped"
        .formatted(
            count(outcomes, Status.PASSED),
            count(outcomes, Status.FAILED),
            count(outcomes, Status.SKIPPED));
  }

  private static long count(List<Outcome> outcomes, Status status) {
    return outcomes.stream().filter(outcome -> outcome.is(status)).count();
  }

  private static ObjectNode report(Backend backend, List<Outcome> outcomes) {
    ObjectNode report = Json.object();
    report.put("backend", backend.describe());
    for (Status status : Status.values()) {
      report.put(status.name().toLowerCase(Locale.ROOT), count(outcomes, status));
    }
    var cases = report.putArray("cases");
    for (Outcome outcome : outcomes) {
      CaseResult result = outcome.result();
      ObjectNode node = cases.addObject().put("name", outcome.name());
      node.put("status", result.status().name().toLowerCase(Locale.ROOT));
      if (!Double.isNaN(result.bound())) {
        node.put("error", result.error()).put("bound", result.bound());
      }
      if (!result.note().isEmpty()) {
        node.put("note", result.note());
      }
    }
    return report;
  }
}

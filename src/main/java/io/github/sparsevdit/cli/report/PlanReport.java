package io.github.sparsevdit.cli.report;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.github.sparsevdit.Backend;
import io.github.sparsevdit.cli.terminal.Console;
import io.github.sparsevdit.cli.terminal.Json;
import io.github.sparsevdit.cli.terminal.TextTable;
import io.github.sparsevdit.estimate.ModelProfile;
import io.github.sparsevdit.estimate.PlannedRun;
import io.github.sparsevdit.estimate.Speeds;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.tensor.ElementType;
import java.io.PrintStream;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/**
 * What {@code svdit plan} prints of one run.
 *
 * @param densities by step and layer; null where only the dense run is asked for
 * @param speeds null where nothing was measured
 * @param backend that the speeds are of
 * @param assumed what neither the command nor the model said
 */
public record PlanReport(
    PlannedRun run,
    ElementType type,
    double[][] densities,
    Speeds speeds,
    Backend backend,
    List<String> assumed) {

  /** A line for each usual run of each published model. */
  public static void list(
      Console console, boolean json, List<ModelProfile> models, ElementType type) {
    TextTable table =
        new TextTable(
            "model", "video", "tokens", "steps", "PFLOP", "attention", "weights", "buffers");
    ObjectNode all = Json.object();
    ArrayNode lines = all.putArray("models");
    for (ModelProfile model : models) {
      for (ModelProfile.Run usual : model.runs()) {
        PlannedRun run = PlannedRun.of(model, usual);
        lines.add(new PlanReport(run, type, null, null, null, List.of()).json());
        table.add(
            model.name(),
            run.height() + "x" + run.width() + "x" + run.frames(),
            String.valueOf(run.sequence().tokens()),
            run.steps() + " x " + run.passes(),
            decimals(run.dense(), 2),
            percent(run.attention() / run.dense()),
            gigabytes(run.weightBytes(type)),
            gigabytes(run.activationBytes(type)));
      }
    }
    if (json) {
      Json.print(console.out(), all);
    } else {
      console.out().print(table);
      console.out().println("PFLOP of a whole dense run; svdit plan MODEL says more.");
    }
  }

  public void print(PrintStream out) {
    Sequence sequence = run.sequence();
    int[] latents = run.latents();
    out.printf(
        Locale.ROOT,
        "%s: %d x %d pixels, %d frames, %d steps of %d forward pass%s%n",
        run.model().title(),
        run.height(),
        run.width(),
        run.frames(),
        run.steps(),
        run.passes(),
        run.passes() == 1 ? "" : "es");
    line(out, "latents", "%d x %d x %d", latents[0], latents[1], latents[2]);
    line(
        out,
        "self-attention",
        "%,d tokens (%s), %d layers of %d heads of %d",
        sequence.tokens(),
        sequence,
        run.shape().layers(),
        run.shape().heads(),
        run.shape().headDim());
    line(
        out,
        "weights",
        "%.3f B parameters%s: %s of %s",
        run.geometry().parameters() * 1e-9,
        run.model().networks() == 1 ? "" : " in each of " + run.model().networks() + " networks",
        gigabytes(run.weightBytes(type)),
        type.name().toLowerCase(Locale.ROOT));
    line(out, "buffers", "%s beside them", gigabytes(run.activationBytes(type)));
    printWork(out);
    printPaper(out);
    printPhases(out);
    assumed.forEach(each -> line(out, "assumed", "%s", each));
    run.model().sources().forEach(source -> line(out, "source", "%s", source));
  }

  private void printWork(PrintStream out) {
    TextTable table = new TextTable("", "density", "products", "attention", "PFLOP", "time");
    table.add(row("dense", 1));
    if (densities != null) {
      table.add(row("sparse", density()));
    }
    out.print(table);
    if (speeds != null) {
      out.printf(
          Locale.ROOT,
          "time: an estimate for %s, at %.0f GFLOP/s of attention and %s of products as just"
              + " measured; all else left out%n",
          backend,
          speeds.attention() * 1e-9,
          Double.isNaN(speeds.products())
              ? "none"
              : decimals(speeds.products() * 1e-9, 0) + " GFLOP/s");
    }
  }

  private String[] row(String name, double density) {
    return new String[] {
      name,
      decimals(density, 3),
      decimals(run.products(), 2),
      decimals(density * run.attention(), 2),
      decimals(run.sparse(density), 2),
      speeds == null ? "-" : duration(run.seconds(speeds, density))
    };
  }

  private void printPaper(PrintStream out) {
    ModelProfile.Paper paper = run.paper();
    if (paper == null) {
      return;
    }
    line(
        out,
        "the paper",
        "dense %.2f PFLOP (here %+.2f %%), sparse %.2f: %.2f x less; its %s took %.0f s and %.0f s",
        paper.dense(),
        100 * (run.dense() / paper.dense() - 1),
        paper.sparse(),
        paper.dense() / paper.sparse(),
        paper.device(),
        paper.denseSeconds(),
        paper.sparseSeconds());
    line(
        out,
        "",
        "what it saved is an attention density of %.3f here%s",
        run.paperDensity(),
        densities == null
            ? "; --table or --density puts yours beside it"
            : String.format(
                Locale.ROOT, "; yours is %.3f: %.2f PFLOP", density(), run.sparse(density())));
  }

  /** Steps that are alike make a line. */
  private void printPhases(PrintStream out) {
    if (densities == null) {
      return;
    }
    out.println("density in percent, by steps and layers");
    int from = 0;
    for (int step = 1; step <= densities.length; step++) {
      if (step == densities.length || !Arrays.equals(densities[step], densities[from])) {
        StringBuilder layers = new StringBuilder();
        for (double layer : densities[from]) {
          layers.append(String.format(Locale.ROOT, " %3.0f", 100 * layer));
        }
        out.printf(
            Locale.ROOT,
            "  %-7s mean %3.0f:%s%n",
            from == step - 1 ? "" + from : from + "-" + (step - 1),
            100 * Arrays.stream(densities[from]).average().orElseThrow(),
            layers);
        from = step;
      }
    }
  }

  public ObjectNode json() {
    ObjectNode report = Json.object();
    report.put("model", run.model().name()).put("title", run.model().title());
    report.put("height", run.height()).put("width", run.width()).put("frames", run.frames());
    report.put("steps", run.steps()).put("passes", run.passes());
    Sequence sequence = run.sequence();
    report
        .putObject("sequence")
        .put("frames", sequence.frames())
        .put("height", sequence.height())
        .put("width", sequence.width())
        .put("text", sequence.text())
        .put("tokens", sequence.tokens());
    report.put("parameters", run.geometry().parameters());
    report.put("networks", run.model().networks());
    report.put("weightBytes", run.weightBytes(type));
    report.put("bufferBytes", run.activationBytes(type));
    report.put("productsPflop", run.products());
    report.put("attentionPflop", run.attention());
    report.put("densePflop", run.dense());
    if (densities != null) {
      report.put("density", density());
      report.put("sparsePflop", run.sparse(density()));
      ArrayNode steps = report.putArray("densities");
      for (double[] layers : densities) {
        ArrayNode step = steps.addArray();
        Arrays.stream(layers).forEach(step::add);
      }
    }
    if (run.paper() != null) {
      report
          .putObject("paper")
          .put("densePflop", run.paper().dense())
          .put("sparsePflop", run.paper().sparse())
          .put("impliedDensity", run.paperDensity());
    }
    if (speeds != null) {
      ObjectNode estimate = report.putObject("estimate");
      estimate.put("backend", backend.describe());
      estimate.put("attentionFlops", speeds.attention());
      if (!Double.isNaN(speeds.products())) {
        estimate.put("productFlops", speeds.products());
      }
      estimate.put("denseSeconds", run.seconds(speeds, 1));
      if (densities != null) {
        estimate.put("sparseSeconds", run.seconds(speeds, density()));
      }
    }
    assumed.forEach(each -> report.withArray("assumed").add(each));
    run.model().sources().forEach(source -> report.withArray("sources").add(source));
    return report;
  }

  private double density() {
    return PlannedRun.mean(densities);
  }

  private static void line(PrintStream out, String name, String format, Object... values) {
    out.printf("  %-15s %s%n", name, String.format(Locale.ROOT, format, values));
  }

  private static String decimals(double value, int digits) {
    return String.format(Locale.ROOT, "%." + digits + "f", value);
  }

  private static String percent(double share) {
    return decimals(100 * share, 1) + " %";
  }

  static String gigabytes(long bytes) {
    return decimals(bytes * 1e-9, bytes < 10e9 ? 2 : 1) + " GB";
  }

  static String duration(double seconds) {
    if (seconds < 120) {
      return decimals(seconds, 1) + " s";
    }
    return seconds < 7200 ? decimals(seconds / 60, 1) + " min" : decimals(seconds / 3600, 1) + " h";
  }
}

package io.github.sparsevdit.cli.commands;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.github.sparsevdit.cli.map.ModeMaps;
import io.github.sparsevdit.cli.report.Comparison;
import io.github.sparsevdit.cli.terminal.Json;
import io.github.sparsevdit.cli.terminal.TextTable;
import io.github.sparsevdit.pattern.Mode;
import io.github.sparsevdit.pipeline.Generated;
import io.github.sparsevdit.search.ParetoFront;
import io.github.sparsevdit.table.DispatchTable;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.ToDoubleFunction;

/**
 * What the main job found.
 *
 * @param backend where it ran
 * @param checkpoint what was run
 * @param front of the search
 * @param prompts generated for; run i of every list is of prompt i
 * @param dense the dense runs
 * @param plainDense the same with self-attention in the type of all else, where it is in another
 * @param sparse the tables with their runs, densest first
 */
record DemoResult(
    String backend,
    Checkpoint checkpoint,
    ParetoFront front,
    List<String> prompts,
    List<Generated> dense,
    List<Generated> plainDense,
    List<Sparse> sparse) {
  DemoResult(
      String backend,
      Checkpoint checkpoint,
      ParetoFront front,
      List<String> prompts,
      List<Sparse> sparse) {
    this(backend, checkpoint, front, prompts, new ArrayList<>(), new ArrayList<>(), sparse);
  }

  /**
   * One table.
   *
   * @param target the density asked for
   * @param runs with it
   * @param plainRuns the same with self-attention in the type of all else, where it is in another
   */
  record Sparse(
      double target, DispatchTable table, List<Generated> runs, List<Generated> plainRuns) {
    Sparse(double target, DispatchTable table) {
      this(target, table, new ArrayList<>(), new ArrayList<>());
    }

    double density() {
      return runs.getFirst().density();
    }
  }

  /** How near run {@code prompt} of {@code sparse} comes to the dense one. */
  Comparison comparison(Sparse sparse, int prompt) {
    return Comparison.of(dense.get(prompt), sparse.runs().get(prompt));
  }

  /** Whether self-attention is computed in another type than all else. */
  boolean comparesTypes() {
    return checkpoint.attentionType() != checkpoint.type();
  }

  /** Mean PSNR of runs and the same runs with self-attention in the type of all else. */
  private double typePsnr(List<Generated> runs, List<Generated> plain) {
    double sum = 0;
    for (int i = 0; i < prompts.size(); i++) {
      sum += Comparison.of(plain.get(i), runs.get(i)).psnr();
    }
    return sum / prompts.size();
  }

  /** What the type of self-attention changes; empty where it is that of all else. */
  private String typeLine() {
    if (!comparesTypes()) {
      return "";
    }
    StringBuilder line = new StringBuilder();
    line.append(
        String.format(
            Locale.ROOT,
            "Attention in %s; PSNR against the same run in %s: dense %.2f dB",
            AttentionTypeOption.name(checkpoint.attentionType()),
            AttentionTypeOption.name(checkpoint.type()),
            typePsnr(dense, plainDense)));
    for (Sparse each : sparse) {
      line.append(
          String.format(
              Locale.ROOT,
              ", density %.3f %.2f dB",
              each.density(),
              typePsnr(each.runs(), each.plainRuns())));
    }
    return line.append(".\n").toString();
  }

  private double mean(Sparse sparse, ToDoubleFunction<Comparison> value) {
    double sum = 0;
    for (int i = 0; i < prompts.size(); i++) {
      sum += value.applyAsDouble(comparison(sparse, i));
    }
    return sum / prompts.size();
  }

  private static double attention(List<Generated> runs) {
    return runs.stream().mapToDouble(Generated::attentionSeconds).sum();
  }

  private static double total(List<Generated> runs) {
    return runs.stream().mapToDouble(Generated::seconds).sum();
  }

  private double speedup(Sparse sparse) {
    return attention(dense) / attention(sparse.runs());
  }

  /** The table that the main job prints. */
  String table() {
    TextTable table =
        new TextTable(
            "heads per mode",
            "density",
            "PSNR dB",
            "SSIM",
            "attention dense s",
            "sparse s",
            "speed-up");
    for (Sparse each : sparse) {
      table.add(
          modes(each.table()),
          String.format(Locale.ROOT, "%.3f", each.density()),
          String.format(Locale.ROOT, "%.2f", mean(each, Comparison::psnr)),
          String.format(Locale.ROOT, "%.3f", mean(each, Comparison::ssim)),
          String.format(Locale.ROOT, "%.2f", attention(dense)),
          String.format(Locale.ROOT, "%.2f", attention(each.runs())),
          String.format(Locale.ROOT, "%.2f", speedup(each)));
    }
    return table
        + "Means over %d prompts that the search did not see; times are their sum, on %s.%n"
            .formatted(prompts.size(), backend)
        + typeLine();
  }

  /** Over all phases: a head counts once in each. */
  private static String modes(DispatchTable table) {
    StringBuilder text = new StringBuilder();
    for (Map.Entry<Mode, Integer> entry : ModeMaps.of(table).counts().entrySet()) {
      text.append(text.isEmpty() ? "" : ", ");
      text.append(entry.getKey().json()).append(' ').append(entry.getValue());
    }
    return text.toString();
  }

  /** The same and more, for a script. */
  ObjectNode json() {
    ObjectNode report = Json.object();
    report.put("backend", backend);
    report.put("model", checkpoint.shape().name());
    report.put("steps", checkpoint.schedule().steps());
    report.put("attentionType", AttentionTypeOption.name(checkpoint.attentionType()));
    if (comparesTypes()) {
      report.put("plainType", AttentionTypeOption.name(checkpoint.type()));
      report.put("psnrToPlainDense", typePsnr(dense, plainDense));
    }
    var front = report.putArray("front");
    for (ParetoFront.Point point : front().points()) {
      front
          .addObject()
          .put("knob", point.knob())
          .put("density", point.density())
          .put("error", point.error());
    }
    var tables = report.putArray("tables");
    for (Sparse each : sparse) {
      ObjectNode node = tables.addObject();
      ObjectNode heads = node.putObject("headsPerMode");
      ModeMaps.of(each.table()).counts().forEach((mode, n) -> heads.put(mode.json(), n));
      node.put("targetDensity", each.target());
      node.put("density", each.density());
      node.put("psnr", mean(each, Comparison::psnr));
      node.put("ssim", mean(each, Comparison::ssim));
      if (comparesTypes()) {
        node.put("psnrToPlain", typePsnr(each.runs(), each.plainRuns()));
      }
      node.put("attentionSecondsDense", attention(dense));
      node.put("attentionSecondsSparse", attention(each.runs()));
      node.put("attentionSpeedup", speedup(each));
      node.put("secondsDense", total(dense));
      node.put("secondsSparse", total(each.runs()));
      var videos = node.putArray("videos");
      for (int i = 0; i < prompts.size(); i++) {
        Comparison comparison = comparison(each, i);
        videos
            .addObject()
            .put("prompt", prompts.get(i))
            .put("psnr", comparison.psnr())
            .put("ssim", comparison.ssim());
      }
    }
    return report;
  }
}

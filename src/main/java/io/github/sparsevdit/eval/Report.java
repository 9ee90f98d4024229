package io.github.sparsevdit.eval;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.github.sparsevdit.internal.io.JsonText;
import io.github.sparsevdit.pattern.Mode;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * Policies compared over the same clips, in the order given.
 *
 * @param rows one per policy
 */
public record Report(List<Row> rows) {
  public Report {
    rows = List.copyOf(rows);
  }

  /**
   * One policy.
   *
   * @param name what it is called
   * @param heads mean over steps of how many heads (of all layers) have each mode
   * @param density mean over steps, layers and heads, dense steps counted
   * @param psnr per clip, in dB against the dense run
   * @param ssim per clip
   * @param denseSeconds mean time a clip's self-attention takes densely, measured beside the other;
   *     NaN where it was not timed
   * @param sparseSeconds the same with the policy
   */
  public record Row(
      String name,
      Map<Mode, Double> heads,
      double density,
      List<Double> psnr,
      List<Double> ssim,
      double denseSeconds,
      double sparseSeconds) {
    public Row {
      heads = Map.copyOf(heads);
      psnr = List.copyOf(psnr);
      ssim = List.copyOf(ssim);
    }

    /** Mean over the clips. */
    public double meanPsnr() {
      return mean(psnr);
    }

    /** Mean over the clips. */
    public double meanSsim() {
      return mean(ssim);
    }

    /** Of attention: dense time / sparse time. */
    public double speedup() {
      return denseSeconds / sparseSeconds;
    }

    private static double mean(List<Double> values) {
      return values.stream().mapToDouble(Double::doubleValue).average().orElse(Double.NaN);
    }
  }

  /** A plain-text table. */
  public String render() {
    int width = Math.max(6, rows.stream().mapToInt(row -> row.name().length()).max().orElse(0));
    StringBuilder text = new StringBuilder();
    String head = "%-" + width + "s  %8s  %8s  %6s  %8s  %8s  %8s  %s%n";
    text.append(
        head.formatted(
            "policy", "density", "PSNR dB", "SSIM", "dense s", "sparse s", "speed-up", "heads"));
    for (Row row : rows) {
      text.append(
          String.format(
              Locale.ROOT,
              "%-" + width + "s  %8.3f  %8.2f  %6.4f  %8.2f  %8.2f  %8.2f  %s%n",
              row.name(),
              row.density(),
              row.meanPsnr(),
              row.meanSsim(),
              row.denseSeconds(),
              row.sparseSeconds(),
              row.speedup(),
              heads(row)));
    }
    return text.toString();
  }

  /** The same for machines: an array of objects, one per policy. */
  public String toJson() {
    ArrayNode array = JsonNodeFactory.instance.arrayNode();
    for (Row row : rows) {
      ObjectNode object =
          array
              .addObject()
              .put("policy", row.name())
              .put("density", row.density())
              .put("psnr", row.meanPsnr())
              .put("ssim", row.meanSsim())
              .put("denseAttentionSeconds", row.denseSeconds())
              .put("sparseAttentionSeconds", row.sparseSeconds())
              .put("speedup", row.speedup());
      ObjectNode heads = object.putObject("heads");
      for (Mode mode : Mode.values()) {
        if (row.heads().containsKey(mode)) {
          heads.put(mode.json(), row.heads().get(mode));
        }
      }
      ArrayNode clips = object.putArray("clips");
      for (int i = 0; i < row.psnr().size(); i++) {
        clips.addObject().put("psnr", row.psnr().get(i)).put("ssim", row.ssim().get(i));
      }
    }
    return JsonText.pretty(array);
  }

  private static String heads(Row row) {
    return java.util.Arrays.stream(Mode.values())
        .filter(row.heads()::containsKey)
        .map(mode -> String.format(Locale.ROOT, "%s %.1f", mode.json(), row.heads().get(mode)))
        .collect(Collectors.joining(", "));
  }
}

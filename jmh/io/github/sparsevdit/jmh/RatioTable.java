package io.github.sparsevdit.jmh;

import io.github.sparsevdit.AttentionPlan;
import io.github.sparsevdit.Backend;
import io.github.sparsevdit.tensor.ElementType;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.OptionalDouble;

/**
 * What the figures come to, as ratios within the run, with the ratio that is wanted where one is.
 * What was not measured has no line.
 */
final class RatioTable {
  private final Measured measured;
  private final StringBuilder text = new StringBuilder();

  RatioTable(Measured measured) {
    this.measured = measured;
  }

  String render() {
    dense();
    tiers();
    patterns();
    fusion();
    blocks();
    calls();
    sweeps();
    files();
    return text.toString();
  }

  private void dense() {
    List<String> shapes = measured.values("Dense.", "shape");
    title(shapes, "Dense attention: heads x tokens x head dim");
    for (String shape : shapes) {
      double flop = DenseBenchmark.inputs(shape).flop();
      for (Contender contender : Contender.values()) {
        time(shape, contender)
            .ifPresent(
                ms ->
                    line(
                        "%-12s %-11s %9.2f ms %7.1f GFLOP/s",
                        shape, contender, ms, flop / ms * 1e-6));
      }
    }
    for (String shape : shapes) {
      boolean small = shape.startsWith("8x");
      double wantedBf16 = shape.endsWith("x64") ? 1.6 : 1.9;
      speed(shape, Contender.SVDIT_FP32, Contender.ONNX_FP32, small ? 1.0 : 0);
      speed(shape, Contender.SVDIT_FP32, Contender.TORCH_FP32, small ? 1.8 : 0);
      speed(shape, Contender.SVDIT_BF16, Contender.ONNX_FP32, small ? 0 : wantedBf16);
      speed(shape, Contender.SVDIT_BF16, Contender.TORCH_BF16, 0);
      speed(shape, Contender.SVDIT_E4M3, Contender.SVDIT_BF16, 0);
      roofline(shape, "BF16", small ? 0 : shape.endsWith("x64") ? 0.65 : 0.75);
      roofline(shape, "FP32", 0);
    }
  }

  private OptionalDouble time(String shape, Contender contender) {
    return measured.median("Dense.attention contender=" + contender + " shape=" + shape);
  }

  private void speed(String shape, Contender ours, Contender peer, double wanted) {
    ratio(shape + " speed: " + ours + " / " + peer, time(shape, peer), time(shape, ours), wanted);
  }

  private void roofline(String shape, String type, double wanted) {
    OptionalDouble product = measured.median("Product.product type=" + type);
    OptionalDouble ours = time(shape, Contender.valueOf("SVDIT_" + type));
    if (product.isPresent() && ours.isPresent()) {
      double rate = ProductBenchmark.FLOP / product.getAsDouble();
      double attention = DenseBenchmark.inputs(shape).flop() / ours.getAsDouble();
      ratio(
          String.format(
              Locale.ROOT, "%s rate: SVDIT_%s / oneDNN (%.0f GFLOP/s)", shape, type, rate * 1e-6),
          OptionalDouble.of(attention),
          OptionalDouble.of(rate),
          wanted);
    }
  }

  private void tiers() {
    List<String> types = measured.values("Tier.", "type");
    title(types, "Tiers: ms, and speed in that of the AVX512 tier (1x2048, one head)");
    for (String type : types) {
      for (String headDim : measured.values("Tier.", "headDim")) {
        for (String pattern : measured.values("Tier.", "pattern")) {
          StringBuilder line = new StringBuilder();
          String rest = " headDim=" + headDim + " pattern=" + pattern + " tier=%s type=" + type;
          OptionalDouble base = measured.median("Tier.attention" + rest.formatted("AVX512"));
          for (String tier : measured.values("Tier.", "tier")) {
            OptionalDouble ms = measured.median("Tier.attention" + rest.formatted(tier));
            if (ms.isPresent()) {
              double of = base.orElse(Double.NaN) / ms.getAsDouble();
              line.append(
                  String.format(Locale.ROOT, "  %s %.2f (%.2f)", tier, ms.getAsDouble(), of));
            }
          }
          line("%-4s D %-3s %-18s%s", type, headDim, pattern, line);
        }
      }
    }
    for (String headDim : measured.values("Tier.", "headDim")) {
      String rest = "Tier.attention headDim=" + headDim + " pattern=full tier=%s type=FP32";
      ratio(
          "FP32 D " + headDim + " speed: AVX2 / AVX512",
          measured.median(rest.formatted("AVX512")),
          measured.median(rest.formatted("AVX2")),
          0.45);
    }
  }

  private void patterns() {
    List<String> patterns = measured.values("Pattern.", "pattern");
    title(patterns, "Sparse: (dense time x density) / time (8192 tokens, one head, block 128)");
    double least = Double.POSITIVE_INFINITY;
    for (String type : measured.values("Pattern.", "type")) {
      for (String headDim : measured.values("Pattern.", "headDim")) {
        String rest = "Pattern.attention headDim=" + headDim + " pattern=%s type=" + type;
        OptionalDouble dense = measured.median(rest.formatted("full"));
        for (String pattern : patterns) {
          OptionalDouble ms = measured.median(rest.formatted(pattern));
          if (ms.isPresent() && dense.isPresent()) {
            double density = density(pattern, Integer.parseInt(headDim));
            double ideal = dense.getAsDouble() * density / ms.getAsDouble();
            least = pattern.equals("full") ? least : Math.min(least, ideal);
            line(
                "%-4s D %-3s %-20s density %.3f %8.2f ms %6.3f of ideal",
                type, headDim, pattern, density, ms.getAsDouble(), ideal);
          }
        }
      }
    }
    if (Double.isFinite(least)) {
      ratio("the least", OptionalDouble.of(least), OptionalDouble.of(1), 0.90);
    }
  }

  private static double density(String pattern, int headDim) {
    Inputs inputs = PatternBenchmark.inputs(headDim);
    try (Backend backend = Backend.cpu();
        AttentionPlan plan =
            backend.plan(
                inputs.sequence,
                ElementType.FP32,
                headDim,
                Patterns.BLOCK,
                List.of(Patterns.of(pattern, inputs.sequence)))) {
      return Arrays.stream(plan.density()).average().orElseThrow();
    }
  }

  private void fusion() {
    List<String> frames = measured.values("Fusion.", "frames");
    title(frames, "Head fusion: 12 heads of four modes, one call against head by head");
    for (String number : frames) {
      ratio(
          FusionBenchmark.inputs(Integer.parseInt(number)).sequence.tokens() + " tokens speed",
          measured.median("Fusion.headByHead frames=" + number),
          measured.median("Fusion.oneCall frames=" + number),
          0);
    }
  }

  private void blocks() {
    List<String> types = measured.values("Block.", "type");
    title(types, "A block of Wan 1.3B, 4096 video and 512 text tokens: where its time goes");
    for (String type : types) {
      String key = "Block.block type=" + type;
      OptionalDouble whole = measured.median(key);
      OptionalDouble others = measured.counted(key, "others");
      OptionalDouble with = measured.median("Block.productWithGelu type=" + type);
      OptionalDouble without = measured.median("Block.productWithoutGelu type=" + type);
      if (whole.isPresent() && others.isPresent() && with.isPresent() && without.isPresent()) {
        double gelu = with.getAsDouble() - without.getAsDouble();
        line(
            "%-4s %8.1f ms: products %.1f (GELU %.1f of them), attention %.1f, others %.1f",
            type,
            whole.getAsDouble(),
            measured.counted(key, "products").orElse(Double.NaN),
            gelu,
            measured.counted(key, "attention").orElse(Double.NaN),
            others.getAsDouble());
        atMost(
            type + " share outside attention and matrix products, GELU included",
            (others.getAsDouble() + gelu) / whole.getAsDouble(),
            0.15);
      }
    }
  }

  private void calls() {
    List<String> modes = measured.values("Call.", "mode");
    title(modes, "A call, in ns and bytes of garbage");
    for (String mode : modes) {
      OptionalDouble raw = measured.median("Call.rawInvokeExact mode=" + mode);
      for (String way : List.of("rawInvokeExact", "run", "runWithOptions")) {
        String key = "Call." + way + " mode=" + mode;
        measured
            .median(key)
            .ifPresent(
                ns ->
                    line(
                        "%-5s %-15s %8.1f ns, %+7.1f over raw (wanted <= 200), %.3f B/op",
                        mode,
                        way,
                        ns,
                        ns - raw.orElse(Double.NaN),
                        measured.garbage(key).orElse(Double.NaN)));
      }
    }
  }

  private void sweeps() {
    List<String> types = measured.values("Sweep.", "type");
    title(types, "Search: a pass in dense passes, and candidates a second");
    for (String type : types) {
      OptionalDouble dense = measured.median("Sweep.densePass type=" + type);
      for (String pass : List.of("mass", "diagonal", "multiDiagonal", "verticalStripe")) {
        OptionalDouble ms = measured.median("Sweep." + pass + " type=" + type);
        if (ms.isPresent()) {
          int candidates = SweepBenchmark.stops().length * SweepBenchmark.HEADS;
          line(
              "%-4s %-15s %8.2f ms %6.2f dense passes%s",
              type,
              pass,
              ms.getAsDouble(),
              ms.getAsDouble() / dense.orElse(Double.NaN),
              pass.equals("mass")
                  ? ""
                  : String.format(
                      Locale.ROOT,
                      ", %d windows or sizes of %d heads: %.0f a second",
                      SweepBenchmark.stops().length,
                      SweepBenchmark.HEADS,
                      1e3 * candidates / ms.getAsDouble()));
        }
      }
    }
    for (String share : measured.values("Search.", "share")) {
      measured
          .median("Search.search share=" + share + " type=BF16")
          .ifPresent(
              ms ->
                  line(
                      "whole search of %d tokens, share %s: %.0f ms, %.0f (head, candidate, point)"
                          + " a second",
                      SearchBenchmark.SEQUENCE.tokens(),
                      share,
                      ms,
                      1e3 * SearchBenchmark.scores() / ms));
    }
  }

  private void files() {
    for (String size : measured.values("Safetensors.", "gibibytes")) {
      title(List.of(size), "Opening a safetensors file of " + size + " GiB, wanted < 50 ms");
      for (String how : List.of("openFirst", "openAgain")) {
        measured
            .median("Safetensors." + how + " gibibytes=" + size)
            .ifPresent(ms -> line("%-10s %8.2f ms", how, ms));
      }
    }
  }

  private void title(List<String> measuredValues, String title) {
    if (!measuredValues.isEmpty()) {
      text.append(text.isEmpty() ? "" : "\n").append(title).append('\n');
    }
  }

  private void ratio(
      String what, OptionalDouble numerator, OptionalDouble denominator, double wanted) {
    if (numerator.isPresent() && denominator.isPresent()) {
      double ratio = numerator.getAsDouble() / denominator.getAsDouble();
      String wish =
          wanted == 0
              ? ""
              : String.format(
                  Locale.ROOT,
                  "  (wanted >= %.2f%s)",
                  wanted,
                  ratio >= wanted ? "" : ", NOT REACHED");
      line("%-58s %6.3f%s", what, ratio, wish);
    }
  }

  private void atMost(String what, double share, double wanted) {
    line(
        "%-68s %6.3f  (wanted <= %.2f%s)",
        what, share, wanted, share <= wanted ? "" : ", NOT REACHED");
  }

  private void line(String format, Object... arguments) {
    text.append("  ").append(String.format(Locale.ROOT, format, arguments)).append('\n');
  }
}

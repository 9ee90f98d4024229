package io.github.sparsevdit.cli.commands;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.github.sparsevdit.AttentionPlan;
import io.github.sparsevdit.Backend;
import io.github.sparsevdit.cli.terminal.Console;
import io.github.sparsevdit.cli.terminal.Json;
import io.github.sparsevdit.cli.terminal.ProgressDisplay;
import io.github.sparsevdit.cli.terminal.TextTable;
import io.github.sparsevdit.pattern.Mode;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code svdit bench}. */
@Command(
    name = "bench",
    description = {
      "Times attention by mode and density, on random tensors.",
      "",
      "GFLOP/s count visible pairs only (4 x pairs x head dim). 'of ideal' is dense time x density"
          + " over the time it took: 1 means that every skipped pair saved its full share."
    },
    footerHeading = "%nExamples:%n",
    footer = {
      "  svdit bench                                        8 heads, 4,096 tokens, bf16",
      "  svdit bench --sequence 21x30x52 --heads 12 --head-dim 128",
      "  svdit bench --type fp32 --tier avx2 --densities 0.25,0.5 --json"
    })
public final class BenchCommand implements Callable<Integer> {
  private static final int FEWEST_ROUNDS = 5;
  private static final double LONGEST_SECONDS = 86_400;
  private static final Mode[] SPARSE = {Mode.DIAGONAL, Mode.MULTI_DIAGONAL, Mode.VERTICAL_STRIPE};

  @Option(
      names = "--sequence",
      paramLabel = "TxHxW",
      defaultValue = "16x16x16",
      converter = SequenceConverter.class,
      description = "Tokens: frames x height x width, +N for text (default: ${DEFAULT-VALUE}).")
  Sequence sequence;

  @Option(
      names = "--batch",
      paramLabel = "N",
      defaultValue = "1",
      description = "Rows (default: 1).")
  int batch;

  @Option(
      names = "--heads",
      paramLabel = "N",
      defaultValue = "8",
      description = "Heads (default: 8).")
  int heads;

  @Option(
      names = "--head-dim",
      paramLabel = "N",
      defaultValue = "64",
      description = "Head dim (default: 64).")
  int headDim;

  @Option(
      names = "--type",
      paramLabel = "TYPE",
      defaultValue = "bf16",
      description =
          "What is computed in: bf16, fp16, fp32, or e4m3 on bf16 tensors (default: bf16).")
  ElementType type;

  @Option(
      names = "--block",
      paramLabel = "N",
      defaultValue = "128",
      description = "Tokens per block (default: 128).")
  int block;

  @Option(
      names = "--densities",
      paramLabel = "D",
      split = ",",
      defaultValue = "0.1,0.2,0.3,0.5",
      description = "Densities to come near to (default: ${DEFAULT-VALUE}).")
  List<Double> densities;

  @Option(
      names = "--seconds",
      paramLabel = "S",
      defaultValue = "1",
      description = "Time to spend on each line (default: 1).")
  double seconds;

  @Option(names = "--json", description = "Print one JSON object.")
  boolean json;

  @Mixin BackendOptions backendOptions;
  @Spec CommandSpec spec;
  private final Console console;

  public BenchCommand(Console console) {
    this.console = console;
  }

  /** One line of the table. */
  private record Measured(
      Mode mode, double density, double milliseconds, double gflops, double ofIdeal) {}

  @Override
  public Integer call() {
    for (double density : densities) {
      if (!(density > 0 && density <= 1)) {
        throw new ParameterException(
            spec.commandLine(),
            "density " + density + " in --densities; expected over 0 and up to 1");
      }
    }
    if (!(seconds >= 0 && seconds <= LONGEST_SECONDS)) {
      throw new ParameterException(
          spec.commandLine(),
          "--seconds %s; expected 0 to %.0f".formatted(seconds, LONGEST_SECONDS));
    }
    requirePositive("--batch", batch);
    requirePositive("--heads", heads);
    requirePositive("--head-dim", headDim);
    requirePositive("--block", block);
    try (Backend backend = backendOptions.open()) {
      List<Measured> measured = measure(backend);
      if (json) {
        Json.print(console.out(), report(backend, measured));
      } else {
        console.out().println(setting() + " on " + backend.describe());
        console.out().print(table(measured));
      }
    }
    return 0;
  }

  private void requirePositive(String option, int value) {
    if (value < 1) {
      throw new ParameterException(
          spec.commandLine(), "%s %d; expected at least 1".formatted(option, value));
    }
  }

  private String setting() {
    return "%d x %d heads x %s x %d, %s, block %d"
        .formatted(batch, heads, sequence, headDim, type.name().toLowerCase(Locale.ROOT), block);
  }

  private List<Measured> measure(Backend backend) {
    Set<Pattern> patterns = new LinkedHashSet<>(List.of(Pattern.full()));
    for (Mode mode : SPARSE) {
      densities.forEach(density -> patterns.add(near(backend, mode, density)));
    }
    List<Timed> timed = new ArrayList<>();
    for (Pattern pattern : patterns) {
      List<Pattern> alike = Collections.nCopies(heads, pattern);
      timed.add(new Timed(backend.plan(sequence, type, headDim, block, alike)));
    }
    long[] shape = {batch, heads, sequence.tokens(), headDim};
    try (Tensor q = random(backend, shape, 1);
        Tensor k = random(backend, shape, 2);
        Tensor v = random(backend, shape, 3);
        Tensor out = backend.allocate(type.tensorType(), shape)) {
      time(backend, timed, q, k, v, out);
      return timed.stream().map(each -> line(each, timed.getFirst())).toList();
    } finally {
      timed.forEach(each -> each.plan.close());
    }
  }

  /** A plan with the times it took. */
  private record Timed(AttentionPlan plan, List<Double> times) {
    Timed(AttentionPlan plan) {
      this(plan, new ArrayList<>());
    }

    double density() {
      return plan.density()[0];
    }

    double median() {
      return times.stream().sorted().toList().get(times.size() / 2);
    }
  }

  /** The plans take turns, so that a disturbance hits all of them alike. */
  private void time(Backend backend, List<Timed> timed, Tensor q, Tensor k, Tensor v, Tensor out) {
    timed.forEach(each -> each.plan.run(q, k, v, out));
    backend.synchronize();
    long total = (long) (1e3 * seconds * timed.size());
    long begin = System.nanoTime();
    try (ProgressDisplay progress = new ProgressDisplay(console, "timing (ms)", total)) {
      long passed = 0;
      for (int round = 0; passed < total || round < FEWEST_ROUNDS; round++) {
        for (Timed each : timed) {
          long start = System.nanoTime();
          each.plan.run(q, k, v, out);
          backend.synchronize(); // on a device run() has only queued the work
          each.times.add((System.nanoTime() - start) * 1e-9);
        }
        passed = (System.nanoTime() - begin) / 1_000_000;
        progress.reached(passed);
      }
    }
  }

  private Tensor random(Backend backend, long[] shape, long seed) {
    Random random = new Random(seed);
    float[] values = new float[Math.toIntExact(shape[0] * shape[1] * shape[2] * shape[3])];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return backend.allocate(type.tensorType(), shape).copyFrom(values);
  }

  private Measured line(Timed timed, Timed dense) {
    double density = timed.density();
    double pairs = density * batch * heads * sequence.tokens() * (double) sequence.tokens();
    return new Measured(
        timed.plan.patterns().getFirst().mode(),
        density,
        1e3 * timed.median(),
        4 * pairs * headDim / timed.median() * 1e-9,
        dense.median() * density / timed.median());
  }

  /** The pattern of {@code mode} whose density is nearest to {@code density}. */
  private Pattern near(Backend backend, Mode mode, double density) {
    int blocks = sequence.videoBlocks(block);
    // No stripe at all would be nothing to time; window 0 is the block itself.
    int low = mode == Mode.VERTICAL_STRIPE ? 1 : 0;
    Pattern best = pattern(mode, low);
    double distance = Double.POSITIVE_INFINITY;
    int high = blocks;
    while (low <= high) { // density rises with the size
      int size = (low + high) >>> 1;
      double found = density(backend, pattern(mode, size));
      if (Math.abs(found - density) < distance) {
        distance = Math.abs(found - density);
        best = pattern(mode, size);
      }
      if (found < density) {
        low = size + 1;
      } else {
        high = size - 1;
      }
    }
    return best;
  }

  private Pattern pattern(Mode mode, int size) {
    return switch (mode) {
      case DIAGONAL -> Pattern.diagonal((long) size * block);
      case MULTI_DIAGONAL -> Pattern.multiDiagonal((long) size * block);
      default -> Pattern.verticalStripe(spread(size));
    };
  }

  /** {@code size} blocks, evenly spread: their keys are no single run. */
  private int[] spread(int size) {
    int blocks = sequence.videoBlocks(block);
    int[] spread = new int[Math.min(size, blocks)];
    Arrays.setAll(spread, i -> (int) ((long) i * blocks / spread.length));
    return spread;
  }

  private double density(Backend backend, Pattern pattern) {
    try (AttentionPlan plan = backend.plan(sequence, type, headDim, block, List.of(pattern))) {
      return plan.density()[0];
    }
  }

  private static String table(List<Measured> measured) {
    TextTable table = new TextTable("mode", "density", "ms", "GFLOP/s", "of ideal");
    for (Measured line : measured) {
      table.add(
          line.mode.json(),
          String.format(Locale.ROOT, "%.3f", line.density),
          String.format(Locale.ROOT, "%.2f", line.milliseconds),
          String.format(Locale.ROOT, "%.0f", line.gflops),
          String.format(Locale.ROOT, "%.2f", line.ofIdeal));
    }
    return table.toString();
  }

  private ObjectNode report(Backend backend, List<Measured> measured) {
    ObjectNode report = Json.object();
    report.put("backend", backend.describe());
    report.put("setting", setting());
    ArrayNode lines = report.putArray("measured");
    for (Measured line : measured) {
      lines
          .addObject()
          .put("mode", line.mode.json())
          .put("density", line.density)
          .put("milliseconds", line.milliseconds)
          .put("gflops", line.gflops)
          .put("ofIdeal", line.ofIdeal);
    }
    return report;
  }
}

package io.github.sparsevdit.table;

import io.github.sparsevdit.internal.io.AtomicFiles;
import io.github.sparsevdit.pattern.ModelShape;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Policy;
import io.github.sparsevdit.pattern.Sequence;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.Objects;

/**
 * The stored result of a search: for each phase of timesteps, layer and head a pattern. A static
 * policy, immutable, stored as readable JSON. It is for one model (layers, heads, head dim; the
 * name is a label), one sequence and one block size. For another sequence it must be rescaled.
 */
public final class DispatchTable implements Policy {
  /** The version this library writes, and the only one it reads. */
  public static final int VERSION = 1;

  /**
   * What a head does, and what the search measured of it.
   *
   * @param density visible pairs / all pairs; NaN where not known
   * @param error the share of the layer's output that the pattern disturbs; NaN where not known
   */
  public record HeadEntry(Pattern pattern, double density, double error) {
    public HeadEntry {
      Objects.requireNonNull(pattern, "pattern");
      requireMeasure("density", density);
      requireMeasure("error", error);
    }

    /** With nothing known of density and error. */
    public HeadEntry(Pattern pattern) {
      this(pattern, Double.NaN, Double.NaN);
    }

    private static void requireMeasure(String name, double value) {
      if (value < 0 || Double.isInfinite(value)) {
        throw new IllegalArgumentException(
            name + " is " + value + ", expected a finite number of at least 0");
      }
    }
  }

  /**
   * A range of timesteps. {@code from} is its greatest; {@code to} is its lower bound, which
   * belongs to the next phase (0 belongs to the last).
   *
   * @param layers per layer an entry per head; empty for full attention everywhere
   */
  public record Phase(double from, double to, List<List<HeadEntry>> layers) {
    public Phase {
      layers = layers == null ? List.of() : layers.stream().map(List::copyOf).toList();
    }

    /** Full attention everywhere. */
    public static Phase full(double from, double to) {
      return new Phase(from, to, List.of());
    }

    /** Whether every head of every layer has full attention. */
    public boolean dense() {
      return layers.isEmpty();
    }
  }

  /**
   * How a table was found. A run compares {@code checkpointSha256} with its checkpoint; all else is
   * for the reader's information.
   *
   * @param rule {@code "lagrangian"}, {@code "paper"}
   * @param lambda the weight of the cost; NaN where it does not apply
   * @param epsilon the paper's threshold; NaN where it does not apply
   * @param cost {@code "measured"}, {@code "sparsity"}; empty where not known
   * @param device it was measured on; empty where it does not matter
   * @param samples how many there were
   * @param timesteps that were sampled
   * @param sourceSha256 of what was calibrated on; empty where not known
   * @param checkpointSha256 of the checkpoint it was searched on, as {@code
   *     VideoTransformer.checkpointSha256()} gives it; empty where not known
   * @param searchSha256 of what was measured: the points, the candidates, the options that decide
   *     their scores, and the arithmetic; empty where not known
   */
  public record SearchInfo(
      String rule,
      double lambda,
      double epsilon,
      String cost,
      String device,
      int samples,
      List<Double> timesteps,
      String sourceSha256,
      String checkpointSha256,
      String searchSha256) {
    public SearchInfo {
      Objects.requireNonNull(rule, "rule");
      Objects.requireNonNull(cost, "cost");
      Objects.requireNonNull(device, "device");
      Objects.requireNonNull(sourceSha256, "sourceSha256");
      Objects.requireNonNull(checkpointSha256, "checkpointSha256");
      Objects.requireNonNull(searchSha256, "searchSha256");
      timesteps = List.copyOf(timesteps);
    }
  }

  private final ModelShape model;
  private final Sequence sequence;
  private final int block;
  private final SearchInfo search; // null where not known
  private final List<Phase> phases;
  private final List<List<List<Pattern>>>
      patterns; // phase, layer, head; the same lists at every call

  /**
   * A checked table. IllegalArgumentException, with the position, if a phase, layer, head or block
   * is wrong.
   *
   * @param search null where not known
   * @param phases from timestep 1000 down to 0, without gap or overlap
   */
  public DispatchTable(
      ModelShape model, Sequence sequence, int block, SearchInfo search, List<Phase> phases) {
    this.model = Objects.requireNonNull(model, "model");
    this.sequence = Objects.requireNonNull(sequence, "sequence");
    this.block = block;
    this.search = search;
    this.phases = List.copyOf(phases);
    TableCheck.check(this);
    List<Pattern> full = Collections.nCopies(model.heads(), Pattern.full());
    this.patterns =
        this.phases.stream()
            .map(
                phase ->
                    phase.dense()
                        ? Collections.nCopies(model.layers(), full)
                        : phase.layers().stream()
                            .map(heads -> heads.stream().map(HeadEntry::pattern).toList())
                            .toList())
            .toList();
  }

  /** Reads a table; UncheckedIOException if the file cannot be read, else as {@link #parse}. */
  public static DispatchTable read(Path path) {
    try {
      if (Files.size(path) > TableJson.MAX_BYTES) {
        throw new IllegalArgumentException(
            path + " has " + Files.size(path) + " bytes, expected at most " + TableJson.MAX_BYTES);
      }
      return TableJson.read(path.toString(), Files.readString(path));
    } catch (IOException e) {
      throw new UncheckedIOException("cannot read " + path + ": " + e, e);
    }
  }

  /** Reads a table from JSON; IllegalArgumentException naming path and value of what is wrong. */
  public static DispatchTable parse(String json) {
    return TableJson.read("table", json);
  }

  /** Writes the table whole or not at all: under a temporary name, then moved. */
  public void write(Path path) {
    ByteBuffer bytes = StandardCharsets.UTF_8.encode(toJson());
    AtomicFiles.write(path, channel -> AtomicFiles.writeAll(channel, bytes));
  }

  /** The table as JSON, one line for each head; {@link #parse} gives an equal table. */
  public String toJson() {
    return TableJson.write(this);
  }

  /**
   * The table for another sequence. Diagonal windows have the same extent in frames, multi-diagonal
   * windows the same extent in places. Stripes, anchors and lists have the same relative (t, h, w).
   * Densities and errors are omitted, because they were not measured there.
   */
  public DispatchTable rescale(Sequence to) {
    return to.equals(sequence) ? this : TableRescale.rescale(this, to);
  }

  /**
   * The table as one of a model with more heads, where it was searched on some: the others get full
   * attention.
   *
   * @param whole the model
   * @param heads which of its heads this table's are, ascending; empty if they are all
   */
  public DispatchTable spread(ModelShape whole, List<Integer> heads) {
    return heads.isEmpty() ? this : TableHeads.spread(this, whole, heads);
  }

  @Override
  public ModelShape model() {
    return model;
  }

  /** The sequence it was searched on. */
  public Sequence sequence() {
    return sequence;
  }

  @Override
  public int block() {
    return block;
  }

  /** How it was found; null where not known. */
  public SearchInfo search() {
    return search;
  }

  /** From timestep 1000 down to 0. */
  public List<Phase> phases() {
    return phases;
  }

  /** The index of the phase a timestep in [0, 1000] belongs to. */
  public int phase(double timestep) {
    if (!(timestep >= 0 && timestep <= 1000)) {
      throw new IllegalArgumentException("timestep must lie in [0, 1000]: " + timestep);
    }
    int phase = 0;
    while (phase < phases.size() - 1 && timestep <= phases.get(phase).to()) {
      phase++;
    }
    return phase;
  }

  @Override
  public List<Pattern> patterns(double timestep, int layer) {
    if (layer < 0 || layer >= model.layers()) {
      throw new IllegalArgumentException(
          "layer " + layer + ": expected one below " + model.layers());
    }
    return patterns.get(phase(timestep)).get(layer);
  }

  @Override
  public void requireSequence(Sequence other) {
    if (!sequence.equals(other)) {
      throw new IllegalArgumentException(
          "the table was searched on "
              + sequence
              + ", not on "
              + other
              + ": rescale(sequence) adapts it");
    }
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof DispatchTable table
        && model.equals(table.model)
        && sequence.equals(table.sequence)
        && block == table.block
        && Objects.equals(search, table.search)
        && phases.equals(table.phases);
  }

  @Override
  public int hashCode() {
    return Objects.hash(model, sequence, block, search, phases);
  }

  @Override
  public String toString() {
    return "table for "
        + model
        + " on "
        + sequence
        + ", block "
        + block
        + ", "
        + phases.size()
        + " phases";
  }
}

package io.github.sparsevdit.search;

import io.github.sparsevdit.internal.io.Sha256;
import io.github.sparsevdit.pattern.ModelShape;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.search.capture.CalibrationSource;
import io.github.sparsevdit.search.capture.CalibrationSource.Key;
import io.github.sparsevdit.search.sweep.SampledQueryBlocks;
import io.github.sparsevdit.search.sweep.SweepPass;
import io.github.sparsevdit.tensor.ElementType;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.IntStream;

/** What follows from a source and the options before anything is measured. */
final class SearchSetup {
  final ModelShape model;
  final Sequence sequence;
  final ElementType type;
  final List<Double> timesteps;
  final int samples;
  final String sourceSha256;
  final String checkpointSha256;
  final SearchOptions options;

  /** The model that {@link #model} is some heads of, and which; none listed for all. */
  final ModelShape wholeModel;

  final List<Integer> heads;
  final Candidates candidates;
  final List<Integer> phaseStarts;
  final int videoBlocks;

  /** Steps at which another network takes over, ascending. */
  final List<Integer> networkStarts;

  private final List<Integer> layersThere;

  /** Video query blocks to draw from, whose queries alone are there; null for all. */
  final int[] available;

  private final String arithmetic;

  /** Steps that are looked at, ascending. */
  final List<Integer> wantedSteps;

  /**
   * @param arithmetic that scores are computed with, for the fingerprint
   */
  SearchSetup(CalibrationSource source, SearchOptions options, String arithmetic) {
    this.arithmetic = arithmetic;
    this.model = source.model();
    this.sequence = source.sequence();
    this.type = source.type();
    this.timesteps = source.schedule().timesteps();
    this.samples = source.samples();
    this.sourceSha256 = source.sha256();
    this.checkpointSha256 = source.checkpointSha256();
    this.wholeModel = source.wholeModel();
    this.heads = List.copyOf(source.heads());
    this.options = options;
    this.candidates = candidates(options, sequence);
    this.videoBlocks = sequence.videoBlocks(options.block());
    TreeSet<Integer> starts =
        new TreeSet<>(
            options.phaseStarts().isEmpty()
                ? SearchOptions.standardPhases(timesteps.size())
                : options.phaseStarts());
    this.networkStarts = List.copyOf(source.networkStarts());
    starts.addAll(networkStarts); // heads of two networks have nothing in common
    this.phaseStarts = List.copyOf(starts);
    int last = phaseStarts.getLast();
    if (last >= timesteps.size()) {
      throw new IllegalArgumentException(
          "phase start %d; the run has %d steps".formatted(last, timesteps.size()));
    }
    if (options.denseSteps() > timesteps.size()) {
      throw new IllegalArgumentException(
          "%d dense steps; the run has %d".formatted(options.denseSteps(), timesteps.size()));
    }
    for (SweepPass pass : candidates.passes()) {
      if (pass.listed() > videoBlocks) {
        throw new IllegalArgumentException(
            "%d listed blocks; the video has %d blocks of %d tokens"
                .formatted(pass.listed(), videoBlocks, options.block()));
      }
    }
    this.wantedSteps = List.copyOf(chooseSteps(source.steps()));
    this.layersThere = IntStream.range(0, model.layers()).filter(source::hasLayer).boxed().toList();
    CalibrationSource.QueryBlocks there = source.queryBlocks();
    if (there != null && there.block() != options.block()) {
      throw new IllegalArgumentException(
          "the source has queries of some blocks of %d tokens; search with blocks of %d, not of %d"
              .formatted(there.block(), there.block(), options.block()));
    }
    this.available =
        there == null ? null : there.blocks().stream().mapToInt(Integer::intValue).toArray();
  }

  /** What {@link #write} wrote: for tables, not for another measurement. */
  private SearchSetup(DataInputStream in, CostModel cost) throws IOException {
    arithmetic = in.readUTF();
    model = StoredValues.readModel(in);
    wholeModel = StoredValues.readModel(in);
    heads = StoredValues.readInts(in);
    sequence = StoredValues.readSequence(in);
    type = ElementType.valueOf(in.readUTF());
    timesteps = StoredValues.readDoubles(in);
    samples = in.readInt();
    sourceSha256 = in.readUTF();
    checkpointSha256 = in.readUTF();
    candidates = StoredValues.readCandidates(in);
    options = SearchOptions.read(in).withCost(cost).withCandidates(candidates);
    phaseStarts = StoredValues.readInts(in);
    networkStarts = StoredValues.readInts(in);
    wantedSteps = StoredValues.readInts(in);
    layersThere = StoredValues.readInts(in);
    videoBlocks = sequence.videoBlocks(options.block());
    available = null;
  }

  private void write(DataOutputStream out) throws IOException {
    out.writeUTF(arithmetic);
    StoredValues.write(out, model);
    StoredValues.write(out, wholeModel);
    StoredValues.writeInts(out, heads);
    StoredValues.write(out, sequence);
    out.writeUTF(type.name());
    StoredValues.writeDoubles(out, timesteps);
    out.writeInt(samples);
    out.writeUTF(sourceSha256);
    out.writeUTF(checkpointSha256);
    StoredValues.write(out, candidates);
    options.write(out);
    StoredValues.writeInts(out, phaseStarts);
    StoredValues.writeInts(out, networkStarts);
    StoredValues.writeInts(out, wantedSteps);
    StoredValues.writeInts(out, layersThere);
  }

  /** All that tables depend on besides the scores, for the checkpoint. */
  SearchLog.Search describe() {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try {
      write(new DataOutputStream(bytes));
    } catch (IOException e) {
      throw new AssertionError(e); // memory throws none
    }
    return new SearchLog.Search(fingerprint(), options.cost(), bytes.toByteArray());
  }

  /** The setup of the search that a checkpoint belongs to. */
  static SearchSetup of(SearchLog.Search search) {
    try {
      SearchSetup setup =
          new SearchSetup(
              new DataInputStream(new ByteArrayInputStream(search.setup())), search.cost());
      if (!setup.fingerprint().equals(search.fingerprint())) {
        throw new IllegalArgumentException("it describes another search than it names");
      }
      return setup;
    } catch (IOException e) {
      throw new IllegalArgumentException("its description of the search is cut short", e);
    }
  }

  /** A state of nothing yet. */
  SearchState nothingYet() {
    return new SearchState(
        phases(), model.layers(), model.heads(), candidates.all().size(), videoBlocks);
  }

  private static Candidates candidates(SearchOptions options, Sequence sequence) {
    if (options.candidates() != null) {
      return options.candidates();
    }
    return options.rule() == RuleName.PAPER
        ? Candidates.paper(sequence, options.block())
        : Candidates.standard(sequence, options.block());
  }

  int phases() {
    return phaseStarts.size();
  }

  /** The first step past a phase. */
  int phaseEnd(int phase) {
    return phase + 1 < phases() ? phaseStarts.get(phase + 1) : timesteps.size();
  }

  int phaseOf(int step) {
    int phase = 0;
    while (phase + 1 < phases() && phaseStarts.get(phase + 1) <= step) {
      phase++;
    }
    return phase;
  }

  int networks() {
    return networkStarts.size() + 1;
  }

  /** Which network computes a step, from 0. */
  int network(int step) {
    return (int) networkStarts.stream().filter(start -> start <= step).count();
  }

  /** Whether the source has points of a layer. */
  boolean hasLayer(int layer) {
    return layersThere.contains(layer);
  }

  /** Whether a search has anything to do in a stage. */
  boolean needs(SearchStage stage) {
    return switch (stage) {
      case SURVEY -> true;
      case LISTED -> !PointScorer.passes(candidates, stage).isEmpty();
      case REFINE -> options.refines();
    };
  }

  boolean wants(Key key) {
    return wantedSteps.contains(key.step());
  }

  /**
   * The half of the calibration points this one is in: every other sample; of a single one, every
   * other step.
   */
  int half(Key key) {
    return (samples > 1 ? key.sample() : wantedSteps.indexOf(key.step())) & 1;
  }

  /** The query blocks of a point: the same for every candidate. */
  SampledQueryBlocks queryBlocks(Key key, int round) {
    long seed = SampledQueryBlocks.mix(options.seed());
    for (int part : new int[] {key.sample(), key.step(), key.layer()}) {
      seed = SampledQueryBlocks.mix(seed ^ part);
    }
    return SampledQueryBlocks.draw(
        sequence, options.block(), available, options.share(), seed, round);
  }

  /** Tells searches apart that must not continue one another's checkpoints. */
  String fingerprint() {
    String all =
        String.join(
            "|",
            List.of(
                arithmetic,
                sourceSha256,
                model.toString(),
                sequence.toString(),
                type.toString(),
                timesteps.toString(),
                Integer.toString(samples),
                options.measured(),
                candidates.describe(),
                phaseStarts.toString(),
                wantedSteps.toString()));
    return new Sha256().update(all).hex();
  }

  /** Of each phase, some of the steps that are there: the middles of equal parts. */
  private Set<Integer> chooseSteps(List<Integer> there) {
    Set<Integer> steps = new TreeSet<>();
    for (int phase = 0; phase < phases(); phase++) {
      int from = Math.max(phaseStarts.get(phase), options.denseSteps());
      int end = phaseEnd(phase);
      List<Integer> some = there.stream().filter(step -> step >= from && step < end).toList();
      if (some.isEmpty() && from < end) {
        throw new IllegalArgumentException(
            "the source has no point of steps %d to %d, which are a phase; it has steps %s: choose other phases"
                .formatted(from, end - 1, there));
      }
      int wanted = Math.min(some.size(), options.stepsPerPhase());
      for (int i = 0; i < wanted; i++) {
        steps.add(some.get((2 * i + 1) * some.size() / (2 * wanted)));
      }
    }
    return steps;
  }
}

package io.github.sparsevdit.jmh;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.CpuOptions;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.search.Candidates;
import io.github.sparsevdit.search.Findings;
import io.github.sparsevdit.search.OfflineSearch;
import io.github.sparsevdit.search.SearchOptions;
import io.github.sparsevdit.tensor.ElementType;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/** A whole search over random points: how many (head, candidate, point) it scores a second. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Fork(1)
@Warmup(iterations = 1, time = 1)
@Measurement(iterations = 3, time = 1)
public class SearchBenchmark {
  static final Sequence SEQUENCE = Sequence.video(4, 16, 32);
  static final int HEADS = 4;

  @Param("BF16")
  public ElementType type;

  /** Of the query blocks that are measured. */
  @Param({"0.25", "1"})
  public double share;

  private Backend backend;
  private RandomPoints points;

  @Setup(Level.Trial)
  public void setUp() {
    backend = Backend.cpu(new CpuOptions(Attention.THREADS, CpuOptions.Tier.AUTO));
    points = new RandomPoints(SEQUENCE, type, HEADS, 64);
  }

  @TearDown(Level.Trial)
  public void tearDown() {
    points.close();
    backend.close();
  }

  @Benchmark
  public Findings search() {
    return new OfflineSearch(backend, options()).measure(points);
  }

  RandomPoints points() {
    return points;
  }

  SearchOptions options() {
    return SearchOptions.defaults()
        .withBlock(Patterns.BLOCK)
        .withCandidates(candidates())
        .withRefine(false) // so that the work does not depend on the errors found
        .withShare(share);
  }

  static Candidates candidates() {
    return Candidates.standard(SEQUENCE, Patterns.BLOCK);
  }

  /** Scores of one search: points × heads × candidates. */
  static long scores() {
    return (long) RandomPoints.POINTS * HEADS * candidates().all().size();
  }
}

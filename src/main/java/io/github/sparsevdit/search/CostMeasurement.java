package io.github.sparsevdit.search;

import io.github.sparsevdit.AttentionPlan;
import io.github.sparsevdit.Backend;
import io.github.sparsevdit.internal.Resources;
import io.github.sparsevdit.pattern.Mode;
import io.github.sparsevdit.pattern.Order;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.stream.IntStream;

/**
 * Fits the {@link CostModel} of one backend, sequence and block size to the times of a few plans,
 * and checks it on others. Plans are run in turn, several times over, so that a disturbance hits
 * all of them; a plan's time is its shortest, since whatever disturbs a run only adds to it.
 */
public final class CostMeasurement {
  private static final int TERMS = 4;
  private static final int MAX_HEADS = 12;

  private final Backend backend;
  private final Sequence sequence;
  private final ElementType type; // of the plans
  private final int headDim;
  private final int heads;
  private final int block;
  private final int rounds;

  private CostMeasurement(
      Backend backend,
      Sequence sequence,
      ElementType type,
      int headDim,
      int heads,
      int block,
      int rounds) {
    this.backend = backend;
    this.sequence = sequence;
    this.type = type;
    this.headDim = headDim;
    this.heads = Math.clamp(heads, 2, MAX_HEADS);
    this.block = block;
    this.rounds = rounds;
  }

  /**
   * Measures.
   *
   * @param heads of a layer; more than a dozen add nothing to what is learnt, so they are left out
   * @param rounds how often each plan is timed, at least 1; 7 is plenty on an idle machine
   */
  public static CostModel measure(
      Backend backend,
      Sequence sequence,
      ElementType type,
      int headDim,
      int heads,
      int block,
      int rounds) {
    return new CostMeasurement(backend, sequence, type, headDim, heads, block, rounds).run();
  }

  private CostModel run() {
    List<List<Pattern>> fitted = new ArrayList<>();
    List<List<Pattern>> heldOut = new ArrayList<>();
    plans(fitted, heldOut);
    List<List<Pattern>> all = new ArrayList<>(fitted);
    all.addAll(heldOut);
    double[][] terms = new double[all.size()][];
    double[] times = time(all, terms);
    double[] fit = fit(Arrays.copyOf(terms, fitted.size()), Arrays.copyOf(times, fitted.size()));
    double unit = (fit[0] + heads * (fit[1] + fit[3])) / heads; // a head of an all-full layer
    return new CostModel(
        "measured",
        fit[0] / unit,
        fit[1] / unit,
        fit[2] / unit,
        fit[3] / unit,
        backend.describe(),
        worst(fit, terms, times, 0, fitted.size()),
        worst(fit, terms, times, fitted.size(), all.size()));
  }

  /** Layers of one mode at several densities and of mixed modes; every other one is held out. */
  private void plans(List<List<Pattern>> fitted, List<List<Pattern>> heldOut) {
    int blocks = sequence.videoBlocks(block);
    List<List<Pattern>> all = new ArrayList<>();
    for (double share : new double[] {0.1, 0.2, 0.3, 0.45}) {
      long window = Math.round(share * blocks) * block;
      int[] stripes = IntStream.range(0, Math.max(1, (int) (share * 1.5 * blocks))).toArray();
      Pattern diagonal = Pattern.diagonal(window);
      Pattern multi = Pattern.multiDiagonal(window);
      Pattern stripe = Pattern.verticalStripe(stripes);
      all.add(same(diagonal));
      all.add(same(multi));
      all.add(same(stripe));
      all.add(mixed(diagonal, multi, Pattern.full()));
      all.add(mixed(stripe, multi, Pattern.skip()));
      all.add(mixed(diagonal, stripe, Pattern.verticalStripe(Order.TOKEN_MAJOR, stripes)));
    }
    for (int i = 0; i < all.size(); i++) {
      ((i + i / 6) % 2 == 0 ? fitted : heldOut).add(all.get(i));
    }
    fitted.add(same(Pattern.full()));
    fitted.add(mixed(Pattern.full(), Pattern.skip()));
    heldOut.add(mixed(Pattern.full(), Pattern.full(), Pattern.skip()));
  }

  private List<Pattern> same(Pattern pattern) {
    return Collections.nCopies(heads, pattern);
  }

  private List<Pattern> mixed(Pattern... patterns) {
    return IntStream.range(0, heads).mapToObj(head -> patterns[head % patterns.length]).toList();
  }

  /**
   * Shortest seconds of each plan; fills in what each has of every term: groups, heads, permuted
   * heads, density.
   */
  private double[] time(List<List<Pattern>> all, double[][] terms) {
    List<AttentionPlan> plans = new ArrayList<>();
    List<Tensor> tensors = new ArrayList<>();
    try (Resources owned = new Resources();
        Arena arena = Arena.ofShared()) {
      Random random = new Random(1);
      for (int i = 0; i < 4; i++) {
        ElementType held = type.tensorType();
        Tensor tensor = owned.add(backend.allocate(held, 1, heads, sequence.tokens(), headDim));
        tensors.add(tensor);
        float[] values = new float[Math.toIntExact(tensor.elements())];
        for (int j = 0; j < values.length; j++) {
          values[j] = random.nextFloat() - 0.5f;
        }
        Tensor host =
            Tensor.of(arena.allocate((long) values.length * held.bytes(), 64), held, tensor.shape())
                .copyFrom(values);
        tensor.copyFrom(host.segment());
      }
      for (int i = 0; i < all.size(); i++) {
        plans.add(owned.add(backend.plan(sequence, type, headDim, block, all.get(i))));
        terms[i] = terms(plans.getLast());
      }
      double[][] seconds = new double[plans.size()][rounds];
      for (int round = -1; round < rounds; round++) { // the first warms up
        for (int i = 0; i < plans.size(); i++) {
          long begin = System.nanoTime();
          plans.get(i).run(tensors.get(0), tensors.get(1), tensors.get(2), tensors.get(3));
          backend.synchronize(); // on a device run() has only queued the work
          if (round >= 0) {
            seconds[i][round] = (System.nanoTime() - begin) * 1e-9;
          }
        }
      }
      double[] shortest = new double[seconds.length];
      for (int i = 0; i < shortest.length; i++) {
        shortest[i] = Arrays.stream(seconds[i]).min().orElseThrow();
      }
      return shortest;
    }
  }

  private static double[] terms(AttentionPlan plan) {
    double[] terms = new double[TERMS];
    Set<Candidate.Kind> groups = new HashSet<>();
    for (Pattern pattern : plan.patterns()) {
      if (pattern.mode() != Mode.SKIP) {
        groups.add(new Candidate.Kind(pattern.mode(), pattern.order()));
        terms[1]++;
        terms[2] += pattern.order().equals(Order.FRAME_MAJOR) ? 0 : 1;
      }
    }
    terms[0] = groups.size();
    terms[3] = Arrays.stream(plan.density()).sum();
    return terms;
  }

  /** The coefficients, none negative, with the least sum of squared relative errors. */
  static double[] fit(double[][] terms, double[] times) {
    double[] best = null;
    double least = Double.POSITIVE_INFINITY;
    for (int used = 1; used < 1 << TERMS; used++) { // every set of terms that are not 0
      double[] fit = leastSquares(terms, times, used);
      if (fit == null || Arrays.stream(fit).anyMatch(x -> x < 0)) {
        continue;
      }
      double sum = 0;
      for (int i = 0; i < times.length; i++) {
        sum += Math.pow(predict(fit, terms[i]) / times[i] - 1, 2);
      }
      if (sum < least) {
        least = sum;
        best = fit;
      }
    }
    return best;
  }

  /** Solves the normal equations of the used terms; null if they are singular. */
  private static double[] leastSquares(double[][] terms, double[] times, int used) {
    double[][] system = new double[TERMS][TERMS + 1];
    for (int row = 0; row < TERMS; row++) {
      if ((used >> row & 1) == 0) {
        system[row][row] = 1;
        continue;
      }
      for (int i = 0; i < times.length; i++) {
        double left = terms[i][row] / times[i];
        for (int column = 0; column < TERMS; column++) {
          system[row][column] += (used >> column & 1) * left * terms[i][column] / times[i];
        }
        system[row][TERMS] += left;
      }
    }
    for (int pivot = 0; pivot < TERMS; pivot++) {
      int largest = pivot;
      for (int row = pivot + 1; row < TERMS; row++) {
        largest = Math.abs(system[row][pivot]) > Math.abs(system[largest][pivot]) ? row : largest;
      }
      double[] swap = system[pivot];
      system[pivot] = system[largest];
      system[largest] = swap;
      if (system[pivot][pivot] == 0) {
        return null;
      }
      for (int row = 0; row < TERMS; row++) {
        double factor = row == pivot ? 0 : system[row][pivot] / system[pivot][pivot];
        for (int column = pivot; column <= TERMS; column++) {
          system[row][column] -= factor * system[pivot][column];
        }
      }
    }
    double[] fit = new double[TERMS];
    for (int i = 0; i < TERMS; i++) {
      fit[i] = system[i][TERMS] / system[i][i];
    }
    return fit;
  }

  private static double predict(double[] fit, double[] terms) {
    double sum = 0;
    for (int i = 0; i < TERMS; i++) {
      sum += fit[i] * terms[i];
    }
    return sum;
  }

  private static double worst(double[] fit, double[][] terms, double[] times, int from, int to) {
    double worst = 0;
    for (int i = from; i < to; i++) {
      worst = Math.max(worst, Math.abs(predict(fit, terms[i]) / times[i] - 1));
    }
    return worst;
  }
}

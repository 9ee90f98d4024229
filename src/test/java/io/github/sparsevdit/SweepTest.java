package io.github.sparsevdit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.github.sparsevdit.CpuOptions.Tier;
import io.github.sparsevdit.eval.cases.ReferenceAttention;
import io.github.sparsevdit.eval.cases.Visibility;
import io.github.sparsevdit.pattern.Order;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.sweep.SweepRequest;
import io.github.sparsevdit.sweep.SweepResult;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.util.List;
import java.util.Random;
import java.util.function.IntFunction;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Every stop of a sweep against the pattern it stands for, computed by itself in float64. */
class SweepTest {
  private static final int DIM = 16;
  private static final int HEADS = 2;
  private static final int BLOCK = 32;
  private final Sequence sequence = Sequence.video(3, 5, 9).withText(7, true);
  private final int[] textValid = {4, 7};
  private final int tokens = sequence.tokens();
  private float[][][] q;
  private float[][][] k;
  private float[][][] v;

  static List<Tier> tiers() {
    return TestBackends.tiers();
  }

  @ParameterizedTest
  @MethodSource("tiers")
  void windowsAreWhatTheirPatternsGive(Tier tier) {
    long[] windows = {0, 1, 33, 70, 200};
    int[][] anchors = {{1}, {0, 4}};
    int[] sampled = {0, 2, 4, 5};
    for (Order order : List.of(Order.FRAME_MAJOR, Order.TOKEN_MAJOR)) {
      IntFunction<IntFunction<Pattern>> patterns =
          head ->
              stop ->
                  order.equals(Order.FRAME_MAJOR)
                      ? Pattern.diagonal(windows[stop], anchors[head])
                      : Pattern.multiDiagonal(windows[stop], anchors[head]);
      compare(
          tier,
          SweepRequest.byDistance(order, sampled, windows).withFirst(anchors),
          order,
          patterns,
          sampled);
    }
  }

  @ParameterizedTest
  @MethodSource("tiers")
  void stripesAreWhatTheirPatternsGive(Tier tier) {
    long[] counts = {0, 1, 3};
    int[][] listed = {{3, 0, 2}, {4, 1, 0}};
    int[] sampled = {1, 3, 5};
    Order order = Order.tileMajor(2, 2, 3);
    compare(
        tier,
        SweepRequest.ranked(order, sampled, listed, counts),
        order,
        head ->
            stop ->
                Pattern.verticalStripe(
                    order, IntStream.of(listed[head]).limit(counts[stop]).sorted().toArray()),
        sampled);
  }

  private void compare(
      Tier tier,
      SweepRequest request,
      Order order,
      IntFunction<IntFunction<Pattern>> patterns,
      int[] sampled) {
    long seed = System.nanoTime();
    Random random = new Random(seed);
    try (Backend backend = Backend.cpu(new CpuOptions(0, tier));
        AttentionPlan plan =
            backend.plan(
                sequence, ElementType.FP32, DIM, BLOCK, List.of(Pattern.full(), Pattern.skip()));
        Tensor tq = backend.allocate(ElementType.FP32, 2, HEADS, tokens, DIM);
        Tensor tk = backend.allocate(ElementType.FP32, 2, HEADS, tokens, DIM);
        Tensor tv = backend.allocate(ElementType.FP32, 2, HEADS, tokens, DIM);
        Tensor gram = backend.allocate(ElementType.FP32, HEADS, DIM, DIM)) {
      q = fill(tq, random);
      k = fill(tk, random);
      v = fill(tv, random);
      double[][][] matrices = gram(gram, random);
      SweepResult result =
          plan.sweep(
              request.withTextValid(textValid).withGram(gram).withReference().withMass(),
              tq,
              tk,
              tv);
      for (int batch = 0; batch < 2; batch++) {
        for (int head = 0; head < HEADS; head++) {
          double[] dense = attend(batch, head, Pattern.full());
          for (int n = 0; n < sampled.length; n++) {
            int[] rows = rows(order, sampled[n]);
            String at =
                "seed "
                    + seed
                    + " "
                    + order
                    + " batch "
                    + batch
                    + " head "
                    + head
                    + " block "
                    + sampled[n];
            double norm = quadratic(matrices[head], dense, null, rows);
            assertEquals(norm, result.norm(batch, head, n), 1e-4 * norm, at);
            for (int stop = 0; stop < request.stops().length; stop++) {
              double[] sparse = attend(batch, head, patterns.apply(head).apply(stop));
              double error = quadratic(matrices[head], sparse, dense, rows);
              assertEquals(
                  error, result.error(batch, head, n, stop), 1e-4 * norm, at + " stop " + stop);
            }
            float[] reference = result.reference(batch, head, n);
            for (int i = 0; i < rows.length * DIM; i++) {
              assertEquals(dense[rows[i / DIM] * DIM + i % DIM], reference[i], 1e-5, at);
            }
            requireMass(result, order, batch, head, n, rows, at);
          }
        }
      }
    }
  }

  private void requireMass(
      SweepResult result, Order order, int batch, int head, int n, int[] rows, String at) {
    int[] tokensInOrder = order.tokens(sequence);
    double scale = 1 / Math.sqrt(DIM);
    double[] mass = new double[sequence.videoBlocks(BLOCK)];
    Visibility all = new Visibility(sequence, Pattern.full(), BLOCK);
    double[] lse =
        ReferenceAttention.exact(
                q[batch][head],
                k[batch][head],
                v[batch][head],
                DIM,
                scale,
                (query, key) -> all.sees(query, key, textValid[batch]))
            .lse();
    for (int row : rows) {
      for (int position = 0; position < tokensInOrder.length; position++) {
        int key = sequence.text() + tokensInOrder[position];
        double sum = 0;
        for (int d = 0; d < DIM; d++) {
          sum += (double) q[batch][head][row * DIM + d] * k[batch][head][key * DIM + d];
        }
        mass[position / BLOCK] += Math.exp(sum * scale - lse[row]);
      }
    }
    for (int block = 0; block < mass.length; block++) {
      assertEquals(
          mass[block], result.mass(batch, head, n, block), 1e-4, at + " mass of block " + block);
    }
  }

  @Test
  void misuseIsRefused() {
    try (Backend backend = Backend.cpu();
        AttentionPlan plan =
            backend.plan(sequence, ElementType.FP32, DIM, BLOCK, List.of(Pattern.full()));
        Tensor in = backend.allocate(ElementType.FP32, 1, 1, tokens, DIM);
        Tensor gram = backend.allocate(ElementType.FP32, 1, DIM, DIM + 1)) {
      in.copyFrom(new float[tokens * DIM]);
      SweepRequest good = SweepRequest.byDistance(Order.FRAME_MAJOR, new int[] {0}, 5);
      List<SweepRequest> bad =
          List.of(
              good.withHeads(0, 2),
              good.withGram(gram),
              good.withFirst(new int[2][0]),
              good.withTextValid(8),
              good.withTextValid(1, 2),
              good.withFirst(new int[][] {{99}}),
              good.withFirst(new int[][] {{1, 1}}),
              good.withScale(Float.POSITIVE_INFINITY),
              SweepRequest.byDistance(Order.FRAME_MAJOR, new int[] {6}, 5));
      for (SweepRequest request : bad) {
        assertThrows(
            IllegalArgumentException.class,
            () -> plan.sweep(request, in, in, in),
            request::toString);
      }
      assertThrows(
          IllegalArgumentException.class,
          () -> SweepRequest.byDistance(Order.FRAME_MAJOR, new int[0], 5));
      assertThrows(
          IllegalArgumentException.class,
          () -> SweepRequest.byDistance(Order.FRAME_MAJOR, new int[1], 5, 5));
      SweepResult result = plan.sweep(good, in, in, in);
      assertThrows(IllegalStateException.class, () -> result.mass(0, 0, 0, 0));
      assertThrows(IllegalStateException.class, () -> result.reference(0, 0, 0));
    }
  }

  private static float[][][] fill(Tensor tensor, Random random) {
    float[] values = new float[(int) tensor.elements()];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextGaussian();
    }
    tensor.copyFrom(values);
    float[][][] heads = new float[2][HEADS][];
    for (int batch = 0; batch < 2; batch++) {
      for (int head = 0; head < HEADS; head++) {
        heads[batch][head] = RandomCase.head(tensor, batch, head);
      }
    }
    return heads;
  }

  /** Fills with W·Wᵀ of random matrices W; returns the same in doubles. */
  private static double[][][] gram(Tensor gram, Random random) {
    float[] values = new float[HEADS * DIM * DIM];
    double[][][] matrices = new double[HEADS][DIM][DIM];
    for (int head = 0; head < HEADS; head++) {
      double[] w = random.doubles((long) DIM * DIM, -1, 1).toArray();
      for (int i = 0; i < DIM; i++) {
        for (int j = 0; j < DIM; j++) {
          double sum = 0;
          for (int d = 0; d < DIM; d++) {
            sum += w[i * DIM + d] * w[j * DIM + d];
          }
          values[(head * DIM + i) * DIM + j] = (float) sum;
          matrices[head][i][j] = (float) sum;
        }
      }
    }
    gram.copyFrom(values);
    return matrices;
  }

  /** The tokens of a query block: video blocks in order, then text blocks. */
  private int[] rows(Order order, int queryBlock) {
    int video = sequence.videoBlocks(BLOCK);
    if (queryBlock >= video) {
      int first = (queryBlock - video) * BLOCK;
      return IntStream.range(first, Math.min(first + BLOCK, sequence.text())).toArray();
    }
    int[] inOrder = order.tokens(sequence);
    int first = queryBlock * BLOCK;
    return IntStream.range(first, Math.min(first + BLOCK, inOrder.length))
        .map(position -> sequence.text() + inOrder[position])
        .toArray();
  }

  private double[] attend(int batch, int head, Pattern pattern) {
    Visibility visibility = new Visibility(sequence, pattern, BLOCK);
    return ReferenceAttention.exact(
            q[batch][head],
            k[batch][head],
            v[batch][head],
            DIM,
            1 / Math.sqrt(DIM),
            (query, key) -> visibility.sees(query, key, textValid[batch]))
        .out();
  }

  /** Σ over rows of (a − b)·G·(a − b)ᵀ; b null is 0. */
  private static double quadratic(double[][] gram, double[] a, double[] b, int[] rows) {
    double sum = 0;
    for (int row : rows) {
      for (int i = 0; i < DIM; i++) {
        for (int j = 0; j < DIM; j++) {
          double x = a[row * DIM + i] - (b == null ? 0 : b[row * DIM + i]);
          double y = a[row * DIM + j] - (b == null ? 0 : b[row * DIM + j]);
          sum += x * gram[i][j] * y;
        }
      }
    }
    return sum;
  }
}

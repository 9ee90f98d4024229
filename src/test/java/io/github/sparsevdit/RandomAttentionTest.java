package io.github.sparsevdit;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.github.sparsevdit.CpuOptions.Tier;
import io.github.sparsevdit.eval.cases.Visibility;
import io.github.sparsevdit.pattern.Order;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Random awkward shapes against a float64 reference in Java. The seed is printed in a failure;
 * {@code -Dsvdit.seed=N} repeats it.
 */
class RandomAttentionTest {
  private static final long SEED = Long.getLong("svdit.seed", System.nanoTime());
  private static final int CASES = 40;

  static List<Tier> tiers() {
    return TestBackends.tiers();
  }

  /** Runs check on cases of all element types; a failure names the seed. */
  private interface Check {
    void run(Backend backend, RandomCase one) throws Exception;
  }

  private static void forRandomCases(Tier tier, Check check) throws Exception {
    try (Backend backend = Backend.cpu(new CpuOptions(0, tier))) {
      for (int i = 0; i < CASES; i++) {
        ElementType type = ElementType.values()[i % 4];
        long seed = SEED + i;
        try (RandomCase one = new RandomCase(seed, type, backend)) {
          try {
            check.run(backend, one);
          } catch (Throwable failure) {
            throw new AssertionError("-Dsvdit.seed=" + SEED + ", case " + i + ": " + one, failure);
          }
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("tiers")
  void agreesWithTheReference(Tier tier) throws Exception {
    forRandomCases(
        tier,
        (backend, one) -> {
          try (AttentionPlan plan = one.plan(backend)) {
            plan.call()
                .lse(one.lse)
                .textValid(one.textValid)
                .scale(one.scale)
                .run(one.q, one.k, one.v, one.out);
            one.requireAccurate();
          }
        });
  }

  /** Head by head and query block by query block gives what the whole call gives, bit for bit. */
  @ParameterizedTest
  @MethodSource("tiers")
  void rangesAddUpToTheWhole(Tier tier) throws Exception {
    forRandomCases(
        tier,
        (backend, one) -> {
          try (AttentionPlan plan = one.plan(backend)) {
            AttentionCall call = plan.call().lse(one.lse).textValid(one.textValid);
            call.run(one.q, one.k, one.v, one.out);
            float[] whole = one.out.toFloats();
            float[] wholeLse = one.lse.toFloats();
            one.out.copyFrom(new float[whole.length]);
            one.lse.copyFrom(new float[wholeLse.length]);
            int middle = 1 + one.random.nextInt(plan.queryBlocks());
            for (int head = 0; head < one.patterns.size(); head++) {
              call.heads(head, head + 1);
              call.queryBlocks(0, middle).run(one.q, one.k, one.v, one.out);
              if (middle < plan.queryBlocks()) {
                call.queryBlocks(middle, plan.queryBlocks()).run(one.q, one.k, one.v, one.out);
              }
            }
            assertArrayEquals(whole, one.out.toFloats());
            assertArrayEquals(wholeLse, one.lse.toFloats());
          }
        });
  }

  /** What a range leaves out stays as it was. */
  @ParameterizedTest
  @MethodSource("tiers")
  void rangesTouchNothingElse(Tier tier) throws Exception {
    forRandomCases(
        tier,
        (backend, one) -> {
          try (AttentionPlan plan = one.plan(backend)) {
            int head = one.random.nextInt(one.patterns.size());
            float[] before = one.out.toFloats();
            Arrays.fill(before, 7);
            one.out.copyFrom(before);
            plan.call()
                .textValid(one.textValid)
                .heads(head, head + 1)
                .run(one.q, one.k, one.v, one.out);
            for (int row = 0; row < one.batch; row++) {
              for (int other = 0; other < one.patterns.size(); other++) {
                float[] values = RandomCase.head(one.out, row, other);
                if (other != head) {
                  assertEquals(
                      values.length,
                      IntStream.range(0, values.length).filter(i -> values[i] == 7).count());
                }
              }
            }
          }
        });
  }

  @ParameterizedTest
  @MethodSource("tiers")
  void densitiesRunsAndGroupsFollowTheDefinition(Tier tier) throws Exception {
    forRandomCases(
        tier,
        (backend, one) -> {
          try (AttentionPlan plan = one.plan(backend)) {
            int valid = one.textValid[0];
            double[] density = plan.density(valid);
            int[] groups = plan.groups();
            int tokens = one.sequence.tokens();
            for (int head = 0; head < one.patterns.size(); head++) {
              Visibility visibility =
                  new Visibility(one.sequence, one.patterns.get(head), one.block);
              long pairs = 0;
              for (int query = 0; query < tokens; query++) {
                for (int key = 0; key < tokens; key++) {
                  pairs += visibility.sees(query, key, valid) ? 1 : 0;
                }
              }
              double pairsInAll = (double) tokens * (one.sequence.videoTokens() + valid);
              assertEquals(pairs / pairsInAll, density[head], 1e-12);
              assertEquals(pairs, pairsOfRuns(plan, one, head, valid));
              for (int other = 0; other < head; other++) {
                Pattern mine = one.patterns.get(head);
                Pattern two = one.patterns.get(other);
                boolean sameMode =
                    mine.mode() == two.mode(); // a launch also needs one order of tokens
                assertEquals(
                    sameMode && mine.order().equals(two.order()), groups[head] == groups[other]);
              }
            }
          }
        });
  }

  private static long pairsOfRuns(AttentionPlan plan, RandomCase one, int head, int valid) {
    long pairs = 0;
    for (int block = 0; block < plan.queryBlocks(); block++) {
      boolean video = block < plan.videoQueryBlocks();
      int first = (video ? block : block - plan.videoQueryBlocks()) * one.block;
      int rows =
          Math.min(one.block, (video ? one.sequence.videoTokens() : one.sequence.text()) - first);
      long keys = 0;
      long end = -1;
      for (AttentionPlan.Run run : plan.runs(head, block, valid)) {
        assertEquals(
            true,
            run.begin() > end && run.end() > run.begin(),
            () -> "runs must ascend apart: " + run);
        keys += run.end() - run.begin();
        end = run.end();
      }
      pairs += rows * keys;
    }
    return pairs;
  }

  /** Two sets of blocks that share none, merged by their LSEs, give dense attention. */
  @ParameterizedTest
  @MethodSource("tiers")
  void complementaryMasksMergeToDense(Tier tier) {
    long seed = SEED;
    Random random = new Random(seed);
    Sequence sequence = Sequence.video(3, 7, 9); // 189 tokens: 3 blocks of 64, the last short
    int blocks = sequence.videoBlocks(64);
    List<List<Integer>> some = new ArrayList<>();
    List<List<Integer>> others = new ArrayList<>();
    for (int i = 0; i < blocks; i++) {
      int chosen = random.nextInt(1 << blocks);
      some.add(IntStream.range(0, blocks).filter(b -> (chosen >> b & 1) == 1).boxed().toList());
      others.add(IntStream.range(0, blocks).filter(b -> (chosen >> b & 1) == 0).boxed().toList());
    }
    List<Pattern> patterns =
        List.of(
            Pattern.full(),
            Pattern.blocks(Order.TOKEN_MAJOR, some),
            Pattern.blocks(Order.TOKEN_MAJOR, others));
    int headDim = 32;
    try (Backend backend = Backend.cpu(new CpuOptions(0, tier));
        AttentionPlan plan = backend.plan(sequence, ElementType.FP32, headDim, 64, patterns);
        Tensor one = backend.allocate(ElementType.FP32, 3, 1, 1, sequence.tokens(), headDim);
        Tensor out = backend.allocate(ElementType.FP32, 1, 3, sequence.tokens(), headDim);
        Tensor lse = backend.allocate(ElementType.FP32, 1, 3, sequence.tokens());
        Tensor q = backend.allocate(ElementType.FP32, 1, 3, sequence.tokens(), headDim);
        Tensor k = backend.allocate(ElementType.FP32, 1, 3, sequence.tokens(), headDim);
        Tensor v = backend.allocate(ElementType.FP32, 1, 3, sequence.tokens(), headDim)) {
      float[] values = new float[(int) one.elements()];
      for (int i = 0; i < values.length; i++) {
        values[i] = (float) random.nextGaussian();
      }
      one.copyFrom(values);
      for (int head = 0; head < 3; head++) { // the same queries, keys and values in all heads
        q.slice(1, head, head + 1).copyFrom(one.select(0, 0));
        k.slice(1, head, head + 1).copyFrom(one.select(0, 1));
        v.slice(1, head, head + 1).copyFrom(one.select(0, 2));
      }
      plan.call().lse(lse).run(q, k, v, out);
      float[] dense = RandomCase.head(out, 0, 0);
      float[] a = RandomCase.head(out, 0, 1);
      float[] b = RandomCase.head(out, 0, 2);
      float[] lses = lse.toFloats();
      int tokens = sequence.tokens();
      for (int row = 0; row < tokens; row++) {
        double share = 1 / (1 + Math.exp(lses[2 * tokens + row] - lses[tokens + row]));
        for (int d = 0; d < headDim; d++) {
          int at = row * headDim + d;
          assertEquals(dense[at], share * a[at] + (1 - share) * b[at], 2e-6, "seed " + seed);
        }
      }
    }
  }

  /** All blocks listed, or a window as long as the sequence, is dense attention. */
  @Test
  void everythingListedIsDense() {
    Sequence sequence = Sequence.video(4, 5, 7).withText(9, true);
    int blocks = sequence.videoBlocks(32);
    int[] all = IntStream.range(0, blocks).toArray();
    List<Integer> list = IntStream.of(all).boxed().toList();
    List<Pattern> patterns =
        List.of(
            Pattern.full(),
            Pattern.diagonal(sequence.videoTokens()),
            Pattern.multiDiagonal(sequence.videoTokens()),
            Pattern.verticalStripe(Order.tileMajor(2, 2, 2), all),
            Pattern.blocks(Order.FRAME_MAJOR, Collections.nCopies(blocks, list)));
    try (Backend backend = Backend.cpu();
        AttentionPlan plan = backend.plan(sequence, ElementType.FP32, 24, 32, patterns)) {
      for (double density : plan.density()) {
        assertEquals(1, density);
      }
      for (int block = 0; block < plan.queryBlocks(); block++) {
        for (int head = 0; head < patterns.size(); head++) {
          assertEquals(
              sequence.tokens(),
              plan.runs(head, block, -1).stream().mapToLong(r -> r.end() - r.begin()).sum());
        }
      }
    }
  }
}

package io.github.sparsevdit.pipeline;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.github.sparsevdit.pattern.ModelShape;
import io.github.sparsevdit.pattern.Order;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Policy;
import io.github.sparsevdit.pattern.Schedule;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** What a run's file says of the policy it was made with. */
class PolicyFingerprintTest {
  /**
   * Policies that differ in one head of one layer at one step are told apart, whatever they say.
   */
  @Test
  void policiesHaveFingerprintsOfAllTheirPatterns() {
    Schedule schedule = new Schedule(List.of(900.0, 500.0, 100.0));
    Policy dense = Policy.dense(new ModelShape("m", 2, 2, 64), 64);
    assertEquals("dense, block 64", RunFile.fingerprint(dense, schedule));
    List<List<Integer>> lists = List.of(List.of(0), List.of(1), List.of(2));
    List<List<Integer>> others = List.of(List.of(0), List.of(1), List.of(1));
    List<Pattern> patterns =
        List.of(
            Pattern.full(),
            Pattern.skip(),
            Pattern.diagonal(3),
            Pattern.diagonal(4),
            Pattern.verticalStripe(1),
            Pattern.blocks(Order.FRAME_MAJOR, lists),
            Pattern.blocks(Order.FRAME_MAJOR, others),
            Pattern.blocks(Order.TOKEN_MAJOR, others));
    Set<String> seen = new HashSet<>();
    for (Pattern pattern : patterns) {
      for (double timestep : List.of(900.0, 100.0)) {
        for (int layer = 0; layer < 2; layer++) {
          String one = RunFile.fingerprint(policy(pattern, timestep, layer), schedule);
          assertEquals(one, RunFile.fingerprint(policy(pattern, timestep, layer), schedule));
          seen.add(one);
        }
      }
    }
    assertEquals(1 + 4 * (patterns.size() - 1), seen.size()); // full anywhere is dense
  }

  /** Full attention but for one head. */
  private static Policy policy(Pattern pattern, double timestep, int layer) {
    Policy dense = Policy.dense(new ModelShape("m", 2, 2, 64), 64);
    return new Policy() {
      @Override
      public ModelShape model() {
        return dense.model();
      }

      @Override
      public int block() {
        return dense.block();
      }

      @Override
      public List<Pattern> patterns(double t, int l) {
        return t == timestep && l == layer
            ? List.of(Pattern.full(), pattern)
            : dense.patterns(t, l);
      }

      @Override
      public String toString() {
        return "dense";
      }
    };
  }
}

package io.github.sparsevdit.search;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.github.sparsevdit.AttentionPlan;
import io.github.sparsevdit.Backend;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.tensor.ElementType;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class PatternDensityTest {
  private static final int BLOCK = 16;

  @Test
  void agreesWithPlansAndWithCountingPairs() {
    Random random = new Random(4);
    for (Sequence sequence :
        List.of(
            Sequence.video(3, 4, 7),
            Sequence.video(2, 5, 8).withText(19, true),
            Sequence.video(4, 5, 5).withText(6, false),
            Sequence.video(1, 1, 5))) {
      int blocks = sequence.videoBlocks(BLOCK);
      List<Integer> shuffled = new ArrayList<>();
      for (int i = 0; i < blocks; i++) {
        shuffled.add(i);
      }
      Collections.shuffle(shuffled, random);
      int[] ranked = shuffled.stream().mapToInt(i -> i).toArray();
      List<Candidate> candidates = Candidates.standard(sequence, BLOCK).all();
      List<Pattern> patterns = candidates.stream().map(c -> c.pattern(ranked)).toList();
      PatternDensity densities = new PatternDensity(sequence, BLOCK);
      BruteForce brute = new BruteForce(sequence, BLOCK, 8);
      try (Backend backend = Backend.cpu();
          AttentionPlan plan = backend.plan(sequence, ElementType.FP32, 8, BLOCK, patterns)) {
        double[] planned = plan.density();
        for (int i = 0; i < planned.length; i++) {
          String what = sequence + " " + patterns.get(i);
          assertEquals(planned[i], densities.of(candidates.get(i), ranked), 1e-12, what);
          assertEquals(brute.density(patterns.get(i)), planned[i], 1e-12, what);
        }
      }
    }
  }
}

package io.github.sparsevdit.search;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.pattern.Mode;
import io.github.sparsevdit.pattern.Order;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.search.sweep.SampledQueryBlocks;
import io.github.sparsevdit.search.sweep.SweepPass;
import java.util.EnumMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;

class CandidatesTest {
  @Test
  void anyNumberOfWindowsTakesThreePassesPerMode() {
    List<Long> many = LongStream.range(0, 500).boxed().toList();
    Candidates candidates =
        Candidates.builder()
            .diagonal(many)
            .multiDiagonal(many)
            .anchors(List.of(1, 4))
            .stripes(Order.FRAME_MAJOR, List.of(1, 2, 3, 4, 5, 6))
            .stripes(Order.TOKEN_MAJOR, List.of(2, 7))
            .build();
    assertEquals(2 + 2 * 3 * 500 + 8, candidates.all().size());
    Map<Mode, Integer> passes = new EnumMap<>(Mode.class);
    candidates.passes().forEach(pass -> passes.merge(pass.mode(), 1, Integer::sum));
    passes.forEach((mode, count) -> assertTrue(count <= 3, mode + " takes " + count));
    assertThrows(
        IllegalArgumentException.class, () -> Candidates.builder().anchors(List.of(1, 2, 3)));
  }

  @Test
  void everyCandidateIsScoredByOneStop() {
    for (Sequence sequence :
        List.of(Sequence.video(8, 12, 16), Sequence.video(1, 1, 3), Sequence.video(21, 45, 80))) {
      for (int block : new int[] {16, 32, 64, 128}) {
        Candidates candidates = Candidates.standard(sequence, block);
        assertEquals(Candidate.FULL, candidates.all().get(Candidates.FULL));
        assertEquals(Candidate.SKIP, candidates.all().get(Candidates.SKIP));
        Set<Integer> scored = new HashSet<>(Set.of(Candidates.FULL, Candidates.SKIP));
        for (SweepPass pass : candidates.passes()) {
          assertTrue(pass.listed() <= sequence.videoBlocks(block), pass::toString);
          for (int i = 0; i < pass.stops().length; i++) {
            Candidate candidate = candidates.all().get(pass.candidates()[i]);
            assertTrue(scored.add(pass.candidates()[i]), candidate::toString);
            assertEquals(pass.order(), candidate.order());
            assertEquals(pass.mode(), candidate.mode());
            assertEquals(
                pass.byDistance() ? candidate.window() : candidate.listed(), pass.stops()[i]);
          }
        }
        assertEquals(candidates.all().size(), scored.size());
        assertEquals(scored.size(), new HashSet<>(candidates.all()).size());
      }
    }
  }

  @Test
  void patternsListTheMostAttendedBlocksAscending() {
    int[] ranked = {7, 2, 5, 0, 1, 3, 4, 6};
    assertEquals(
        Pattern.diagonal(64, 2, 7),
        new Candidate(Mode.DIAGONAL, Order.FRAME_MAJOR, 64, 2).pattern(ranked));
    assertEquals(
        Pattern.multiDiagonal(0),
        new Candidate(Mode.MULTI_DIAGONAL, Order.TOKEN_MAJOR, 0, 0).pattern(ranked));
    assertEquals(
        Pattern.verticalStripe(Order.TOKEN_MAJOR, 2, 5, 7),
        new Candidate(Mode.VERTICAL_STRIPE, Order.TOKEN_MAJOR, 0, 3).pattern(ranked));
    assertEquals(Pattern.skip(), Candidate.SKIP.pattern(ranked));
    assertEquals(Pattern.full(), Candidate.FULL.pattern(ranked));
  }

  @Test
  void sampledBlocksAreStratifiedAndStandForAll() {
    Sequence sequence = Sequence.video(5, 13, 17).withText(70, false);
    for (double share : new double[] {0.01, 0.1, 0.3, 0.5, 1}) {
      for (long seed = 0; seed < 20; seed++) {
        SampledQueryBlocks sample = SampledQueryBlocks.draw(sequence, 32, null, share, seed, 0);
        int video = sequence.videoBlocks(32);
        int all = video + sequence.textBlocks(32);
        double total = 0;
        int previous = -1;
        for (int i = 0; i < sample.blocks().length; i++) {
          assertTrue(sample.blocks()[i] > previous && sample.blocks()[i] < all);
          previous = sample.blocks()[i];
          total += sample.weights()[i];
        }
        assertEquals(all, total);
        assertEquals(
            Math.ceil(share * video) + Math.ceil(share * (all - video)), sample.blocks().length);
      }
    }
    SampledQueryBlocks whole = SampledQueryBlocks.draw(sequence, 32, null, 1, 3, 0);
    int rows = 0;
    for (int count : whole.rows(sequence, 32)) {
      rows += count;
    }
    assertEquals(sequence.tokens(), rows);
  }

  @Test
  void roundsOfASampleDiffer() {
    Sequence sequence = Sequence.video(8, 12, 16);
    for (long seed = 0; seed < 20; seed++) {
      Set<Integer> first = new HashSet<>();
      for (int block : SampledQueryBlocks.draw(sequence, 32, null, 0.25, seed, 0).blocks()) {
        first.add(block);
      }
      for (int block : SampledQueryBlocks.draw(sequence, 32, null, 0.25, seed, 1).blocks()) {
        assertTrue(!first.contains(block), "block " + block + " twice, seed " + seed);
      }
    }
    assertArrayEquals(
        SampledQueryBlocks.draw(sequence, 32, null, 0.25, 9, 0).blocks(),
        SampledQueryBlocks.draw(sequence, 32, null, 0.25, 9, 0).blocks());
  }
}

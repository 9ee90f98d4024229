package io.github.sparsevdit.jmh;

import io.github.sparsevdit.pattern.Order;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Sequence;
import java.util.ArrayList;
import java.util.List;
import java.util.random.RandomGenerator;
import java.util.random.RandomGeneratorFactory;
import java.util.stream.IntStream;

/** Patterns by name: {@code full}, or a mode and about what density, {@code diagonal-0.3}. */
final class Patterns {
  /** Tokens per block. */
  static final int BLOCK = 128;

  private Patterns() {}

  static Pattern of(String name, Sequence sequence) {
    if (name.equals("full")) {
      return Pattern.full();
    }
    int dash = name.lastIndexOf('-');
    double density = Double.parseDouble(name.substring(dash + 1));
    // A band of that half width covers 1 − (1 − w/S)² of a square.
    long window = (long) (sequence.videoTokens() * (1 - Math.sqrt(1 - density)));
    return switch (name.substring(0, dash)) {
      case "diagonal" -> Pattern.diagonal(window);
      case "multi-diagonal" -> Pattern.multiDiagonal(window);
      case "vertical-stripe" -> Pattern.verticalStripe(stripes(sequence, density));
      case "blocks" -> Pattern.blocks(Order.tileMajor(4, 4, 4), lists(sequence, density));
      default -> throw new IllegalArgumentException("no pattern is called " + name);
    };
  }

  /** Scattered evenly, as the search finds them, not side by side. */
  private static int[] stripes(Sequence sequence, double density) {
    int blocks = sequence.videoBlocks(BLOCK);
    return IntStream.range(0, blocks).filter(b -> (b * 7) % blocks < blocks * density).toArray();
  }

  private static List<List<Integer>> lists(Sequence sequence, double density) {
    int blocks = sequence.videoBlocks(BLOCK);
    RandomGenerator random = RandomGeneratorFactory.of("L64X128MixRandom").create(3);
    List<List<Integer>> lists = new ArrayList<>();
    for (int query = 0; query < blocks; query++) {
      lists.add(
          IntStream.range(0, blocks).filter(key -> random.nextDouble() < density).boxed().toList());
    }
    return lists;
  }
}

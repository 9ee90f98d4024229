package io.github.sparsevdit.eval.cases;

import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Sequence;
import java.util.Collections;

/**
 * Which keys a head's queries see, straight from the definition: block distances, sets and lists,
 * no runs. Tokens are those of the caller's order.
 */
public final class Visibility {
  private final Sequence sequence;
  private final Pattern pattern;
  private final int block;
  private final int[] position; // of each video token in the pattern's order

  public Visibility(Sequence sequence, Pattern pattern, int block) {
    this.sequence = sequence;
    this.pattern = pattern;
    this.block = block;
    int[] tokens = pattern.order().tokens(sequence);
    position = new int[tokens.length];
    for (int i = 0; i < tokens.length; i++) {
      position[tokens[i]] = i;
    }
  }

  /** Whether token query sees token key, with textValid valid text keys. */
  public boolean sees(int query, int key, int textValid) {
    int videoBegin = sequence.textFirst() ? sequence.text() : 0;
    int textBegin = sequence.textFirst() ? 0 : sequence.videoTokens();
    boolean textKey = key >= textBegin && key < textBegin + sequence.text();
    boolean textQuery = query >= textBegin && query < textBegin + sequence.text();
    return switch (pattern.mode()) {
      case SKIP -> false;
      default -> {
        if (textKey) {
          yield key - textBegin < textValid;
        }
        yield textQuery
            || seesBlock(position[query - videoBegin] / block, position[key - videoBegin] / block);
      }
    };
  }

  /** Whether video query block a sees video key block b. */
  public boolean seesBlock(int a, int b) {
    return switch (pattern.mode()) {
      case FULL -> true;
      case SKIP -> false;
      case DIAGONAL, MULTI_DIAGONAL -> distance(a, b) <= pattern.window() || contains(b);
      case VERTICAL_STRIPE -> contains(b);
      case BLOCKS -> Collections.binarySearch(pattern.lists().get(a), b) >= 0;
    };
  }

  private boolean contains(int b) {
    return Collections.binarySearch(pattern.blocks(), b) >= 0;
  }

  /** max(lo_a − hi_b, lo_b − hi_a, 0) over first and last tokens. */
  private long distance(int a, int b) {
    return Math.max(0, Math.max(first(a) - last(b), first(b) - last(a)));
  }

  private long first(int at) {
    return (long) at * block;
  }

  private long last(int at) {
    return Math.min(first(at) + block, sequence.videoTokens()) - 1;
  }
}

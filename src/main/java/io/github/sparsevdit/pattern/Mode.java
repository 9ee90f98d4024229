package io.github.sparsevdit.pattern;

import java.util.Arrays;
import java.util.stream.Collectors;

/** What a head sees (paper section 3). */
public enum Mode {
  /** Every block sees every block. */
  FULL("full"),
  /** The whole head's output is 0, text rows too, and its LSE −∞. */
  SKIP("skip"),
  /** Blocks at most a window of tokens away in frame-major order, and the anchors. */
  DIAGONAL("diagonal"),
  /** The same in token-major order: one band per frame lag. */
  MULTI_DIAGONAL("multi-diagonal"),
  /** The same blocks for every query. */
  VERTICAL_STRIPE("vertical-stripe"),
  /** An explicit list per query block. */
  BLOCKS("blocks");

  private final String json;

  Mode(String json) {
    this.json = json;
  }

  /** The name in tables and reports: {@code "multi-diagonal"}. */
  public String json() {
    return json;
  }

  /** The mode of that name; IllegalArgumentException for another. */
  public static Mode ofJson(String name) {
    for (Mode mode : values()) {
      if (mode.json.equals(name)) {
        return mode;
      }
    }
    throw new IllegalArgumentException(
        "unknown mode \""
            + name
            + "\"; expected one of "
            + Arrays.stream(values()).map(Mode::json).collect(Collectors.joining(", ")));
  }
}

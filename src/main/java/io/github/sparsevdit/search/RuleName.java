package io.github.sparsevdit.search;

import java.util.Arrays;

/** The search's two rules. */
public enum RuleName {
  /**
   * Raw mean squared error + λ(1 − S) over the modes that are not full; full where all exceed ε.
   */
  PAPER("paper"),
  /** Least share of the layer's output + λ · cost, full among the candidates. */
  LAGRANGIAN("lagrangian");

  private final String json;

  RuleName(String json) {
    this.json = json;
  }

  /** The name in tables and options. */
  public String json() {
    return json;
  }

  /** The rule of that name; IllegalArgumentException for another. */
  public static RuleName ofJson(String name) {
    return Arrays.stream(values())
        .filter(rule -> rule.json.equals(name))
        .findFirst()
        .orElseThrow(
            () ->
                new IllegalArgumentException(
                    "unknown rule \"%s\"; expected paper or lagrangian".formatted(name)));
  }
}

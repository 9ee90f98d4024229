package io.github.sparsevdit.search;

import java.util.List;

/**
 * What can be had for what: tables none of which is beaten by another in both density and error,
 * densest first.
 *
 * @param points the tables
 */
public record ParetoFront(List<Point> points) {
  public ParetoFront {
    points = List.copyOf(points);
  }

  /**
   * One table.
   *
   * @param knob λ of the lagrangian rule, ε of the paper's
   * @param density of the whole run, dense steps counted
   * @param error mean over steps and layers of the sum of the heads' errors
   * @param speedup of attention as the cost model predicts it
   */
  public record Point(double knob, double density, double error, double speedup) {}

  /** A plain-text table. */
  public String render() {
    StringBuilder text = new StringBuilder("      knob   density     error   speed-up\n");
    for (Point point : points) {
      text.append(
          String.format(
              java.util.Locale.ROOT,
              "%10.3g %9.3f %9.4f %10.2f%n",
              point.knob,
              point.density,
              point.error,
              point.speedup));
    }
    return text.toString();
  }
}

package io.github.sparsevdit.eval.cases;

/**
 * How far a result lies from the float64 one on the inputs as they are stored, before any element
 * type rounded them: what a type costs in all.
 *
 * @param rms root of the sum of squared differences over that of squared exact values
 * @param max the greatest difference over the greatest exact |value|
 */
public record Deviation(double rms, double max) {
  static Deviation of(double[] computed, double[] exact) {
    double squares = 0;
    double exactSquares = 0;
    double max = 0;
    double exactMax = 0;
    for (int i = 0; i < exact.length; i++) {
      double difference = Math.abs(computed[i] - exact[i]);
      squares += difference * difference;
      exactSquares += exact[i] * exact[i];
      max = Math.max(max, difference);
      exactMax = Math.max(exactMax, Math.abs(exact[i]));
    }
    return exactMax == 0
        ? new Deviation(Math.sqrt(squares), max)
        : new Deviation(Math.sqrt(squares / exactSquares), max / exactMax);
  }
}

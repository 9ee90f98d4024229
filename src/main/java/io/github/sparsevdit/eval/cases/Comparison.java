package io.github.sparsevdit.eval.cases;

/** The largest relative error of several tensors: ‖values − reference‖ / ‖reference‖. */
final class Comparison {
  private double largest;
  private String worst = "nothing";

  /** Compares one more tensor. */
  void add(String name, float[] values, float[] reference) {
    if (values.length != reference.length) {
      throw new IllegalArgumentException(
          name + " has " + values.length + " elements; the reference " + reference.length);
    }
    double difference = 0;
    double norm = 0;
    for (int i = 0; i < values.length; i++) {
      difference += Math.pow((double) values[i] - reference[i], 2);
      norm += Math.pow(reference[i], 2);
    }
    double error = difference == 0 ? 0 : Math.sqrt(difference / norm);
    if (!(error < largest) && !Double.isNaN(largest)) { // NaN is the largest
      largest = error;
      worst = name;
    }
  }

  CaseResult result(double bound) {
    return CaseResult.of(largest, bound, "relative; largest in " + worst);
  }
}

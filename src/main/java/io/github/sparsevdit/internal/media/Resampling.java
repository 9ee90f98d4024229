package io.github.sparsevdit.internal.media;

import java.util.function.DoubleUnaryOperator;

/**
 * Resizes pictures as Pillow does, to the bit: a separable filter that widens as the picture
 * shrinks, in integers of 22 fraction bits, columns first, rounded to 8 bits between. The models'
 * own pipelines use it, and an image encoder sees the difference to other resizers.
 */
public enum Resampling {
  /** Keys' cubic with a = −0.5. */
  BICUBIC(2, Resampling::cubic),
  /** A sinc windowed by a wider one, of three lobes. */
  LANCZOS(3, Resampling::lanczos);

  private static final int FRACTION = 22;

  private final double radius;
  private final DoubleUnaryOperator filter;

  Resampling(double radius, DoubleUnaryOperator filter) {
    this.radius = radius;
    this.filter = filter;
  }

  private static double cubic(double x) {
    double a = -0.5;
    double d = Math.abs(x);
    if (d < 1) {
      return ((a + 2) * d - (a + 3)) * d * d + 1;
    }
    return d < 2 ? (((d - 5) * d + 8) * d - 4) * a : 0;
  }

  private static double lanczos(double x) {
    return x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0;
  }

  private static double sinc(double x) {
    return x == 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI);
  }

  /** Where each new sample's sources begin, and their weights. */
  private record Weights(int[] first, int[][] weights) {}

  /** The picture in another size. */
  public Picture resize(Picture picture, int width, int height) {
    Picture wide = width == picture.width() ? picture : columns(picture, width);
    return height == picture.height() ? wide : rows(wide, height);
  }

  private Weights weights(int from, int to) {
    double scale = (double) from / to;
    double widened = Math.max(scale, 1);
    double support = radius * widened;
    int[] first = new int[to];
    int[][] weights = new int[to][];
    for (int i = 0; i < to; i++) {
      double centre = (i + 0.5) * scale;
      int begin = Math.max(0, (int) (centre - support + 0.5));
      int end = Math.min(from, (int) (centre + support + 0.5));
      double[] exact = new double[end - begin];
      double sum = 0;
      for (int k = 0; k < exact.length; k++) {
        exact[k] = filter.applyAsDouble((k + begin - centre + 0.5) / widened);
        sum += exact[k];
      }
      first[i] = begin;
      weights[i] = new int[exact.length];
      for (int k = 0; k < exact.length; k++) {
        double scaled = exact[k] / sum * (1 << FRACTION);
        weights[i][k] = (int) (scaled < 0 ? scaled - 0.5 : scaled + 0.5);
      }
    }
    return new Weights(first, weights);
  }

  private Picture columns(Picture from, int width) {
    Weights weights = weights(from.width(), width);
    byte[] to = new byte[3 * width * from.height()];
    for (int y = 0; y < from.height(); y++) {
      for (int x = 0; x < width; x++) {
        int source = 3 * (y * from.width() + weights.first[x]);
        sum(from.rgb(), source, 3, weights.weights[x], to, 3 * (y * width + x));
      }
    }
    return new Picture(width, from.height(), to);
  }

  private Picture rows(Picture from, int height) {
    Weights weights = weights(from.height(), height);
    int stride = 3 * from.width();
    byte[] to = new byte[stride * height];
    for (int y = 0; y < height; y++) {
      for (int x = 0; x < from.width(); x++) {
        int source = weights.first[y] * stride + 3 * x;
        sum(from.rgb(), source, stride, weights.weights[y], to, y * stride + 3 * x);
      }
    }
    return new Picture(from.width(), height, to);
  }

  private static void sum(byte[] from, int at, int step, int[] weights, byte[] to, int toAt) {
    for (int channel = 0; channel < 3; channel++) {
      int sum = 1 << FRACTION - 1;
      for (int k = 0; k < weights.length; k++) {
        sum += (from[at + k * step + channel] & 0xff) * weights[k];
      }
      to[toAt + channel] = (byte) Math.clamp(sum >> FRACTION, 0, 255);
    }
  }
}

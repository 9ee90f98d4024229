package io.github.sparsevdit.search;

import io.github.sparsevdit.search.capture.CalibrationSource.Key;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/**
 * What one calibration point adds to a {@link SearchState}: the unit a search is kept in. A search
 * and the reading of its checkpoint add the same values in the same order, so both hold the same
 * bits.
 */
final class PointFindings {
  final Key key;
  final int phase;
  final int half;
  final List<Score> scores = new ArrayList<>();

  /** Squared layer output per order; null past the first stage. */
  final double[] norms;

  /** Attention mass per order, [H, video blocks], added as floats; null past the first stage. */
  final double[][] mass;

  /** A candidate's error on a head. */
  record Score(int head, int candidate, double error) {}

  private PointFindings(Key key, int phase, int half, double[] norms, double[][] mass) {
    this.key = key;
    this.phase = phase;
    this.half = half;
    this.norms = norms;
    this.mass = mass;
  }

  /** Of a point of the first stage, which alone finds norms and mass. */
  static PointFindings surveyed(Key key, int phase, int half, SearchState state) {
    return new PointFindings(
        key,
        phase,
        half,
        new double[SearchState.ORDERS],
        new double[SearchState.ORDERS][Math.multiplyExact(state.heads, state.blocks)]);
  }

  /** Of a point of a later stage. */
  static PointFindings scored(Key key, int phase, int half) {
    return new PointFindings(key, phase, half, null, null);
  }

  void write(DataOutputStream out) throws IOException {
    SearchState.write(out, key);
    out.writeInt(phase);
    out.writeInt(half);
    out.writeInt(scores.size());
    for (Score score : scores) {
      out.writeInt(score.head());
      out.writeInt(score.candidate());
      out.writeDouble(score.error());
    }
    out.writeBoolean(norms != null);
    for (int order = 0; norms != null && order < SearchState.ORDERS; order++) {
      out.writeDouble(norms[order]);
      for (double value : mass[order]) {
        out.writeFloat((float) value);
      }
    }
  }

  static PointFindings read(DataInputStream in, SearchState state) throws IOException {
    Key key = SearchState.readKey(in);
    int phase = in.readInt();
    int half = in.readInt();
    List<Score> scores = new ArrayList<>();
    for (int left = in.readInt(); left > 0; left--) {
      scores.add(new Score(in.readInt(), in.readInt(), in.readDouble()));
    }
    PointFindings found =
        in.readBoolean() ? surveyed(key, phase, half, state) : scored(key, phase, half);
    found.scores.addAll(scores);
    for (int order = 0; found.norms != null && order < SearchState.ORDERS; order++) {
      found.norms[order] = in.readDouble();
      for (int i = 0; i < found.mass[order].length; i++) {
        found.mass[order][i] = in.readFloat();
      }
    }
    return found;
  }
}

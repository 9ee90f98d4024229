package io.github.sparsevdit.search;

import io.github.sparsevdit.pattern.Order;
import io.github.sparsevdit.search.capture.CalibrationSource.Key;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * All a search has found so far: what it needs to go on, and nothing that depends on when or where
 * it ran. Sums grow in the order the source yields its points, a whole point at a time, so a search
 * that was interrupted and resumed holds the same bits as one that was not. {@link SearchLog} keeps
 * it in a file.
 */
final class SearchState {
  /** Orders a head's attention mass is kept in: frame-major, token-major. */
  static final int ORDERS = 2;

  /** Halves of the calibration points: blocks are chosen on one and scored on the other. */
  static final int HALVES = 2;

  final int phases;
  final int layers;
  final int heads;
  final int candidates;
  final int blocks;

  /** The stage in progress, counted in {@link SearchStage}; their number when all are done. */
  int stage;

  /** Points of the stage in progress that are done. */
  final Set<Key> done = new TreeSet<>();

  /**
   * Squared layer output of every point of the first stage, per order, over its sampled query
   * blocks.
   */
  final Map<Key, double[]> norms = new TreeMap<>();

  /** Per (phase, layer, head, candidate): number of scores, their sum, the sum of their squares. */
  final long[] count;

  final double[] sum;
  final double[] sumOfSquares;

  /** Per (order, half, phase, layer, head, video block): attention mass. */
  final double[] mass;

  /** Per (phase, layer, head): whether the head gets more query blocks. */
  final boolean[] undecided;

  SearchState(int phases, int layers, int heads, int candidates, int blocks) {
    this.phases = phases;
    this.layers = layers;
    this.heads = heads;
    this.candidates = candidates;
    this.blocks = blocks;
    int cells = Math.multiplyExact(phases * layers * heads, candidates);
    count = new long[cells];
    sum = new double[cells];
    sumOfSquares = new double[cells];
    mass = new double[Math.multiplyExact(ORDERS * HALVES * phases * layers * heads, blocks)];
    undecided = new boolean[phases * layers * heads];
  }

  /** Where an order stands in the state. */
  static int order(Order order) {
    return order.equals(Order.FRAME_MAJOR) ? 0 : 1;
  }

  int head(int phase, int layer, int head) {
    return (phase * layers + layer) * heads + head;
  }

  int cell(int phase, int layer, int head, int candidate) {
    return head(phase, layer, head) * candidates + candidate;
  }

  int massOf(int order, int half, int phase, int layer, int head) {
    return ((order * HALVES + half) * phases * layers * heads + head(phase, layer, head)) * blocks;
  }

  /**
   * A head's blocks in an order, the most attended first, equal ones by number.
   *
   * @param half the half whose points are looked at, or −1 for all. Where that half saw nothing of
   *     the phase, all its phases are looked at; where it saw nothing at all, the other half's
   *     points are
   */
  int[] ranked(int order, int half, int phase, int layer, int head) {
    double[] found = new double[blocks];
    add(found, order, half, phase, layer, head);
    if (allZero(found)) {
      for (int any = 0; any < phases; any++) {
        add(found, order, half, any, layer, head);
      }
    }
    if (half >= 0 && allZero(found)) {
      return ranked(order, -1, phase, layer, head);
    }
    return descending(found);
  }

  private static boolean allZero(double[] values) {
    for (double value : values) {
      if (value != 0) {
        return false;
      }
    }
    return true;
  }

  /**
   * Indices of the values, none negative, the largest first, equal ones in order. A table of a
   * large model takes tens of thousands of such rankings, so plain numbers are sorted: a value's
   * upper bits with its index in place of the lowest, and then what differs in the lowest alone.
   */
  private static int[] descending(double[] values) {
    int low = Integer.SIZE - Integer.numberOfLeadingZeros(values.length);
    long mask = (1L << low) - 1;
    long[] keys = new long[values.length];
    for (int i = 0; i < keys.length; i++) {
      keys[i] = Double.doubleToLongBits(values[i]) & ~mask | mask - i;
    }
    Arrays.sort(keys);
    int[] ranking = new int[keys.length];
    for (int i = 0; i < keys.length; i++) {
      int index = (int) (mask - (keys[keys.length - 1 - i] & mask));
      int at = i;
      for (; at > 0 && values[index] > values[ranking[at - 1]]; at--) {
        ranking[at] = ranking[at - 1];
      }
      ranking[at] = index;
    }
    return ranking;
  }

  private void add(double[] to, int order, int half, int phase, int layer, int head) {
    for (int h = 0; h < HALVES; h++) {
      if (half < 0 || h == half) {
        int at = massOf(order, h, phase, layer, head);
        for (int block = 0; block < blocks; block++) {
          to[block] += mass[at + block];
        }
      }
    }
  }

  /** Adds what a point of the stage in progress gave; the point is done. */
  void add(PointFindings found) {
    int layer = found.key.layer();
    for (PointFindings.Score score : found.scores) {
      int cell = cell(found.phase, layer, score.head(), score.candidate());
      count[cell]++;
      sum[cell] += score.error();
      sumOfSquares[cell] += score.error() * score.error();
    }
    if (found.norms != null) {
      norms.put(found.key, found.norms);
      for (int order = 0; order < ORDERS; order++) {
        int at = massOf(order, found.half, found.phase, layer, 0); // heads lie side by side
        for (int i = 0; i < heads * blocks; i++) {
          mass[at + i] += (float) found.mass[order][i];
        }
      }
    }
    done.add(found.key);
  }

  /** Ends the stage in progress. */
  void endStage() {
    done.clear();
    stage++;
  }

  /** Bytes that {@link #write} writes, but for the points' names and norms. */
  long bytes() {
    return 24L * count.length + 8L * mass.length + undecided.length;
  }

  /** Writes all of it; {@link #read} reads it into a state of the same search. */
  void write(DataOutputStream out) throws IOException {
    out.writeInt(stage);
    out.writeInt(done.size());
    for (Key key : done) {
      write(out, key);
    }
    out.writeInt(norms.size());
    for (Map.Entry<Key, double[]> entry : norms.entrySet()) {
      write(out, entry.getKey());
      for (double value : entry.getValue()) {
        out.writeDouble(value);
      }
    }
    for (int i = 0; i < count.length; i++) {
      out.writeLong(count[i]);
      out.writeDouble(sum[i]);
      out.writeDouble(sumOfSquares[i]);
    }
    for (double value : mass) {
      out.writeDouble(value);
    }
    writeUndecided(out);
  }

  void read(DataInputStream in) throws IOException {
    stage = in.readInt();
    for (int left = in.readInt(); left > 0; left--) {
      done.add(readKey(in));
    }
    for (int left = in.readInt(); left > 0; left--) {
      Key key = readKey(in);
      double[] values = new double[ORDERS];
      for (int order = 0; order < ORDERS; order++) {
        values[order] = in.readDouble();
      }
      norms.put(key, values);
    }
    byte[] cell = new byte[3 * Long.BYTES];
    ByteBuffer values = ByteBuffer.wrap(cell);
    for (int i = 0; i < count.length; i++) {
      in.readFully(cell);
      count[i] = values.getLong(0);
      sum[i] = values.getDouble(Long.BYTES);
      sumOfSquares[i] = values.getDouble(2 * Long.BYTES);
    }
    StoredValues.read(in, mass);
    readUndecided(in);
  }

  void writeUndecided(DataOutputStream out) throws IOException {
    for (boolean value : undecided) {
      out.writeBoolean(value);
    }
  }

  void readUndecided(DataInputStream in) throws IOException {
    for (int i = 0; i < undecided.length; i++) {
      undecided[i] = in.readBoolean();
    }
  }

  static void write(DataOutputStream out, Key key) throws IOException {
    for (int part : new int[] {key.sample(), key.step(), key.layer(), key.branch()}) {
      out.writeInt(part);
    }
  }

  static Key readKey(DataInputStream in) throws IOException {
    return new Key(in.readInt(), in.readInt(), in.readInt(), in.readInt());
  }
}

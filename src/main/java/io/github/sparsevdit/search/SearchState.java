package io.github.sparsevdit.search;

import io.github.sparsevdit.Order;
import io.github.sparsevdit.internal.AtomicFiles;
import io.github.sparsevdit.search.CalibrationSource.Key;
import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.Channels;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * All a search has found so far: what it needs to go on, and nothing that depends on when or where
 * it ran. Sums grow in the order the source yields its points, so a search that was interrupted and
 * resumed holds the same bits as one that was not.
 */
final class SearchState {
  /** Orders a head's attention mass is kept in: frame-major, token-major. */
  static final int ORDERS = 2;

  /** Halves of the calibration points: blocks are chosen on one and scored on the other. */
  static final int HALVES = 2;

  private static final long MAGIC = 0x7376646974736561L; // "svditsea"
  private static final int VERSION = 2;

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

  void score(int phase, int layer, int head, int candidate, double error) {
    int cell = cell(phase, layer, head, candidate);
    count[cell]++;
    sum[cell] += error;
    sumOfSquares[cell] += error * error;
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
    if (Arrays.stream(found).sum() == 0) {
      for (int any = 0; any < phases; any++) {
        add(found, order, half, any, layer, head);
      }
    }
    if (Arrays.stream(found).sum() == 0 && half >= 0) {
      return ranked(order, -1, phase, layer, head);
    }
    Integer[] ranking = new Integer[blocks];
    Arrays.setAll(ranking, i -> i);
    Arrays.sort(
        ranking,
        (a, b) ->
            found[a] != found[b] ? Double.compare(found[b], found[a]) : Integer.compare(a, b));
    return Arrays.stream(ranking).mapToInt(Integer::intValue).toArray();
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

  /** Writes all of it, whole and on the disk or not at all: a search may run for days. */
  void write(Path file, String fingerprint, CostModel cost) {
    AtomicFiles.createFolderOf(file);
    AtomicFiles.write(
        file,
        channel -> {
          DataOutputStream out =
              new DataOutputStream(
                  new BufferedOutputStream(Channels.newOutputStream(channel), 1 << 16));
          write(out, fingerprint, cost);
          out.flush();
        });
  }

  private void write(DataOutputStream out, String fingerprint, CostModel cost) throws IOException {
    out.writeLong(MAGIC);
    out.writeInt(VERSION);
    write(out, cost);
    out.writeUTF(fingerprint);
    for (int size : new int[] {phases, layers, heads, candidates, blocks, stage}) {
      out.writeInt(size);
    }
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
    for (boolean value : undecided) {
      out.writeBoolean(value);
    }
    out.writeLong(MAGIC);
  }

  /**
   * Reads what {@link #write} wrote.
   *
   * @throws IllegalArgumentException if the file is no checkpoint, is cut short, or belongs to
   *     another search
   */
  static SearchState read(Path file, String fingerprint) {
    try (DataInputStream in =
        new DataInputStream(new BufferedInputStream(Files.newInputStream(file)))) {
      readCost(in, file);
      if (!in.readUTF().equals(fingerprint)) {
        throw new IllegalArgumentException(
            "the checkpoint %s belongs to another search: source, candidates, options, backend or tier differ"
                .formatted(file));
      }
      SearchState state =
          new SearchState(in.readInt(), in.readInt(), in.readInt(), in.readInt(), in.readInt());
      state.stage = in.readInt();
      for (int left = in.readInt(); left > 0; left--) {
        state.done.add(readKey(in));
      }
      for (int left = in.readInt(); left > 0; left--) {
        Key key = readKey(in);
        double[] values = new double[ORDERS];
        for (int order = 0; order < ORDERS; order++) {
          values[order] = in.readDouble();
        }
        state.norms.put(key, values);
      }
      for (int i = 0; i < state.count.length; i++) {
        state.count[i] = in.readLong();
        state.sum[i] = in.readDouble();
        state.sumOfSquares[i] = in.readDouble();
      }
      for (int i = 0; i < state.mass.length; i++) {
        state.mass[i] = in.readDouble();
      }
      for (int i = 0; i < state.undecided.length; i++) {
        state.undecided[i] = in.readBoolean();
      }
      if (in.readLong() != MAGIC) {
        throw new IllegalArgumentException("the checkpoint " + file + " is damaged");
      }
      return state;
    } catch (EOFException e) {
      throw new IllegalArgumentException("the checkpoint " + file + " is cut short", e);
    } catch (IOException e) {
      throw new UncheckedIOException("cannot read the search's checkpoint " + file, e);
    }
  }

  /**
   * The costs a search goes by, as its checkpoint has them.
   *
   * @throws IllegalArgumentException if the file is no checkpoint
   */
  static CostModel readCost(Path file) {
    try (DataInputStream in =
        new DataInputStream(new BufferedInputStream(Files.newInputStream(file)))) {
      return readCost(in, file);
    } catch (EOFException e) {
      throw new IllegalArgumentException("the checkpoint " + file + " is cut short", e);
    } catch (IOException e) {
      throw new UncheckedIOException("cannot read the search's checkpoint " + file, e);
    }
  }

  private static CostModel readCost(DataInputStream in, Path file) throws IOException {
    if (in.readLong() != MAGIC || in.readInt() != VERSION) {
      throw new IllegalArgumentException(file + " is not a checkpoint of this version's search");
    }
    return new CostModel(
        in.readUTF(),
        in.readDouble(),
        in.readDouble(),
        in.readDouble(),
        in.readDouble(),
        in.readUTF(),
        in.readDouble(),
        in.readDouble());
  }

  private static void write(DataOutputStream out, CostModel cost) throws IOException {
    out.writeUTF(cost.name());
    out.writeDouble(cost.perGroup());
    out.writeDouble(cost.perHead());
    out.writeDouble(cost.perPermutedHead());
    out.writeDouble(cost.perDensity());
    out.writeUTF(cost.device());
    out.writeDouble(cost.fitError());
    out.writeDouble(cost.heldOutError());
  }

  private static void write(DataOutputStream out, Key key) throws IOException {
    for (int part : new int[] {key.sample(), key.step(), key.layer(), key.branch()}) {
      out.writeInt(part);
    }
  }

  private static Key readKey(DataInputStream in) throws IOException {
    return new Key(in.readInt(), in.readInt(), in.readInt(), in.readInt());
  }
}

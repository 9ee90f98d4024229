package io.github.sparsevdit.search;

import io.github.sparsevdit.pattern.Mode;
import io.github.sparsevdit.pattern.ModelShape;
import io.github.sparsevdit.pattern.Order;
import io.github.sparsevdit.pattern.Sequence;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;

/** Values as a search's checkpoint has them. */
final class StoredValues {
  private static final int DOUBLES_AT_ONCE = 1 << 13;

  private StoredValues() {}

  static void write(DataOutputStream out, ModelShape model) throws IOException {
    out.writeUTF(model.name());
    out.writeInt(model.layers());
    out.writeInt(model.heads());
    out.writeInt(model.headDim());
  }

  static ModelShape readModel(DataInputStream in) throws IOException {
    return new ModelShape(in.readUTF(), in.readInt(), in.readInt(), in.readInt());
  }

  static void write(DataOutputStream out, Sequence sequence) throws IOException {
    out.writeInt(sequence.frames());
    out.writeInt(sequence.height());
    out.writeInt(sequence.width());
    out.writeInt(sequence.text());
    out.writeBoolean(sequence.textFirst());
  }

  static Sequence readSequence(DataInputStream in) throws IOException {
    return new Sequence(in.readInt(), in.readInt(), in.readInt(), in.readInt(), in.readBoolean());
  }

  static void write(DataOutputStream out, Candidates candidates) throws IOException {
    out.writeInt(candidates.all().size());
    for (Candidate candidate : candidates.all()) {
      out.writeUTF(candidate.mode().json());
      out.writeUTF(candidate.order().kind().json());
      out.writeLong(candidate.window());
      out.writeInt(candidate.listed());
    }
  }

  static Candidates readCandidates(DataInputStream in) throws IOException {
    List<Candidate> all = new ArrayList<>();
    for (int left = in.readInt(); left > 0; left--) {
      Mode mode = Mode.ofJson(in.readUTF());
      // Candidates have no other order.
      Order order =
          in.readUTF().equals(Order.FRAME_MAJOR.kind().json())
              ? Order.FRAME_MAJOR
              : Order.TOKEN_MAJOR;
      all.add(new Candidate(mode, order, in.readLong(), in.readInt()));
    }
    return Candidates.of(all);
  }

  static void writeInts(DataOutputStream out, List<Integer> values) throws IOException {
    out.writeInt(values.size());
    for (int value : values) {
      out.writeInt(value);
    }
  }

  static List<Integer> readInts(DataInputStream in) throws IOException {
    List<Integer> values = new ArrayList<>();
    for (int left = in.readInt(); left > 0; left--) {
      values.add(in.readInt());
    }
    return List.copyOf(values);
  }

  static void writeDoubles(DataOutputStream out, List<Double> values) throws IOException {
    out.writeInt(values.size());
    for (double value : values) {
      out.writeDouble(value);
    }
  }

  static List<Double> readDoubles(DataInputStream in) throws IOException {
    List<Double> values = new ArrayList<>();
    for (int left = in.readInt(); left > 0; left--) {
      values.add(in.readDouble());
    }
    return List.copyOf(values);
  }

  /** Fills an array, many values at once: a state has tens of millions. */
  static void read(DataInputStream in, double[] values) throws IOException {
    byte[] bytes = new byte[Math.min(values.length, DOUBLES_AT_ONCE) * Double.BYTES];
    for (int at = 0; at < values.length; ) {
      int count = Math.min(values.length - at, DOUBLES_AT_ONCE);
      in.readFully(bytes, 0, count * Double.BYTES);
      ByteBuffer.wrap(bytes).asDoubleBuffer().get(values, at, count);
      at += count;
    }
  }
}

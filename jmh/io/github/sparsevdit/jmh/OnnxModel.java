package io.github.sparsevdit.jmh;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;

/**
 * An ONNX model of one node, ONNX Runtime's {@code com.microsoft.MultiHeadAttention}, written in
 * protobuf's wire format. Field numbers are those of onnx.proto3.
 */
final class OnnxModel {
  private static final int FLOAT = 1; // TensorProto.DataType
  private static final int INT_ATTRIBUTE = 2; // AttributeProto.AttributeType

  private OnnxModel() {}

  /** Inputs q, k, v and output out: fp32 [1, tokens, heads · headDim]. */
  static byte[] multiHeadAttention(int tokens, int heads, int headDim) {
    Message node =
        new Message()
            .text(1, "q")
            .text(1, "k")
            .text(1, "v")
            .text(2, "out")
            .text(4, "MultiHeadAttention")
            .message(
                5, new Message().text(1, "num_heads").number(3, heads).number(20, INT_ATTRIBUTE))
            .text(7, "com.microsoft");
    Message graph = new Message().message(1, node).text(2, "attention");
    for (String input : new String[] {"q", "k", "v"}) {
      graph.message(11, value(input, 1, tokens, (long) heads * headDim));
    }
    graph.message(12, value("out", 1, tokens, (long) heads * headDim));
    return new Message()
        .number(1, 8) // IR version
        .message(7, graph)
        .message(8, new Message().text(1, "").number(2, 17))
        .message(8, new Message().text(1, "com.microsoft").number(2, 1))
        .bytes();
  }

  private static Message value(String name, long... shape) {
    Message dimensions = new Message();
    for (long size : shape) {
      dimensions.message(1, new Message().number(1, size));
    }
    Message tensor = new Message().number(1, FLOAT).message(2, dimensions);
    return new Message().text(1, name).message(2, new Message().message(1, tensor));
  }

  /** A protobuf message in the making. */
  private static final class Message {
    private final ByteArrayOutputStream out = new ByteArrayOutputStream();

    Message number(int field, long value) {
      varint((long) field << 3);
      varint(value);
      return this;
    }

    Message text(int field, String value) {
      return delimited(field, value.getBytes(StandardCharsets.UTF_8));
    }

    Message message(int field, Message value) {
      return delimited(field, value.bytes());
    }

    byte[] bytes() {
      return out.toByteArray();
    }

    private Message delimited(int field, byte[] bytes) {
      varint((long) field << 3 | 2);
      varint(bytes.length);
      out.writeBytes(bytes);
      return this;
    }

    private void varint(long value) {
      for (; value >>> 7 != 0; value >>>= 7) {
        out.write((int) (value & 0x7f | 0x80));
      }
      out.write((int) value);
    }
  }
}

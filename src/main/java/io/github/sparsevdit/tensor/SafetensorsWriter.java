package io.github.sparsevdit.tensor;

import io.github.sparsevdit.internal.io.AtomicFiles;
import io.github.sparsevdit.internal.io.JsonText;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;

/** Writes safetensors files. */
final class SafetensorsWriter {
  private static final long CHUNK = 1 << 28; // a ByteBuffer holds less than 2 GiB

  private SafetensorsWriter() {}

  static void write(Path path, Map<String, Tensor> tensors, Map<String, String> metadata) {
    // Wide elements first, so that each tensor begins at a multiple of its element size.
    List<Map.Entry<String, Tensor>> sorted = new ArrayList<>(tensors.entrySet());
    sorted.sort(
        Comparator.comparingInt((Map.Entry<String, Tensor> e) -> -e.getValue().type().bytes())
            .thenComparing(Map.Entry::getKey));
    byte[] header = header(sorted, metadata);
    AtomicFiles.write(
        path,
        channel -> {
          ByteBuffer length = ByteBuffer.allocate(Long.BYTES).order(ByteOrder.LITTLE_ENDIAN);
          AtomicFiles.writeAll(channel, length.putLong(header.length).flip());
          AtomicFiles.writeAll(channel, ByteBuffer.wrap(header));
          for (Map.Entry<String, Tensor> entry : sorted) {
            write(channel, entry.getValue());
          }
        });
  }

  private static byte[] header(
      List<Map.Entry<String, Tensor>> tensors, Map<String, String> metadata) {
    JsonText text = JsonText.compact().object();
    if (!metadata.isEmpty()) {
      text.field("__metadata__").object();
      metadata.forEach(text::field);
      text.end();
    }
    long at = 0;
    for (Map.Entry<String, Tensor> entry : tensors) {
      if (entry.getKey().equals("__metadata__")) {
        throw new IllegalArgumentException("a tensor cannot be named __metadata__");
      }
      Tensor tensor = entry.getValue();
      long end = at + tensor.elements() * tensor.type().bytes();
      String dtype =
          switch (tensor.type()) {
            case BF16 -> "BF16";
            case FP16 -> "F16";
            case FP32 -> "F32";
            case E4M3 -> throw new AssertionError("no tensor holds " + tensor.type());
          };
      text.field(entry.getKey()).object().field("dtype", dtype);
      text.field("shape", Arrays.stream(tensor.shape()).boxed().toList());
      text.field("data_offsets", List.of(at, end)).end();
      at = end;
    }
    text.end();
    byte[] bytes = text.toString().getBytes(StandardCharsets.UTF_8);
    int padded = Math.ceilDiv(bytes.length, Long.BYTES) * Long.BYTES;
    byte[] header = Arrays.copyOf(bytes, padded);
    Arrays.fill(header, bytes.length, padded, (byte) ' ');
    return header;
  }

  private static void write(FileChannel channel, Tensor tensor) throws IOException {
    if (tensor.contiguous()) {
      write(channel, tensor.segment());
      return;
    }
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment packed = arena.allocate(tensor.elements() * tensor.type().bytes());
      tensor.copyTo(packed);
      write(channel, packed);
    }
  }

  private static void write(FileChannel channel, MemorySegment bytes) throws IOException {
    for (long at = 0; at < bytes.byteSize(); at += CHUNK) {
      AtomicFiles.writeAll(
          channel, bytes.asSlice(at, Math.min(CHUNK, bytes.byteSize() - at)).asByteBuffer());
    }
  }
}

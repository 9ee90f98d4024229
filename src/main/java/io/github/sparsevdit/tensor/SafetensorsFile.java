package io.github.sparsevdit.tensor;

import io.github.sparsevdit.internal.io.GitLfs;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/** One mapped safetensors file: 8 bytes of header length (little-endian), the header, the data. */
record SafetensorsFile(Path path, SafetensorsHeader header, MemorySegment data) {
  /** What to say of a file that lacks its end. */
  static final String CUT_SHORT =
      "a download that did not finish leaves such a file: download it again";

  private static final ValueLayout.OfLong LENGTH =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  static SafetensorsFile open(Path path, Arena arena) {
    try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
      long size = channel.size();
      if (size < LENGTH.byteSize()) {
        throw new IllegalArgumentException(
            path
                + " has "
                + size
                + " bytes, expected a safetensors file: 8 bytes of header length first; "
                + CUT_SHORT);
      }
      GitLfs.requireContent(path);
      MemorySegment file = channel.map(FileChannel.MapMode.READ_ONLY, 0, size, arena);
      long length = file.get(LENGTH, 0);
      long room = size - LENGTH.byteSize();
      if (length < 2 || length > room) {
        throw new IllegalArgumentException(
            path
                + ": the header has "
                + Long.toUnsignedString(length)
                + " bytes, expected 2 to "
                + room
                + ", what the file holds"
                + (length > room && length <= SafetensorsHeader.MAX_BYTES
                    ? ": at least " + (length - room) + " bytes are missing; " + CUT_SHORT
                    : ""));
      }
      if (length > SafetensorsHeader.MAX_BYTES) {
        throw new IllegalArgumentException(
            path
                + ": the header has "
                + length
                + " bytes, expected at most "
                + SafetensorsHeader.MAX_BYTES);
      }
      MemorySegment text = file.asSlice(LENGTH.byteSize(), length);
      MemorySegment data = file.asSlice(LENGTH.byteSize() + length);
      return new SafetensorsFile(
          path,
          SafetensorsHeader.parse(path.toString(), text.asByteBuffer(), data.byteSize()),
          data);
    } catch (IOException e) {
      throw new UncheckedIOException("cannot read " + path + ": " + e, e);
    }
  }

  /** The bytes of the tensor of that name, which is there. */
  MemorySegment bytes(String name) {
    SafetensorsHeader.Entry entry = header.entries().get(name);
    return data.asSlice(entry.begin(), entry.end() - entry.begin());
  }
}

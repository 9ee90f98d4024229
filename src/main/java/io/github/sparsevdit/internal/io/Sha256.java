package io.github.sparsevdit.internal.io;

import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/** The SHA-256 of what it is given, piece by piece. Not thread-safe. */
public final class Sha256 {
  private static final long SEGMENT_AT_ONCE = 1L << 30; // a ByteBuffer has less than 2 GiB
  private static final int FILE_AT_ONCE = 1 << 20;

  private final MessageDigest digest;

  public Sha256() {
    try {
      digest = MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError(e); // every JDK has it
    }
  }

  /** Adds bytes. */
  public Sha256 update(byte... bytes) {
    digest.update(bytes);
    return this;
  }

  /** Adds text, as UTF-8. */
  public Sha256 update(String text) {
    return update(text.getBytes(StandardCharsets.UTF_8));
  }

  /** Adds the bytes of a segment. */
  public Sha256 update(MemorySegment segment) {
    for (long at = 0; at < segment.byteSize(); at += SEGMENT_AT_ONCE) {
      long size = Math.min(SEGMENT_AT_ONCE, segment.byteSize() - at);
      digest.update(segment.asSlice(at, size).asByteBuffer());
    }
    return this;
  }

  /** Adds the bytes of a file. */
  public Sha256 update(Path file) throws IOException {
    byte[] buffer = new byte[FILE_AT_ONCE];
    try (InputStream in = Files.newInputStream(file)) {
      for (int read = in.read(buffer); read >= 0; read = in.read(buffer)) {
        digest.update(buffer, 0, read);
      }
    }
    return this;
  }

  /** The digest's 32 bytes; begins anew. */
  public byte[] bytes() {
    return digest.digest();
  }

  /** The digest as 64 lower-case hexadecimal digits; begins anew. */
  public String hex() {
    return HexFormat.of().formatHex(bytes());
  }
}

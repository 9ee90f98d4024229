package io.github.sparsevdit.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.github.sparsevdit.internal.io.Sha256;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Against the examples that NIST publishes for FIPS 180-4. */
class Sha256Test {
  private static final String ABC =
      "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  private static final String MILLION_A =
      "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";

  @Test
  void textAndBytesInPieces() {
    assertEquals(ABC, new Sha256().update("abc").hex());
    assertEquals(ABC, new Sha256().update((byte) 'a').update("b").update("c").hex());
    assertEquals(ABC, HexFormat.of().formatHex(new Sha256().update("abc").bytes()));
    assertEquals(
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", new Sha256().hex());
  }

  @Test
  void beginsAnewAfterADigest() {
    Sha256 sha256 = new Sha256().update("what was before");
    sha256.hex();
    assertEquals(ABC, sha256.update("abc").hex());
  }

  @Test
  void segmentsAndFiles(@TempDir Path folder) throws IOException {
    byte[] text = "a".repeat(1_000_000).getBytes(StandardCharsets.US_ASCII);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment segment = arena.allocateFrom(ValueLayout.JAVA_BYTE, text);
      assertEquals(MILLION_A, new Sha256().update(segment).hex());
    }
    Path file = Files.write(folder.resolve("file"), text);
    assertEquals(MILLION_A, new Sha256().update(file).hex());
    Files.write(folder.resolve("long"), new byte[3 << 20]); // more than is read at once
    assertEquals(
        new Sha256().update(new byte[3 << 20]).hex(),
        new Sha256().update(folder.resolve("long")).hex());
  }
}

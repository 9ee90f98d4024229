package io.github.sparsevdit.tensor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.UnsupportedException;
import io.github.sparsevdit.cuda.DeviceBuffer;
import java.lang.foreign.Arena;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.api.io.TempDir;

/**
 * E4M3's numbers against their definition (arXiv 2209.05433, table 1), and that no tensor has it.
 */
class E4m3Test {
  private static final ElementType E4M3 = ElementType.E4M3;
  private static final int NAN = 0x7f;

  /** The value of a code without a sign: 2^(e-7) (1 + m/8), and below the normal ones 2^-6 m/8. */
  private static double defined(int code) {
    int exponent = code >> 3;
    double mantissa = (code & 7) / 8.0;
    return exponent == 0 ? mantissa * 0x1p-6 : (1 + mantissa) * Math.pow(2, exponent - 7);
  }

  /** The code nearest to a magnitude, of two equally near the even one, by trying all. */
  private static int nearest(double magnitude) {
    int best = 0;
    for (int code = 1; code < NAN; code++) {
      double farther =
          Math.abs(defined(code) - magnitude) - Math.abs(defined(best) - magnitude); // exact
      if (farther < 0 || farther == 0 && code % 2 == 0) {
        best = code;
      }
    }
    return best;
  }

  @Test
  void everyCodeHasItsValueAndComesBack() {
    for (int code = 0; code < NAN; code++) {
      assertEquals(defined(code), E4M3.decode(code), "code " + code);
      assertEquals(-defined(code), E4M3.decode(code | 0x80), "code " + (code | 0x80));
      assertEquals(code, E4M3.encode(E4M3.decode(code)));
      assertEquals(code | 0x80, E4M3.encode(E4M3.decode(code | 0x80)));
    }
    assertEquals(448, E4M3.decode(0x7e));
    assertEquals(0x1p-9f, E4M3.decode(1));
    assertTrue(Float.isNaN(E4M3.decode(NAN)));
    assertTrue(Float.isNaN(E4M3.decode(0xff)));
  }

  @Test
  void everyBf16NumberGoesToTheNearest() {
    for (int bits = 0; bits < 0x10000; bits++) {
      float value = ElementType.BF16.decode(bits);
      int expected = Float.isNaN(value) ? NAN : nearest(Math.min(Math.abs((double) value), 1000));
      assertEquals(expected | bits >> 8 & 0x80, E4M3.encode(value), () -> "of " + value);
    }
  }

  @Test
  void betweenNeighboursTheNearerOneAndTheEvenOneOfATie() {
    for (int code = 0; code + 1 < NAN; code++) {
      float middle = (float) ((defined(code) + defined(code + 1)) / 2);
      assertEquals(code + (code & 1), E4M3.encode(middle), () -> "tie at " + middle);
      assertEquals(code, E4M3.encode(Math.nextDown(middle)));
      assertEquals(code + 1, E4M3.encode(Math.nextUp(middle)));
    }
  }

  @Test
  void whatIsLargerThanTheLargestBecomesIt() {
    for (float large : new float[] {449, 464, 480, 1e30f, Float.MAX_VALUE, 1f / 0}) {
      assertEquals(448, E4M3.decode(E4M3.encode(large)));
      assertEquals(-448, E4M3.decode(E4M3.encode(-large)));
    }
    assertEquals(0, E4M3.encode(Float.MIN_VALUE));
    assertEquals(0x80, E4M3.encode(-0f));
  }

  @Test
  void itsTensorsAreBf16() {
    for (ElementType type : ElementType.values()) {
      assertEquals(type == E4M3 ? ElementType.BF16 : type, type.tensorType());
    }
  }

  @Test
  void noTensorHasIt(@TempDir Path folder) throws Exception {
    try (Arena arena = Arena.ofConfined();
        Backend backend = Backend.cpu();
        DeviceBuffer buffer = backend.buffer(64)) {
      refused(() -> Tensor.of(arena.allocate(6), E4M3, 2, 3));
      refused(() -> backend.allocate(E4M3, 2, 3));
      refused(() -> backend.allocatePinned(E4M3, 2, 3));
      refused(() -> buffer.tensor(E4M3, 2, 3));
    }
    Path file = folder.resolve("eight-bits.safetensors");
    byte[] header =
        "{\"q\":{\"dtype\":\"F8_E4M3\",\"shape\":[2],\"data_offsets\":[0,2]}}"
            .getBytes(StandardCharsets.UTF_8);
    Files.write(
        file,
        ByteBuffer.allocate(8 + header.length + 2)
            .order(ByteOrder.LITTLE_ENDIAN)
            .putLong(header.length)
            .put(header)
            .array());
    try (Safetensors read = Safetensors.open(file)) {
      Exception thrown = assertThrows(UnsupportedException.class, () -> read.tensor("q"));
      assertTrue(thrown.getMessage().contains("F8_E4M3"), thrown.getMessage());
    }
  }

  private static void refused(Executable call) {
    String message = assertThrows(IllegalArgumentException.class, call).getMessage();
    assertTrue(message.contains("no tensor holds E4M3"), message);
    assertTrue(message.contains("BF16"), message);
    assertTrue(message.contains("plan.tensorType()"), message);
  }
}

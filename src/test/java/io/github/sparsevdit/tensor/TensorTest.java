package io.github.sparsevdit.tensor;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.math.BigDecimal;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class TensorTest {
  private final Arena arena = Arena.ofConfined();

  @AfterEach
  void close() {
    arena.close();
  }

  /** 0, 1, 2, … in that shape. */
  private Tensor counting(ElementType type, long... shape) {
    long elements = 1;
    for (long size : shape) {
      elements *= size;
    }
    float[] values = new float[(int) elements];
    for (int i = 0; i < values.length; i++) {
      values[i] = i;
    }
    return Tensor.of(arena.allocate(elements * type.bytes(), 8), type, shape).copyFrom(values);
  }

  @ParameterizedTest
  @EnumSource(mode = EnumSource.Mode.EXCLUDE, names = "E4M3") // no tensor's type
  void viewsShowTheRightElements(ElementType type) {
    Tensor tensor = counting(type, 2, 3, 4);
    assertEquals(12, tensor.stride(0));
    assertEquals(24, tensor.elements());
    assertTrue(tensor.contiguous());
    assertArrayEquals(
        new float[] {0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11},
        tensor.select(0, 0).transpose(0, 1).toFloats());
    assertArrayEquals(
        new float[] {17, 18, 21, 22}, tensor.select(0, 1).slice(0, 1, 3).slice(1, 1, 3).toFloats());
    assertArrayEquals(new float[] {13, 17, 21}, tensor.select(2, 1).select(0, 1).toFloats());
    assertArrayEquals(new long[] {6, 4}, tensor.view(6, 4).shape());
    assertArrayEquals(new float[] {20, 21, 22, 23}, tensor.view(6, 4).select(0, 5).toFloats());
    assertFalse(tensor.transpose(0, 1).contiguous());
    assertEquals(0, tensor.slice(1, 3, 3).elements());
    assertEquals(0, tensor.slice(1, 3, 3).toFloats().length);
    assertEquals(1, tensor.view(24).select(0, 23).toFloats().length);
    assertEquals((2 * 4 + 1) * type.bytes(), tensor.slice(2, 0, 1).slice(0, 0, 1).spanBytes());
  }

  @Test
  void isMadeOfFloats() {
    float[] values = {1, Float.MIN_VALUE, -3, 4, 5, Float.NaN};
    Tensor tensor = Tensor.ofFloats(arena, values, 2, 3);
    assertEquals(ElementType.FP32, tensor.type());
    assertArrayEquals(new long[] {2, 3}, tensor.shape());
    assertArrayEquals(values, tensor.toFloats());
    values[0] = 7;
    assertEquals(1, tensor.toFloats()[0]);
    assertThrows(IllegalArgumentException.class, () -> Tensor.ofFloats(arena, values, 2, 2));
  }

  @ParameterizedTest
  @EnumSource(mode = EnumSource.Mode.EXCLUDE, names = "E4M3") // no tensor's type
  void copiesBetweenAnyStrides(ElementType type) {
    Random random = new Random(1);
    for (int round = 0; round < 50; round++) {
      long[] shape = {
        1 + random.nextInt(3), 1 + random.nextInt(4), 1 + random.nextInt(5), 1 + random.nextInt(6)
      };
      Tensor from = counting(type, shape);
      int a = random.nextInt(4);
      int b = random.nextInt(4);
      long[] turned = shape.clone();
      turned[a] = shape[b];
      turned[b] = shape[a];
      Tensor to = counting(type, turned).transpose(a, b);
      to.copyFrom(new float[(int) to.elements()]);
      to.copyFrom(from);
      assertArrayEquals(from.toFloats(), to.toFloats());
      MemorySegment packed = arena.allocate(from.elements() * type.bytes());
      to.copyTo(packed);
      assertArrayEquals(
          from.segment().toArray(ValueLayout.JAVA_BYTE), packed.toArray(ValueLayout.JAVA_BYTE));
      Tensor back = counting(type, turned).transpose(a, b).copyFrom(packed);
      assertArrayEquals(from.toFloats(), back.toFloats());
    }
  }

  /** Rounding to nearest, ties to even, against exact decimal arithmetic. */
  @ParameterizedTest
  @EnumSource(names = {"BF16", "FP16"})
  void conversionsRoundToNearest(ElementType type) {
    Random random = new Random(2);
    for (int i = 0; i < 20_000; i++) {
      int bits = random.nextInt(0x7c00) | (random.nextBoolean() ? 0x8000 : 0);
      float value = type.decode(bits);
      assertEquals(bits, type.encode(value));
      float next = type.decode(bits + 1);
      if (!Float.isFinite(next)) {
        continue;
      }
      BigDecimal low = new BigDecimal(value);
      BigDecimal high = new BigDecimal(next);
      BigDecimal middle = low.add(high).divide(BigDecimal.valueOf(2));
      float tie = middle.floatValue();
      if (new BigDecimal(tie).compareTo(middle) == 0) {
        assertEquals((bits & 1) == 0 ? bits : bits + 1, type.encode(tie), () -> "tie at " + tie);
      }
      float between = value + (next - value) * random.nextFloat();
      boolean nearLow =
          new BigDecimal(between)
                  .subtract(low)
                  .abs()
                  .compareTo(new BigDecimal(between).subtract(high).abs())
              < 0;
      if (new BigDecimal(between).compareTo(middle) != 0) {
        assertEquals(nearLow ? bits : bits + 1, type.encode(between), () -> "at " + between);
      }
    }
    assertEquals(Float.POSITIVE_INFINITY, type.decode(type.encode(Float.POSITIVE_INFINITY)));
    assertEquals(Float.NEGATIVE_INFINITY, type.decode(type.encode(-Float.MAX_VALUE)));
    assertTrue(Float.isNaN(type.decode(type.encode(Float.intBitsToFloat(0x7f800001)))));
    assertTrue(Float.isNaN(type.decode(type.encode(Float.NaN))));
  }

  @Test
  void misuseIsNamed() {
    Tensor tensor = counting(ElementType.FP32, 2, 3);
    String[] messages = {
      refused(() -> tensor.view(4)),
      refused(() -> tensor.transpose(0, 1).view(6)),
      refused(() -> tensor.transpose(0, 2)),
      refused(() -> tensor.slice(1, 2, 4)),
      refused(() -> tensor.slice(1, 2, 1)),
      refused(() -> tensor.select(0, 2)),
      refused(() -> tensor.copyFrom(new float[5])),
      refused(() -> tensor.copyFrom(tensor.transpose(0, 1))),
      refused(() -> tensor.copyTo(arena.allocate(23))),
      refused(() -> tensor.copyFrom(arena.allocate(25))),
    };
    String[] expected = {
      "FP32 [2, 3] has 6 elements",
      "strides [1, 3]",
      "dimension 2 of FP32 [2, 3], which has 2",
      "slice [2, 4) of dimension 1, which has 3",
      "slice [2, 1)",
      "slice [2, 3) of dimension 0, which has 2",
      "6 elements; 5 values",
      "shape and type must agree",
      "takes 24 bytes; the segment has 23",
      "takes 24 bytes; the segment has 25",
    };
    for (int i = 0; i < expected.length; i++) {
      assertTrue(messages[i].contains(expected[i]), messages[i]);
    }
  }

  private static String refused(Executable call) {
    return assertThrows(IllegalArgumentException.class, call).getMessage();
  }

  @ParameterizedTest
  @EnumSource(
      value = ElementType.class,
      names = {"BF16", "FP16", "FP32"})
  void theFirstThatIsNotFiniteIsFound(ElementType type) {
    Tensor tensor = counting(type, 7, 5, 3);
    float largest = type == ElementType.FP16 ? 65504 : 3e38f;
    float[] values = new float[105];
    for (int i = 0; i < values.length; i++) {
      values[i] = i % 2 == 0 ? largest : -largest;
    }
    assertEquals(-1, tensor.copyFrom(values).firstNotFinite());
    for (int at = 0; at < values.length; at++) {
      float before = values[at];
      for (float bad : new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}) {
        values[at] = bad;
        tensor.copyFrom(values);
        assertEquals(at, tensor.firstNotFinite());
        Tensor turned = tensor.transpose(0, 1); // [5, 7, 3]
        assertEquals(at / 3 % 5 * 21 + at / 15 * 3 + at % 3, turned.firstNotFinite());
      }
      values[at] = before;
    }
    values[104] = Float.NaN;
    tensor.copyFrom(values);
    assertEquals(-1, tensor.slice(0, 0, 6).firstNotFinite());
    assertEquals(14, tensor.slice(0, 6, 7).firstNotFinite());
  }
}

package io.github.sparsevdit.tensor;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Sequence;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Against structs that the test writes and reads byte by byte. */
class DlPackTest {
  private static final int CPU = 1;
  private static final int FLOAT = 2;
  private static final int BFLOAT = 4;

  private static Tensor take(MemorySegment struct, boolean versioned) {
    // As it comes from native code: an address.
    MemorySegment pointer = MemorySegment.ofAddress(struct.address());
    return versioned ? DlPack.importVersioned(pointer) : DlPack.importTensor(pointer);
  }

  private static MemorySegment give(Tensor tensor, boolean versioned) {
    return versioned ? DlPack.exportVersioned(tensor) : DlPack.export(tensor);
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void importedTensorsAreViewsAndDeletedOnce(boolean versioned) {
    float[] values = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
    try (Arena arena = Arena.ofShared()) {
      MemorySegment data = arena.allocateFrom(ValueLayout.JAVA_FLOAT, values);
      ForeignTensor rows =
          new ForeignTensor(arena, versioned, data.address(), CPU, FLOAT, 32, 3, 4);
      Tensor tensor = take(rows.struct, versioned);
      assertEquals("FP32 [3, 4]", tensor.toString());
      assertArrayEquals(values, tensor.toFloats());
      tensor.copyFrom(new float[12]);
      assertEquals(0, data.getAtIndex(ValueLayout.JAVA_FLOAT, 11));
      assertEquals(0, rows.deleted());
      Tensor view = tensor.slice(0, 1, 2);
      view.close(); // owns nothing
      assertEquals(0, rows.deleted());
      tensor.close();
      tensor.close();
      assertEquals(1, rows.deleted());
      assertThrows(IllegalStateException.class, view::toFloats);

      data.copyFrom(MemorySegment.ofArray(values));
      ForeignTensor gaps =
          new ForeignTensor(arena, versioned, data.address(), CPU, FLOAT, 32, 2, 1, 2)
              .strides(arena, 4, -9, 1) // of one element: says nothing
              .byteOffset(4);
      try (Tensor strided = take(gaps.struct, versioned)) {
        assertArrayEquals(new float[] {1, 2, 5, 6}, strided.toFloats());
      }
      assertEquals(1, gaps.deleted());

      ForeignTensor halves = new ForeignTensor(arena, versioned, data.address(), CPU, FLOAT, 16, 4);
      ForeignTensor brains =
          new ForeignTensor(arena, versioned, data.address(), CPU, BFLOAT, 16, 4);
      try (Tensor half = take(halves.struct, versioned);
          Tensor brain = take(brains.struct, versioned)) {
        assertEquals(ElementType.FP16, half.type());
        assertEquals(ElementType.BF16, brain.type());
        assertArrayEquals(new float[] {0, 0, 0, 1}, brain.toFloats()); // upper halves of 0 and 1
      }
      ForeignTensor empty = new ForeignTensor(arena, versioned, 0, CPU, FLOAT, 32, 0, 4);
      try (Tensor none = take(empty.struct, versioned)) {
        assertEquals(0, none.elements());
      }
      ForeignTensor scalar = new ForeignTensor(arena, versioned, data.address(), CPU, FLOAT, 32);
      try (Tensor one = take(scalar.struct, versioned)) {
        assertEquals(1, one.elements());
      }
    }
  }

  @Test
  void whatIsNotUnderstoodIsRefusedAndStaysTheCallers() {
    refused(tensor -> tensor.putInt(0, 2), "DLPack 2.1"); // version
    refused(tensor -> tensor.putInt(0, 0), "DLPack 0.1");
    refused(tensor -> tensor.putInt(24, 1), "READ_ONLY");
    refused(tensor -> tensor.putInt(40, 3), "device type 3"); // pinned
    refused(tensor -> tensor.putInt(40, 10), "device type 10"); // ROCm
    refused(tensor -> tensor.putInt(48, -1), "-1 dimensions");
    refused(tensor -> tensor.putInt(48, 65), "65 dimensions");
    refused(tensor -> tensor.putShort(52, 0x2000), "code 0, 32 bits"); // integers
    refused(tensor -> tensor.putShort(52, 0x4002), "code 2, 64 bits"); // doubles
    refused(tensor -> tensor.putShort(54, 4), "4 lanes");
    try (Arena arena = Arena.ofShared()) {
      refused(tensor -> tensor.strides(arena, 4, 2), "stride 2; expected 1");
      refused(tensor -> tensor.strides(arena, -4, 1), "[-4, 1]");
      refused(tensor -> tensor.strides(arena, 0, 1), "overlap");
    }
    assertThrows(IllegalArgumentException.class, () -> DlPack.importTensor(MemorySegment.NULL));
    try (Arena arena = Arena.ofShared()) {
      ForeignTensor nowhere = new ForeignTensor(arena, false, 0, CPU, FLOAT, 32, 3, 4);
      assertThrows(IllegalArgumentException.class, () -> DlPack.importTensor(nowhere.struct));
    }
  }

  private static void refused(Consumer<ForeignTensor> change, String words) {
    try (Arena arena = Arena.ofShared()) {
      MemorySegment data = arena.allocate(64, 64);
      ForeignTensor tensor =
          new ForeignTensor(arena, true, data.address(), CPU, FLOAT, 32, 3, 4).strides(arena, 4, 1);
      change.accept(tensor);
      IllegalArgumentException e =
          assertThrows(IllegalArgumentException.class, () -> DlPack.importVersioned(tensor.struct));
      assertTrue(e.getMessage().contains(words), e.getMessage());
      assertEquals(0, tensor.deleted());
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void exportedTensorsAreWhatTheHeaderSays(boolean versioned) throws Throwable {
    int before = DlPack.exported();
    try (Backend backend = Backend.cpu()) {
      Tensor tensor = backend.allocate(ElementType.BF16, 2, 3, 4).copyFrom(new float[24]);
      Tensor view = tensor.transpose(0, 1).slice(2, 1, 3);
      MemorySegment struct = give(view, versioned);
      assertEquals(before + 1, DlPack.exported());
      ByteBuffer bytes = struct.asByteBuffer().order(ByteOrder.LITTLE_ENDIAN);
      int at = versioned ? 32 : 0;
      assertEquals(versioned ? 80 : 64, bytes.capacity());
      if (versioned) {
        assertEquals(1, bytes.getInt(0));
        assertEquals(0, bytes.getLong(24)); // flags
      }
      assertEquals(tensor.address() + 2, bytes.getLong(at));
      assertEquals(CPU, bytes.getInt(at + 8));
      assertEquals(0, bytes.getInt(at + 12));
      assertEquals(3, bytes.getInt(at + 16));
      assertEquals(BFLOAT, bytes.get(at + 20));
      assertEquals(16, bytes.get(at + 21));
      assertEquals(1, bytes.getShort(at + 22));
      assertArrayEquals(new long[] {3, 2, 2}, longs(bytes.getLong(at + 24), 3));
      assertArrayEquals(new long[] {4, 12, 1}, longs(bytes.getLong(at + 32), 3));
      assertEquals(0, bytes.getLong(at + 40));

      // The memory outlives its tensor until the consumer is done.
      final long used = backend.info().memoryUsedBytes();
      tensor.close();
      assertThrows(IllegalStateException.class, tensor::toFloats);
      assertThrows(IllegalStateException.class, () -> give(view, versioned));
      assertEquals(used, backend.info().memoryUsedBytes());
      ForeignTensor.delete(struct, versioned);
      assertEquals(used - 48, backend.info().memoryUsedBytes());
      assertEquals(before, DlPack.exported());
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void aRoundTripGivesTheSameMemory(boolean versioned) {
    int before = DlPack.exported();
    try (Backend backend = Backend.cpu();
        var plan =
            backend.plan(
                Sequence.video(1, 4, 4), ElementType.FP32, 8, 16, List.of(Pattern.full()));
        Tensor in = backend.allocate(ElementType.FP32, 1, 1, 16, 8);
        Tensor out = backend.allocate(ElementType.FP32, 1, 1, 16, 8)) {
      float[] values = new float[128];
      for (int i = 0; i < values.length; i++) {
        values[i] = i % 7;
      }
      in.copyFrom(values);
      plan.run(in, in, in, out);
      final float[] expected = out.toFloats();
      try (Tensor again = take(give(in, versioned), versioned);
          Tensor outAgain = take(give(out, versioned), versioned)) {
        assertEquals(in.address(), again.address());
        assertEquals(before + 2, DlPack.exported());
        out.copyFrom(new float[128]);
        plan.run(again, again, again, outAgain);
      }
      assertEquals(before, DlPack.exported());
      assertArrayEquals(expected, out.toFloats());
    }
  }

  @Test
  void aReadOnlyTensorSaysSo() throws Throwable {
    try (Arena arena = Arena.ofConfined()) {
      Tensor tensor = Tensor.of(arena.allocate(8, 8).asReadOnly(), ElementType.FP32, 2);
      assertThrows(IllegalArgumentException.class, () -> DlPack.export(tensor));
      MemorySegment struct = DlPack.exportVersioned(tensor);
      assertEquals(1, struct.get(ValueLayout.JAVA_LONG, 24));
      assertThrows(IllegalArgumentException.class, () -> DlPack.importVersioned(struct));
      ForeignTensor.delete(struct, true);
    }
  }

  private static long[] longs(long address, int count) {
    return MemorySegment.ofAddress(address).reinterpret(8L * count).toArray(ValueLayout.JAVA_LONG);
  }
}

package io.github.sparsevdit;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.github.sparsevdit.cuda.CudaStream;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.tensor.DlPack;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Device memory given away and taken back as another library would. */
@Tag("cuda")
class CudaDlPackTest {
  @Test
  void attentionRunsOnImportedDeviceMemory() {
    float[] values = new float[64 * 64];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) Math.sin(i * 0.3 + i / 64);
    }
    int before = DlPack.exported();
    try (Backend cuda = Backend.cuda(0);
        AttentionPlan plan =
            cuda.plan(Sequence.video(1, 8, 8), ElementType.BF16, 64, 64, List.of(Pattern.full()));
        Tensor expected = cuda.allocate(ElementType.BF16, 1, 1, 64, 64)) {
      Tensor in = cuda.allocate(ElementType.BF16, 1, 1, 64, 64).copyFrom(values);
      Tensor out = cuda.allocate(ElementType.BF16, 1, 1, 64, 64);
      plan.run(in, in, in, expected);
      final long used = cuda.info().memoryUsedBytes();
      MemorySegment struct = DlPack.exportVersioned(in);
      assertEquals(2, struct.get(ValueLayout.JAVA_INT, 40)); // kDLCUDA
      assertEquals(0, struct.get(ValueLayout.JAVA_INT, 44));
      assertEquals(in.address(), struct.get(ValueLayout.JAVA_LONG, 32));
      try (Tensor q = DlPack.importVersioned(struct);
          Tensor o = DlPack.importTensor(DlPack.export(out));
          CudaStream stream = cuda.stream()) {
        in.close(); // the memory stays
        out.close();
        plan.run(q, q, q, o, stream);
        assertArrayEquals(expected.toFloats(), o.toFloats());
        plan.run(q, q, q, o, stream); // closing waits for it
        assertEquals(before + 2, DlPack.exported());
        q.close();
        assertThrows(IllegalStateException.class, () -> plan.run(q, q, q, o, stream));
      }
      assertEquals(before, DlPack.exported());
      assertEquals(used - 2 * expected.spanBytes(), cuda.info().memoryUsedBytes());
    }
  }

  @Test
  void aDeviceThatIsNotThereIsRefused() {
    try (Backend cuda = Backend.cuda(0);
        Tensor in = cuda.allocate(ElementType.BF16, 8)) {
      MemorySegment struct = DlPack.export(in);
      struct.set(ValueLayout.JAVA_INT, 12, 99);
      assertThrows(BackendUnavailableException.class, () -> DlPack.importTensor(struct));
      struct.set(ValueLayout.JAVA_INT, 12, 0);
      DlPack.importTensor(struct).close();
    }
  }
}

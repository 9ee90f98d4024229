package io.github.sparsevdit;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.cuda.CudaStream;
import io.github.sparsevdit.cuda.DeviceBuffer;
import io.github.sparsevdit.pattern.Order;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Attention on a CUDA device, through the public face, against the float64 reference. */
@Tag("cuda")
class CudaAttentionTest {
  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12})
  void agreesWithTheReference(long seed) {
    try (Backend cpu = Backend.cpu();
        Backend cuda = Backend.cuda(0);
        DeviceCase one = new DeviceCase(seed, cpu, cuda);
        AttentionPlan plan = one.plan(cuda)) {
      one.call(plan).run(one.q, one.k, one.v, one.out);
      one.requireAccurate();
      one.poison();
      try (CudaStream stream = cuda.stream()) {
        one.call(plan).run(one.q, one.k, one.v, one.out, stream);
        one.requireAccurate();
      }
    }
  }

  /** A plan of every mode gives what the CPU gives, as near as the element type is. */
  @Test
  void everyModeAgreesWithTheCpu() {
    Sequence sequence = Sequence.video(3, 7, 9).withText(20, false);
    List<Pattern> patterns =
        List.of(
            Pattern.full(),
            Pattern.skip(),
            Pattern.diagonal(60),
            Pattern.multiDiagonal(9, 1),
            Pattern.verticalStripe(Order.tileMajor(1, 3, 3), 0, 2),
            Pattern.blocks(Order.FRAME_MAJOR, List.of(List.of(0), List.of(), List.of(1, 2))));
    int heads = patterns.size();
    try (Backend cpu = Backend.cpu();
        Backend cuda = Backend.cuda(0);
        Tensor values = cpu.allocate(ElementType.FP16, 1, heads, sequence.tokens(), 64);
        Tensor expected = cpu.allocate(ElementType.FP16, 1, heads, sequence.tokens(), 64);
        Tensor device = cuda.allocate(ElementType.FP16, 1, heads, sequence.tokens(), 64);
        Tensor out = cuda.allocate(ElementType.FP16, 1, heads, sequence.tokens(), 64);
        AttentionPlan onCpu = cpu.plan(sequence, ElementType.FP16, 64, 64, patterns);
        AttentionPlan onCuda = cuda.plan(sequence, ElementType.FP16, 64, 64, patterns);
        Arena arena = Arena.ofConfined()) {
      float[] wave = new float[(int) values.elements()];
      for (int i = 0; i < wave.length; i++) {
        wave[i] = (float) Math.sin(i * 0.37 + i / 64 * 1.7);
      }
      values.copyFrom(wave);
      onCpu.run(values, values, values, expected);
      device.copyFrom(values.segment());
      onCuda.run(device, device, device, out);
      MemorySegment back = arena.allocate(values.spanBytes(), 16);
      out.copyTo(back);
      float[] got = Tensor.of(back, ElementType.FP16, out.shape()).toFloats();
      assertArrayEquals(expected.toFloats(), got, 2e-3f);
      assertArrayEquals(onCpu.density(7), onCuda.density(7));
    }
  }

  /** A plan that measured how to launch computes the same as before. */
  @Test
  void tuningChangesNoResult() {
    for (long seed = 20; ; seed++) {
      try (Backend cpu = Backend.cpu();
          Backend cuda = Backend.cuda(0);
          DeviceCase one = new DeviceCase(seed, cpu, cuda);
          AttentionPlan plan = one.plan(cuda)) {
        if (plan.groupCount() < 2) {
          assertEquals(
              new AttentionPlan.LaunchTimes(0, 0), plan.tune(one.q, one.k, one.v, one.out));
          continue;
        }
        one.call(plan).run(one.q, one.k, one.v, one.out);
        AttentionPlan.LaunchTimes times = plan.tune(one.q, one.k, one.v, one.out);
        assertTrue(times.together() > 0 && times.apart() > 0, times::toString);
        one.poison();
        one.call(plan).run(one.q, one.k, one.v, one.out);
        one.requireAccurate();
        return;
      }
    }
  }

  @Test
  void whatIsNotOnTheDeviceIsRefused() {
    Sequence sequence = Sequence.video(1, 8, 8);
    try (Backend cpu = Backend.cpu();
        Backend cuda = Backend.cuda(0);
        AttentionPlan plan =
            cuda.plan(sequence, ElementType.BF16, 64, 64, List.of(Pattern.full()));
        Tensor device = cuda.allocate(ElementType.BF16, 1, 1, 64, 64);
        Tensor out = cuda.allocate(ElementType.BF16, 1, 1, 64, 64);
        Tensor host = cpu.allocate(ElementType.BF16, 1, 1, 64, 64)) {
      Exception refused =
          assertThrows(IllegalArgumentException.class, () -> plan.run(device, host, device, out));
      assertTrue(refused.getMessage().contains("k lies in host memory"), refused.getMessage());
      refused = assertThrows(IllegalStateException.class, device::segment);
      assertTrue(refused.getMessage().contains("copyTo"), refused.getMessage());
    }
  }

  @Test
  void whatCudaDoesNotComputeIsRefusedByName() {
    Sequence sequence = Sequence.video(1, 8, 8);
    List<Pattern> full = List.of(Pattern.full());
    try (Backend cuda = Backend.cuda(0)) {
      refused(() -> cuda.plan(sequence, ElementType.FP32, 64, 64, full), "element_type");
      refused(() -> cuda.plan(sequence, ElementType.BF16, 80, 64, full), "head_dim is 80");
      refused(() -> cuda.plan(sequence, ElementType.BF16, 64, 32, full), "block is 32");
    }
  }

  private static void refused(Runnable call, String word) {
    Exception refused = assertThrows(UnsupportedException.class, call::run);
    assertTrue(refused.getMessage().contains(word), refused.getMessage());
  }

  /** What a backend's tensors, buffers and workspaces take, and that they give it back. */
  @Test
  void infoTellsTheMemoryInUse() {
    try (Backend cuda = Backend.cuda(0)) {
      BackendInfo before = cuda.info();
      assertEquals(Backend.Kind.CUDA, before.kind());
      assertTrue(before.computeCapability() >= 80, before::toString);
      assertTrue(before.multiprocessors() > 0, before::toString);
      assertEquals(0, before.memoryUsedBytes());
      try (Tensor tensor = cuda.allocate(ElementType.BF16, 1000);
          DeviceBuffer buffer = cuda.buffer(24);
          Tensor pinned = cuda.allocatePinned(ElementType.FP32, 10)) {
        assertEquals(2000 + buffer.bytes(), cuda.info().memoryUsedBytes(), tensor::toString);
        assertEquals(40, cuda.info().pinnedBytes(), pinned::toString);
        assertTrue(cuda.info().memoryFreeBytes() < cuda.info().memoryBytes());
      }
      assertEquals(0, cuda.info().memoryUsedBytes());
      assertEquals(0, cuda.info().pinnedBytes());
    }
  }
}

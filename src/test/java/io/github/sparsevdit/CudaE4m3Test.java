package io.github.sparsevdit;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.sparsevdit.cuda.CudaGraph;
import io.github.sparsevdit.cuda.CudaStream;
import io.github.sparsevdit.cuda.DeviceBuffer;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Plans in E4M3 on a device of compute capability 9.0, and on others, which refuse them. */
@Tag("cuda")
class CudaE4m3Test {
  private static final Sequence SEQUENCE = Sequence.video(2, 8, 8);

  @BeforeEach
  void hopper() {
    if (SimulatedDevice.present()) {
      SimulatedDevice.configure("capability=90");
    }
  }

  @AfterEach
  void usual() {
    if (SimulatedDevice.present()) {
      SimulatedDevice.configure("");
    }
  }

  private static Backend open() {
    Backend cuda = Backend.cuda(0);
    int capability = cuda.info().computeCapability();
    if (capability != 90) {
      cuda.close();
      assumeTrue(false, "needs compute capability 9.0, the device has " + capability);
    }
    return cuda;
  }

  /** As a call, on a stream with the stream's workspace, and with one of the caller's. */
  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6})
  void agreesWithTheReference(long seed) {
    try (Backend cpu = Backend.cpu();
        Backend cuda = open();
        DeviceCase one = new DeviceCase(seed, ElementType.E4M3, cpu, cuda);
        AttentionPlan plan = one.plan(cuda)) {
      assertEquals(ElementType.BF16, plan.tensorType());
      one.call(plan).run(one.q, one.k, one.v, one.out);
      one.requireAccurate();
      one.poison();
      try (CudaStream stream = cuda.stream();
          Tensor workspace =
              cuda.allocate(ElementType.BF16, plan.workspaceBytes(one.host.batch) / 2)) {
        one.call(plan).workspace(workspace).run(one.q, one.k, one.v, one.out, stream);
        one.requireAccurate();
      }
    }
  }

  /** A graph keeps a workspace of its own: calls outside of it change nothing. */
  @Test
  void aGraphOfEightBits() {
    try (Backend cpu = Backend.cpu();
        Backend cuda = open();
        DeviceCase one = new DeviceCase(7, ElementType.E4M3, cpu, cuda);
        AttentionPlan plan = one.plan(cuda);
        CudaStream stream = cuda.stream();
        DeviceBuffer valid = cuda.buffer(4L * one.host.batch)) {
      valid.copyFrom(one.host.textValid);
      AttentionCall call = one.call(plan).textValid(valid);
      try (CudaGraph graph = stream.capture(() -> call.run(one.q, one.k, one.v, one.out, stream))) {
        plan.run(one.q, one.k, one.v, one.out, stream);
        stream.synchronize();
        one.poison();
        graph.launch(stream);
        stream.synchronize();
        one.requireAccurate();
      }
    }
  }

  @Test
  void crossAttentionIsNearTheCpus() {
    try (Backend cpu = Backend.cpu();
        Backend cuda = open();
        AttentionPlan onCpu = cpu.crossPlan(100, 77, ElementType.E4M3, 64, 2);
        AttentionPlan onCuda = cuda.crossPlan(100, 77, ElementType.E4M3, 64, 2);
        Tensor q = wave(cpu, 100);
        Tensor k = wave(cpu, 77);
        Tensor expected = cpu.allocate(ElementType.BF16, 1, 2, 100, 64);
        Tensor deviceQ = cuda.allocate(ElementType.BF16, q.shape()).copyFrom(q);
        Tensor deviceK = cuda.allocate(ElementType.BF16, k.shape()).copyFrom(k);
        Tensor out = cuda.allocate(ElementType.BF16, q.shape())) {
      onCpu.call().textValid(70).run(q, k, k, expected);
      onCuda.call().textValid(70).run(deviceQ, deviceK, deviceK, out);
      // The same q, k and v; the weights have 3 bits of mantissa there, 7 here.
      assertArrayEquals(expected.toFloats(), out.toFloats(), 0.03f);
    }
  }

  private static Tensor wave(Backend backend, int tokens) {
    Tensor tensor = backend.allocate(ElementType.BF16, 1, 2, tokens, 64);
    float[] values = new float[(int) tensor.elements()];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) Math.sin(i * 0.37 + i / 64 * 1.7);
    }
    return tensor.copyFrom(values);
  }

  /**
   * Scales and rounded rows lie in the stream's workspace, which goes with the backend's stream.
   */
  @Test
  void theStreamsWorkspaceIsTheOnlyMemoryTaken() {
    try (Backend cuda = open();
        AttentionPlan plan =
            cuda.plan(SEQUENCE, ElementType.E4M3, 64, 64, List.of(Pattern.full()));
        Tensor q = cuda.allocate(ElementType.BF16, 1, 1, SEQUENCE.tokens(), 64);
        Tensor out = cuda.allocate(ElementType.BF16, q.shape())) {
      q.copyFrom(new float[(int) q.elements()]);
      long before = cuda.info().memoryUsedBytes();
      plan.run(q, q, q, out);
      cuda.synchronize();
      assertEquals(before + plan.workspaceBytes(1), cuda.info().memoryUsedBytes(), 256);
      plan.run(q, q, q, out);
      cuda.synchronize();
      assertEquals(before + plan.workspaceBytes(1), cuda.info().memoryUsedBytes(), 256);
    }
  }

  @Test
  void otherDevicesRefuseItByName() {
    SimulatedDevice.configure("capability=80");
    try (Backend cuda = Backend.cuda(0)) {
      Exception refused =
          assertThrows(
              UnsupportedException.class,
              () -> cuda.plan(SEQUENCE, ElementType.E4M3, 64, 64, List.of(Pattern.full())));
      assertTrue(refused.getMessage().contains("E4M3"), refused.getMessage());
      assertTrue(refused.getMessage().contains("compute capability 9.0"), refused.getMessage());
      assertTrue(refused.getMessage().contains("8.0"), refused.getMessage());
    }
  }
}

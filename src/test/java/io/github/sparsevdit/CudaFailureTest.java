package io.github.sparsevdit;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.cuda.CudaGraph;
import io.github.sparsevdit.cuda.CudaStream;
import io.github.sparsevdit.cuda.DeviceBuffer;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What goes wrong on the device is an exception of its kind, and the JVM lives. */
@Tag("cuda")
class CudaFailureTest {
  private static final Sequence SEQUENCE = Sequence.video(2, 8, 8);
  private static final List<Pattern> PATTERNS = List.of(Pattern.multiDiagonal(5), Pattern.full());

  @AfterEach
  void usual() {
    if (SimulatedDevice.present()) {
      SimulatedDevice.configure("");
    }
  }

  private static Tensor tensor(Backend backend) {
    return backend.allocate(ElementType.BF16, 1, 2, 128, 64);
  }

  /** The n-th launch reads an illegal address: its call has returned long since. */
  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 4})
  void aStickyErrorIsAnExceptionAtTheNextWaitAndEverAfter(int launch) {
    SimulatedDevice.configure("late_us=100000 fault=" + launch);
    Backend cuda = Backend.cuda(0);
    AttentionPlan plan = cuda.plan(SEQUENCE, ElementType.BF16, 64, 64, PATTERNS);
    Tensor q = tensor(cuda);
    Tensor out = tensor(cuda);
    Tensor pinned = cuda.allocatePinned(ElementType.BF16, 1, 2, 128, 64);
    CudaStream stream = cuda.stream();
    DeviceBuffer counts = cuda.buffer(4);
    for (int call = 0; call < 2; call++) { // each permutes, and attends
      plan.run(q, q, q, out, stream);
    }
    DeviceException lost = assertThrows(DeviceException.class, stream::synchronize);
    assertTrue(lost.getMessage().contains("illegal memory access"), lost.getMessage());
    assertTrue(lost.getMessage().contains("context is lost"), lost.getMessage());
    assertThrows(DeviceException.class, () -> plan.run(q, q, q, out, stream));
    assertThrows(DeviceException.class, () -> plan.run(q, q, q, out));
    assertThrows(DeviceException.class, () -> out.copyTo(pinned.segment()));
    assertThrows(DeviceException.class, () -> counts.copyFrom(1));
    assertThrows(DeviceException.class, () -> stream.copy(out, pinned));
    assertThrows(DeviceException.class, () -> stream.capture(() -> {}));
    assertThrows(DeviceException.class, () -> tensor(cuda));
    assertThrows(DeviceException.class, cuda::event);
    assertThrows(DeviceException.class, cuda::info);
    // Closing tells, and closes.
    for (AutoCloseable one : List.of(stream, plan, q, out, pinned, counts)) {
      assertThrows(DeviceException.class, one::close);
    }
    assertThrows(IllegalStateException.class, stream::synchronize);
    cuda.close();
    // The rest of the process is none the worse.
    try (Backend cpu = Backend.cpu();
        AttentionPlan onCpu = cpu.plan(SEQUENCE, ElementType.BF16, 64, 64, PATTERNS);
        Tensor in = tensor(cpu);
        Tensor result = tensor(cpu)) {
      in.copyFrom(new float[2 * 128 * 64]);
      onCpu.run(in, in, in, result);
      assertArrayEquals(new float[2 * 128 * 64], result.toFloats());
    }
  }

  /** Memory that is not there, when it is asked for and when a call's workspace needs it. */
  @Test
  void noMemoryIsAnExceptionAndNothingIsLost() {
    SimulatedDevice.configure("");
    try (Backend cpu = Backend.cpu();
        Backend cuda = Backend.cuda(0);
        DeviceCase one = new DeviceCase(2, cpu, cuda);
        AttentionPlan plan = one.plan(cuda);
        CudaStream stream = cuda.stream()) {
      long used = SimulatedDevice.memoryUsed();
      SimulatedDevice.configure("memory=" + (used + 100));
      OutOfNativeMemoryException none =
          assertThrows(OutOfNativeMemoryException.class, () -> tensor(cuda));
      assertTrue(none.getMessage().contains("allocating device memory"), none.getMessage());
      assertThrows(
          OutOfNativeMemoryException.class,
          () -> one.call(plan).run(one.q, one.k, one.v, one.out, stream));
      assertThrows(
          OutOfNativeMemoryException.class,
          () -> stream.capture(() -> plan.run(one.q, one.k, one.v, one.out, stream)));
      assertThrows(
          OutOfNativeMemoryException.class,
          () -> cuda.plan(SEQUENCE, ElementType.BF16, 64, 64, PATTERNS));
      long counts = 4L * one.host.batch; // the stream's
      assertTrue(SimulatedDevice.memoryUsed() <= used + counts);
      SimulatedDevice.configure("");
      one.call(plan).run(one.q, one.k, one.v, one.out, stream);
      one.requireAccurate();
    }
  }

  /** What is opened, used and closed leaves no byte on the device. */
  @Test
  void nothingIsLeftOnTheDevice() {
    SimulatedDevice.configure("");
    long before = SimulatedDevice.memoryUsed();
    try (Backend cpu = Backend.cpu();
        Backend cuda = Backend.cuda(0);
        DeviceCase one = new DeviceCase(6, cpu, cuda);
        AttentionPlan plan = one.plan(cuda)) {
      one.call(plan).run(one.q, one.k, one.v, one.out); // the default stream's workspace
      try (CudaStream stream = cuda.stream();
          CudaGraph graph = stream.capture(() -> plan.run(one.q, one.k, one.v, one.out, stream))) {
        one.call(plan).run(one.q, one.k, one.v, one.out, stream);
        graph.launch(stream);
      }
    }
    assertEquals(before, SimulatedDevice.memoryUsed());
  }
}

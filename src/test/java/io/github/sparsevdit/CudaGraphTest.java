package io.github.sparsevdit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.cuda.CudaGraph;
import io.github.sparsevdit.cuda.CudaStream;
import io.github.sparsevdit.cuda.DeviceBuffer;
import io.github.sparsevdit.pattern.Mode;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.util.Arrays;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Layers captured in a graph, launched with other prompts. */
@Tag("cuda")
class CudaGraphTest {
  /** What the capture's seed gives has text and a permuted head. */
  private static DeviceCase withText(Backend cpu, Backend cuda) {
    for (long seed = 100; ; seed++) {
      DeviceCase one = new DeviceCase(seed, cpu, cuda);
      boolean permutes = one.host.patterns.stream().anyMatch(p -> p.mode() == Mode.MULTI_DIAGONAL);
      if (one.host.sequence.text() > 5 && permutes) {
        return one;
      }
      one.close();
    }
  }

  @Test
  void aCapturedLayerServesAnotherPrompt() {
    try (Backend cpu = Backend.cpu();
        Backend cuda = Backend.cuda(0);
        CudaStream stream = cuda.stream();
        CudaStream other = cuda.stream();
        DeviceCase one = withText(cpu, cuda);
        DeviceBuffer valid = cuda.buffer(4L * one.host.batch);
        AttentionPlan plan = one.plan(cuda);
        CudaGraph graph =
            stream.capture(
                () -> one.call(plan).textValid(valid).run(one.q, one.k, one.v, one.out, stream))) {
      int[] padding = one.host.textValid.clone(); // past it keys are NaN
      for (int fewer : new int[] {0, 3, 1, 0}) {
        for (int row = 0; row < padding.length; row++) {
          one.host.textValid[row] = Math.max(0, padding[row] - fewer);
        }
        valid.copyFrom(one.host.textValid);
        one.poison();
        graph.launch(fewer == 1 ? other : stream);
        one.requireAccurate();
      }
    }
  }

  /** Two layers in one graph, the second reading what the first wrote, with one workspace. */
  @Test
  void layersFollowEachOtherInAGraph() {
    Sequence sequence = Sequence.video(2, 8, 8);
    var small = java.util.List.of(Pattern.full(), Pattern.skip());
    var large = java.util.List.of(Pattern.multiDiagonal(5), Pattern.multiDiagonal(40));
    try (Backend cuda = Backend.cuda(0);
        CudaStream stream = cuda.stream();
        AttentionPlan first = cuda.plan(sequence, ElementType.BF16, 64, 64, small);
        AttentionPlan second = cuda.plan(sequence, ElementType.BF16, 64, 64, large);
        Tensor q = cuda.allocate(ElementType.BF16, 1, 2, 128, 64);
        Tensor middle = cuda.allocate(ElementType.BF16, 1, 2, 128, 64);
        Tensor out = cuda.allocate(ElementType.BF16, 1, 2, 128, 64);
        Tensor host = cuda.allocatePinned(ElementType.BF16, 1, 2, 128, 64)) {
      float[] values = new float[2 * 128 * 64];
      for (int i = 0; i < values.length; i++) {
        values[i] = (float) Math.cos(i * 0.9 + i / 64);
      }
      q.copyFrom(host.copyFrom(values).segment());
      first.run(q, q, q, middle);
      second.run(q, q, middle, out);
      out.copyTo(host.segment());
      float[] expected = host.toFloats();
      long used = cuda.info().memoryUsedBytes();
      try (CudaGraph graph =
          stream.capture(
              () -> {
                first.run(q, q, q, middle, stream);
                second.run(q, q, middle, out, stream);
                stream.copy(out, host);
              })) {
        assertTrue(cuda.info().memoryUsedBytes() > used, "the graph's own workspace");
        for (int launch = 0; launch < 3; launch++) {
          host.copyFrom(new float[values.length]);
          graph.launch(stream);
          stream.synchronize();
          assertTrue(Arrays.equals(expected, host.toFloats()));
        }
      }
      assertEquals(used, cuda.info().memoryUsedBytes());
    }
  }

  /** A graph keeps nothing open, and runs nothing on what is closed. */
  @Test
  void aGraphOfClosedTensorsOrPlansIsRefused() {
    try (Backend cpu = Backend.cpu();
        Backend cuda = Backend.cuda(0);
        CudaStream stream = cuda.stream()) {
      for (boolean closePlan : new boolean[] {true, false}) {
        DeviceCase one = new DeviceCase(3, cpu, cuda);
        AttentionPlan plan = one.plan(cuda);
        CudaGraph graph = stream.capture(() -> plan.run(one.q, one.k, one.v, one.out, stream));
        graph.launch(stream);
        if (closePlan) {
          plan.close(); // waits for the launch
        } else {
          one.close();
        }
        assertThrows(IllegalStateException.class, () -> graph.launch(stream));
        graph.close();
        graph.close();
        assertThrows(IllegalStateException.class, () -> graph.launch(stream));
        one.close();
        plan.close();
      }
    }
  }

  /** What may not be captured, or throws, leaves the stream as it was. */
  @Test
  void aBrokenCaptureLeavesTheStreamUsable() {
    try (Backend cpu = Backend.cpu();
        Backend cuda = Backend.cuda(0);
        CudaStream stream = cuda.stream();
        DeviceCase one = withText(cpu, cuda);
        AttentionPlan plan = one.plan(cuda)) {
      Runnable run = () -> plan.run(one.q, one.k, one.v, one.out, stream);
      refused(stream, stream::synchronize, "captured");
      refused(stream, () -> stream.capture(run), "already");
      refused(stream, stream::close, "captured");
      refused(
          stream, () -> one.call(plan).run(one.q, one.k, one.v, one.out, stream), "DeviceBuffer");
      Exception mine =
          assertThrows(
              ArithmeticException.class,
              () ->
                  stream.capture(
                      () -> {
                        run.run();
                        throw new ArithmeticException("mine");
                      }));
      assertEquals("mine", mine.getMessage());
      // The default stream may not be used meanwhile.
      refused(stream, () -> plan.run(one.q, one.k, one.v, one.out), "default stream");
      refused(stream, cuda::synchronize, "default stream");
      refused(stream, one::poison, "default stream");
      CudaGraph graph = stream.capture(run);
      refused(stream, () -> graph.launch(stream), "into a capture");
      graph.close();
      one.poison();
      one.call(plan).run(one.q, one.k, one.v, one.out, stream);
      one.requireAccurate();
    }
  }

  private static void refused(CudaStream stream, Runnable inside, String word) {
    Exception refused = assertThrows(IllegalStateException.class, () -> stream.capture(inside));
    assertTrue(refused.getMessage().contains(word), refused.getMessage());
  }
}

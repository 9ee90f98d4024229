package io.github.sparsevdit.model.parts;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.BackendUnavailableException;
import io.github.sparsevdit.model.parts.ConvLayout.Frames;
import io.github.sparsevdit.tensor.ElementType;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** {@link ClipOperationsTest} on a CUDA device. */
@Tag("cuda")
class DeviceClipOperationsTest {
  private static Backend backend;
  private static ClipOperations ops;

  @BeforeAll
  static void requireDevice() {
    try {
      Backend.probe(Backend.Kind.CUDA, 0);
    } catch (BackendUnavailableException none) {
      assumeTrue(false, none.getMessage());
    }
    backend = Backend.cuda(0);
    ops = new ClipOperations(backend);
  }

  @AfterAll
  static void close() {
    if (ops != null) {
      ops.close();
      backend.close();
    }
  }

  private static void convolves(
      ConvLayout layout, int frames, int in, int out, ElementType type, int kept) {
    ClipOperationsTest.convolves(backend, ops, layout, frames, 5, 6, in, out, type, type, kept);
  }

  @Test
  void convolutions() {
    ConvLayout cube = ConvLayout.causal(3, 3, 3);
    ConvLayout square = ConvLayout.causal(1, 3, 3);
    convolves(cube, 2, 8, 5, ElementType.FP32, 0);
    convolves(cube, 1, 16, 8, ElementType.BF16, 2);
    convolves(cube, 2, 3, 4, ElementType.BF16, 1);
    convolves(cube.replicating(true, true), 3, 8, 4, ElementType.FP32, 0);
    convolves(cube.replicating(false, true), 2, 4, 4, ElementType.FP32, 2);
    convolves(cube.replicating(true, true).strided(2, 2, 2), 3, 8, 4, ElementType.FP32, 0);
    convolves(square.upsampling(Frames.TWICE), 2, 8, 4, ElementType.FP32, 0);
    convolves(square.upsampling(Frames.TWICE_BUT_FIRST), 3, 4, 4, ElementType.FP32, 0);
    convolves(square.padded(0, 1, 0, 1).strided(1, 2, 2), 2, 4, 4, ElementType.FP32, 0);
    convolves(ConvLayout.causal(1, 1, 1), 2, 8, 4, ElementType.FP32, 0);
  }

  @Test
  void groupNorms() {
    ElementType fp32 = ElementType.FP32;
    ClipOperationsTest.groupNorms(backend, ops, 2, 5, 7, 12, 4, fp32, fp32, false, 0, 0, 0);
    ClipOperationsTest.groupNorms(backend, ops, 3, 20, 24, 16, 2, fp32, fp32, true, 0, 0, 0);
    ClipOperationsTest.groupNorms(backend, ops, 5, 8, 4, 16, 4, fp32, fp32, true, 3, 4, 1);
    ClipOperationsTest.groupNorms(
        backend, ops, 1, 4, 4, 8, 4, ElementType.BF16, ElementType.BF16, true, 1, 2, 2);
  }

  @Test
  void spreads() {
    ClipOperationsTest.spreads(backend, ops, 1, 3, 4, 8, 8, 2, 2, 1, ElementType.FP32);
    ClipOperationsTest.spreads(backend, ops, 2, 2, 3, 16, 12, 1, 2, 0, ElementType.BF16);
  }
}

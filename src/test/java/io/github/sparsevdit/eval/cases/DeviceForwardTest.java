package io.github.sparsevdit.eval.cases;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.sparsevdit.AttentionPlan;
import io.github.sparsevdit.Backend;
import io.github.sparsevdit.BackendUnavailableException;
import io.github.sparsevdit.OutOfNativeMemoryException;
import io.github.sparsevdit.SimulatedDevice;
import io.github.sparsevdit.checkpoint.Denoisers;
import io.github.sparsevdit.model.AttentionFunction;
import io.github.sparsevdit.model.AttentionProvider;
import io.github.sparsevdit.model.Conditioning;
import io.github.sparsevdit.model.VideoTransformer;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Safetensors;
import io.github.sparsevdit.tensor.Tensor;
import io.github.sparsevdit.tensor.TensorSource;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Set;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Whole forward passes on a CUDA device, in bf16, against what diffusers computed in fp32. */
@Tag("cuda")
class DeviceForwardTest {
  private static final Path CASES =
      Path.of(System.getProperty("svdit.cases", "src/test/resources/cases"), "denoisers");

  @BeforeAll
  static void requireDevice() {
    try {
      Backend.probe(Backend.Kind.CUDA, 0);
    } catch (BackendUnavailableException none) {
      assumeTrue(false, none.getMessage());
    }
  }

  @ParameterizedTest
  @CsvSource({
    "wan2.1-i2v-tiny, BF16, 3, 0.02",
    "cogvideox1.5-i2v-tiny, BF16, 1, 0.02",
    "hunyuanvideo-t2v-tiny, BF16, 3, 0.02",
    "hunyuanvideo-t2v-tiny, E4M3, 3, 0.04", // self-attention alone
  })
  void agreesWithDiffusers(String name, ElementType type, int passes, double bound) {
    boolean simulatedHopper = type == ElementType.E4M3 && SimulatedDevice.present();
    if (simulatedHopper) {
      SimulatedDevice.configure("capability=90");
    }
    try {
      assumeTrue(
          type != ElementType.E4M3 || Backend.probe(Backend.Kind.CUDA, 0).computeCapability() == 90,
          "E4M3 takes compute capability 9.0");
      forward(name, type, passes, bound);
    } finally {
      if (simulatedHopper) {
        SimulatedDevice.configure("");
      }
    }
  }

  private static void forward(String name, ElementType type, int passes, double bound) {
    Path folder = CASES.resolve(name);
    try (Backend backend = Backend.cuda(0);
        Arena arena = Arena.ofConfined();
        TensorSource tensors = Safetensors.open(folder.resolve("case.safetensors"));
        VideoTransformer transformer = Denoisers.load(folder, backend, ElementType.BF16)) {
      Tensor latents = tensors.tensor("in.hidden_states").select(0, 0);
      Conditioning conditioning = CaseInputs.conditioning(tensors, 0);
      long[] shape = transformer.outputShape(latents.shape());
      Tensor expected = tensors.tensor("out").select(0, 0);
      Tensor out =
          Tensor.of(
              arena.allocate(ValueLayout.JAVA_FLOAT, expected.elements()), ElementType.FP32, shape);
      try (AttentionPlan plan =
          DenoiserCase.densePlan(
              backend,
              transformer,
              transformer.sequence(latents.shape(), conditioning.textTokens()),
              type)) {
        Counted attention = new Counted(AttentionProvider.of(plan).at(0, 0));
        float[] values = out.toFloats();
        for (int pass = 0;
            pass < passes;
            pass++) { // as calls, recorded as a graph, the graph again
          Arrays.fill(values, Float.NaN);
          out.copyFrom(values);
          transformer.forward(
              latents, CaseInputs.timestep(tensors, 0), conditioning, attention, out);
          double error = relativeError(out.toFloats(), expected.toFloats());
          assertTrue(error <= bound, name + ", pass " + pass + ": relative error " + error);
        }
        assertEquals(
            transformer.shape().layers(), attention.count, "attention outside of the graph");
      }
    }
  }

  /**
   * Memory runs out at one allocation of a pass after the other: each time all that was made before
   * is given back with the model.
   */
  @ParameterizedTest
  @ValueSource(strings = {"wan2.1-i2v-tiny", "cogvideox1.5-i2v-tiny", "hunyuanvideo-t2v-tiny"})
  void memoryThatRunsOutLeavesNothingBehind(String name) {
    SimulatedDevice.configure("");
    Path folder = CASES.resolve(name);
    try (Backend backend = Backend.cuda(0);
        TensorSource tensors = Safetensors.open(folder.resolve("case.safetensors"))) {
      pass(folder, backend, tensors, 0); // makes what the backend keeps
      long needed = pass(folder, backend, tensors, 0);
      long before = SimulatedDevice.memoryUsed();
      Set<String> places = new HashSet<>();
      for (int part = 0; part < 12; part++) {
        long limit = Math.max(1, needed * part / 12);
        OutOfNativeMemoryException none =
            assertThrows(
                OutOfNativeMemoryException.class, () -> pass(folder, backend, tensors, limit));
        places.add(Arrays.toString(none.getStackTrace()));
        assertEquals(before, SimulatedDevice.memoryUsed(), name + ", with " + limit + " bytes");
      }
      assertTrue(places.size() > 4, "it ran out at the same places: " + places);
      assertEquals(needed, pass(folder, backend, tensors, 0));
    } finally {
      SimulatedDevice.configure("");
    }
  }

  /**
   * One pass of a model opened for it, with so many bytes beside its weights (0: as many as it
   * takes); the bytes it took.
   */
  private static long pass(Path folder, Backend backend, TensorSource tensors, long limit) {
    try (Arena arena = Arena.ofConfined();
        VideoTransformer transformer = Denoisers.load(folder, backend, ElementType.BF16)) {
      Tensor latents = tensors.tensor("in.hidden_states").select(0, 0);
      Conditioning conditioning = CaseInputs.conditioning(tensors, 0);
      long[] shape = transformer.outputShape(latents.shape());
      long elements = Arrays.stream(shape).reduce(1, (a, b) -> a * b);
      Tensor out = Tensor.of(arena.allocate(4 * elements, 64), ElementType.FP32, shape);
      Sequence sequence = transformer.sequence(latents.shape(), conditioning.textTokens());
      try (AttentionPlan plan =
          DenoiserCase.densePlan(backend, transformer, sequence, ElementType.BF16)) {
        long used = SimulatedDevice.memoryUsed();
        SimulatedDevice.configure(limit == 0 ? "" : "memory=" + (used + limit));
        transformer.forward(
            latents,
            CaseInputs.timestep(tensors, 0),
            conditioning,
            AttentionProvider.of(plan).at(0, 0),
            out);
        return SimulatedDevice.memoryUsed() - used;
      } finally {
        SimulatedDevice.configure("");
      }
    }
  }

  @Test
  void weightsThatDoNotFitAreRefusedWithTheFigures() {
    SimulatedDevice.configure("memory=34000000"); // the products' workspace and half a megabyte
    try (Backend backend = Backend.cuda(0)) {
      Path folder = CASES.resolve("wan2.1-t2v-tiny");
      Exception refused =
          assertThrows(
              OutOfNativeMemoryException.class,
              () -> Denoisers.load(folder, backend, ElementType.BF16));
      assertTrue(refused.getMessage().contains("the weights take 0.00"), refused.getMessage());
    } finally {
      SimulatedDevice.configure("");
    }
  }

  private static final class Counted implements AttentionFunction {
    private final AttentionFunction function;
    int count;

    Counted(AttentionFunction function) {
      this.function = function;
    }

    @Override
    public void attend(int layer, Tensor q, Tensor k, Tensor v, int[] textValid, Tensor out) {
      count++;
      function.attend(layer, q, k, v, textValid, out);
    }

    @Override
    public AttentionPlan plan(int layer) {
      return function.plan(layer);
    }
  }

  private static double relativeError(float[] got, float[] wanted) {
    double off = 0;
    double all = 0;
    for (int i = 0; i < got.length; i++) {
      off += Math.pow(got[i] - wanted[i], 2);
      all += Math.pow(wanted[i], 2);
    }
    return Math.sqrt(off / all);
  }
}

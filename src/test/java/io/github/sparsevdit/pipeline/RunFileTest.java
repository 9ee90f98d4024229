package io.github.sparsevdit.pipeline;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.CpuOptions;
import io.github.sparsevdit.NotFiniteException;
import io.github.sparsevdit.SparseAttention;
import io.github.sparsevdit.checkpoint.Denoisers;
import io.github.sparsevdit.model.AttentionProvider;
import io.github.sparsevdit.model.Conditioning;
import io.github.sparsevdit.model.VideoTransformer;
import io.github.sparsevdit.pattern.Policy;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Safetensors;
import io.github.sparsevdit.tensor.Tensor;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CancellationException;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A run that was stopped and resumed is the run that was not, bit for bit. */
class RunFileTest {
  private static final Path CASES = Path.of("src/test/resources/cases/denoisers");
  private static final int STEPS = 6;
  private static final long[] LATENTS = {4, 3, 16, 12};
  private static Backend backend;
  private static VideoTransformer wan;
  private static Arena arena;
  private static Conditioning prompt;
  private static Conditioning negative;
  @TempDir Path folder;

  @BeforeAll
  static void open() {
    backend = Backend.cpu();
    arena = Arena.ofShared();
    wan = Denoisers.load(CASES.resolve("wan2.1-t2v-tiny"), backend, ElementType.BF16);
    prompt = Conditioning.text(random(1, 12, 24));
    negative = Conditioning.text(random(2, 12, 24));
  }

  @AfterAll
  static void close() {
    wan.close();
    arena.close();
    backend.close();
  }

  /** Stopped at every step there is, each time with a scheduler that knows nothing of before. */
  @ParameterizedTest
  @CsvSource({
    "unipc 2, false",
    "unipc 1, false",
    "euler, false",
    "ddim, false",
    "dpm, true",
    "dpm without noise, false"
  })
  void resumedIsUninterrupted(String scheduler, boolean dynamic) {
    float[] whole = run(scheduler(scheduler), dynamic, null, -1);
    for (int stop = 1; stop < STEPS; stop++) {
      Path file = folder.resolve(stop + ".state");
      int at = stop;
      assertThrows(CancellationException.class, () -> run(scheduler(scheduler), dynamic, file, at));
      assertTrue(Files.exists(file));
      assertArrayEquals(whole, run(scheduler(scheduler), dynamic, file, -1), "stopped at " + stop);
    }
  }

  @Test
  void stoppedAfterEachStepAndInTheFirst() {
    float[] whole = run(scheduler("unipc 2"), false, null, -1);
    Path file = folder.resolve("run.state");
    assertThrows(CancellationException.class, () -> run(scheduler("unipc 2"), false, file, 0));
    assertFalse(Files.exists(file)); // no step was made
    for (int stop = 1; stop < STEPS; stop++) {
      int at = stop;
      assertThrows(CancellationException.class, () -> run(scheduler("unipc 2"), false, file, at));
    }
    assertArrayEquals(whole, run(scheduler("unipc 2"), false, file, -1));
    assertArrayEquals(whole, run(scheduler("unipc 2"), false, file, -1)); // all is done
  }

  /** The state before the step that failed stays, so that a mended run goes on from there. */
  @Test
  void aStepThatGivesNaNIsNotKept() {
    float[] whole = run(scheduler("unipc 2"), false, null, -1);
    Path file = folder.resolve("run.state");
    Tensor latents = Tensor.of(arena.allocate(4 * 4 * 3 * 16 * 12, 64), ElementType.FP32, LATENTS);
    Noise.fill(latents, 7);
    Scheduler scheduler = scheduler("unipc 2");
    RunFile kept = new RunFile(file, identity(scheduler), backend);
    try (SparseAttention dense =
        SparseAttention.of(
            backend,
            Policy.dense(wan.shape(), 128),
            wan.sequence(LATENTS),
            scheduler.schedule(),
            ElementType.BF16)) {
      AttentionProvider damaged =
          (step, branch) ->
              (layer, q, k, v, textValid, out) -> {
                AttentionProvider.of(dense).at(step, branch).attend(layer, q, k, v, textValid, out);
                if (step == 3 && branch == 1 && layer == 1) {
                  float[] values = out.toFloats();
                  values[9] = Float.NaN;
                  out.copyFrom(values);
                }
              };
      NotFiniteException e =
          assertThrows(
              NotFiniteException.class,
              () ->
                  new DenoisingLoop(wan, scheduler, Guidance.of(4))
                      .run(latents, prompt, negative, damaged, DenoisingProgress.NONE, kept));
      for (String part :
          new String[] {
            "step 4 of 6", "the negative prompt", "network wan2.1-t2v-tiny", "range of BF16"
          }) {
        assertTrue(e.getMessage().contains(part), e::getMessage);
      }
    }
    assertEquals(-1, latents.firstNotFinite());
    try (Safetensors state = Safetensors.open(file)) {
      assertEquals("3", state.metadata().get("step"));
      assertArrayEquals(state.tensor("latents").toFloats(), latents.toFloats());
    }
    assertArrayEquals(whole, run(scheduler("unipc 2"), false, file, -1));
  }

  private static Map<String, String> identity(Scheduler scheduler) {
    return RunFile.identity(
        backend,
        wan,
        scheduler,
        Guidance.of(4),
        new RunInputs(prompt, negative, 7),
        "dense",
        ElementType.BF16);
  }

  /** Guidance may pass float's range where both branches are finite. */
  @Test
  void aSchedulersStepThatPassesTheRangeIsNotKept() {
    NotFiniteException e =
        assertThrows(
            NotFiniteException.class,
            () ->
                run(
                    scheduler("euler"),
                    Guidance.of(3e38),
                    prompt,
                    7,
                    "dense",
                    ElementType.BF16,
                    null,
                    -1));
    assertTrue(e.getMessage().contains("step 1 of 6"), e::getMessage);
    assertTrue(e.getMessage().contains("FlowMatchEuler, guidance 3.0E38"), e::getMessage);
  }

  @Test
  void anotherRunsStateIsRefusedByName() {
    Path file = folder.resolve("run.state");
    assertThrows(CancellationException.class, () -> run(scheduler("euler"), false, file, 2));
    refused(
        "scheduler is FlowMatchEuler, this one's is UniPc",
        scheduler("unipc 2"),
        prompt,
        7,
        "dense",
        file);
    refused("timesteps is [", new FlowMatchEuler(STEPS, 5, 1000), prompt, 7, "dense", file);
    assertThrows(
        CancellationException.class,
        () -> run(scheduler("unipc 1"), false, folder.resolve("other.state"), 2));
    refused(
        "scheduler's settings is ",
        scheduler("unipc 2"),
        prompt,
        7,
        "dense",
        folder.resolve("other.state"));
    refused("prompt is ", scheduler("euler"), negative, 7, "dense", file);
    refused("seed is 7, this one's is 8", scheduler("euler"), prompt, 8, "dense", file);
    refused(
        "attention is dense, this one's is", scheduler("euler"), prompt, 7, "x".repeat(99), file);
    refused(
        "attention type is BF16, this one's is E4M3",
        scheduler("euler"),
        prompt,
        7,
        "dense",
        ElementType.E4M3,
        file);
  }

  @Test
  void whatIsNoStateIsRefused() throws IOException {
    Path file = folder.resolve("run.state");
    assertThrows(CancellationException.class, () -> run(scheduler("unipc 2"), false, file, 2));
    refusedAfter("is no run's state: format null", file, tensors -> {}, Map.of("format", ""));
    refusedAfter("step 7; expected a number up to 6", file, tensors -> {}, Map.of("step", "7"));
    refusedAfter("no FP32 tensor \"latents\"", file, t -> t.remove("latents"), Map.of());
    refusedAfter("a history of lengths", file, t -> t.remove("history.2"), Map.of());
    Files.writeString(file, "not safetensors");
    assertThrows(IllegalArgumentException.class, () -> run(scheduler("unipc 2"), false, file, -1));
  }

  private void refusedAfter(
      String expected,
      Path file,
      java.util.function.Consumer<Map<String, Tensor>> change,
      Map<String, String> changed) {
    Path broken = folder.resolve("broken.state");
    try (Safetensors state = Safetensors.open(file)) {
      Map<String, Tensor> tensors = new HashMap<>();
      state.names().forEach(name -> tensors.put(name, state.tensor(name)));
      change.accept(tensors);
      Map<String, String> metadata = new HashMap<>(state.metadata());
      changed.forEach(
          (name, value) -> {
            if (value.isEmpty()) {
              metadata.remove(name);
            } else {
              metadata.put(name, value);
            }
          });
      Safetensors.write(broken, tensors, metadata);
    }
    IllegalArgumentException e =
        assertThrows(
            IllegalArgumentException.class, () -> run(scheduler("unipc 2"), false, broken, -1));
    assertTrue(e.getMessage().contains(expected), e::getMessage);
  }

  private static void refused(
      String expected,
      Scheduler scheduler,
      Conditioning prompt,
      long seed,
      String attention,
      Path file) {
    refused(expected, scheduler, prompt, seed, attention, ElementType.BF16, file);
  }

  private static void refused(
      String expected,
      Scheduler scheduler,
      Conditioning prompt,
      long seed,
      String attention,
      ElementType attentionType,
      Path file) {
    IllegalArgumentException e =
        assertThrows(
            IllegalArgumentException.class,
            () -> run(scheduler, Guidance.of(4), prompt, seed, attention, attentionType, file, -1));
    assertTrue(e.getMessage().contains("is the state of another run"), e::getMessage);
    assertTrue(e.getMessage().contains(expected), e::getMessage);
  }

  private static Scheduler scheduler(String name) {
    return switch (name) {
      case "unipc 2" -> new UniPc(STEPS, 3, 2, 1000);
      case "unipc 1" -> new UniPc(STEPS, 3, 1, 1000);
      case "euler" -> new FlowMatchEuler(STEPS, 7, 1000);
      case "ddim" -> new CogVideoXDdim(STEPS, 1000, 0.00085, 0.012, 1);
      case "dpm" -> new CogVideoXDpm(STEPS, 1000, 0.00085, 0.012, 1, () -> new Random(3));
      default -> new CogVideoXDpm(STEPS, 1000, 0.00085, 0.012, 1, null);
    };
  }

  private static float[] run(Scheduler scheduler, boolean dynamic, Path file, int stopAt) {
    Guidance guidance = dynamic ? Guidance.dynamic(4) : Guidance.of(4);
    return run(scheduler, guidance, prompt, 7, "dense", ElementType.BF16, file, stopAt);
  }

  /** Cancelled at the second block of step stopAt; to the end where that is −1. */
  private static float[] run(
      Scheduler scheduler,
      Guidance guidance,
      Conditioning prompt,
      long seed,
      String attention,
      ElementType attentionType,
      Path file,
      int stopAt) {
    RunFile kept =
        file == null
            ? null
            : new RunFile(
                file,
                RunFile.identity(
                    backend,
                    wan,
                    scheduler,
                    guidance,
                    new RunInputs(prompt, negative, seed),
                    attention,
                    attentionType),
                backend);
    try (SparseAttention dense =
            SparseAttention.of(
                backend,
                Policy.dense(wan.shape(), 128),
                wan.sequence(LATENTS),
                scheduler.schedule(),
                attentionType);
        Arena own = Arena.ofShared()) {
      Tensor latents = Tensor.of(own.allocate(4 * 4 * 3 * 16 * 12, 64), ElementType.FP32, LATENTS);
      Noise.fill(latents, seed);
      DenoisingProgress progress =
          new DenoisingProgress() {
            private boolean stop;

            @Override
            public void block(int step, int branch, int layer) {
              stop = step == stopAt;
            }

            @Override
            public boolean cancelled() {
              return stop;
            }
          };
      new DenoisingLoop(wan, scheduler, guidance)
          .run(latents, prompt, negative, AttentionProvider.of(dense), progress, kept);
      assertEquals(-1, stopAt);
      return latents.toFloats();
    }
  }

  private static Tensor random(long seed, long... shape) {
    Tensor tensor = Tensor.of(arena.allocate(4 * shape[0] * shape[1], 64), ElementType.FP32, shape);
    Random random = new Random(seed);
    float[] values = new float[Math.toIntExact(tensor.elements())];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return tensor.copyFrom(values);
  }

  /** A tier is an arithmetic of its own: half of one and half of the other is neither's result. */
  @Test
  void aStateOfAnotherTierIsRefused() {
    assumeFalse(backend.arithmetic().equals("CPU portable"), "there is no tier below it");
    Path file = folder.resolve("run.state");
    assertThrows(CancellationException.class, () -> run(scheduler("unipc 2"), false, file, 2));
    try (Backend portable = Backend.cpu(new CpuOptions(1, CpuOptions.Tier.PORTABLE))) {
      assertNull(RunFile.begunElsewhere(file, portable)); // the processor is the same
      Map<String, String> other = new HashMap<>(identity(scheduler("unipc 2")));
      other.put("arithmetic", portable.arithmetic());
      Tensor latents =
          Tensor.of(arena.allocate(4 * 4 * 3 * 16 * 12, 64), ElementType.FP32, LATENTS);
      IllegalArgumentException e =
          assertThrows(
              IllegalArgumentException.class,
              () -> new RunFile(file, other, portable).restore(latents, scheduler("unipc 2")));
      assertTrue(
          e.getMessage()
              .contains(
                  "its arithmetic is %s, this one's is CPU portable; results would differ"
                      .formatted(backend.arithmetic())),
          e::getMessage);
    }
    // Threads are none of it.
    try (Backend alone = Backend.cpu(new CpuOptions(1, backend.info().tier()))) {
      assertEquals(backend.arithmetic(), alone.arithmetic());
    }
  }

  /** The processor's name decides nothing, but is said. */
  @Test
  void aStateFromAnotherProcessorIsSaid() {
    Path file = folder.resolve("run.state");
    assertThrows(CancellationException.class, () -> run(scheduler("unipc 2"), false, file, 2));
    try (Safetensors state = Safetensors.open(file)) {
      Map<String, String> metadata = new HashMap<>(state.metadata());
      assertEquals(backend.info().name(), metadata.put("processor", "Another 9000"));
      Map<String, Tensor> tensors = new HashMap<>();
      state.names().forEach(name -> tensors.put(name, state.tensor(name)));
      Safetensors.write(folder.resolve("other.state"), tensors, metadata);
    }
    assertEquals("Another 9000", RunFile.begunElsewhere(folder.resolve("other.state"), backend));
    assertNull(RunFile.begunElsewhere(folder.resolve("none.state"), backend));
    float[] whole = run(scheduler("unipc 2"), false, null, -1);
    Path other = folder.resolve("other.state");
    assertThrows(CancellationException.class, () -> run(scheduler("unipc 2"), false, other, 4));
    assertEquals("Another 9000", RunFile.begunElsewhere(other, backend)); // still begun there
    assertArrayEquals(whole, run(scheduler("unipc 2"), false, other, -1));
  }
}

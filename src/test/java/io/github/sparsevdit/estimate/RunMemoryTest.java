package io.github.sparsevdit.estimate;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.AttentionPlan;
import io.github.sparsevdit.Backend;
import io.github.sparsevdit.OtherJvm;
import io.github.sparsevdit.OutOfNativeMemoryException;
import io.github.sparsevdit.bindings.svdit_backend_info;
import io.github.sparsevdit.checkpoint.CheckpointFolder;
import io.github.sparsevdit.checkpoint.Denoisers;
import io.github.sparsevdit.checkpoint.Lora;
import io.github.sparsevdit.internal.Access;
import io.github.sparsevdit.model.AttentionFunction;
import io.github.sparsevdit.model.AttentionProvider;
import io.github.sparsevdit.model.Conditioning;
import io.github.sparsevdit.model.VideoTransformer;
import io.github.sparsevdit.model.WanCheckpoint;
import io.github.sparsevdit.model.parts.ConfigFile;
import io.github.sparsevdit.pattern.ModelShape;
import io.github.sparsevdit.pattern.Policy;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Safetensors;
import io.github.sparsevdit.tensor.Tensor;
import io.github.sparsevdit.tensor.TensorSource;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.function.LongSupplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What is said of a run's memory bounds what it takes. */
class RunMemoryTest {
  private static final Path CASES = Path.of("src/test/resources/cases/denoisers");
  @TempDir Path folder;

  @ParameterizedTest
  @CsvSource({
    "wan2.1-t2v-tiny, FP32",
    "wan2.1-t2v-tiny, BF16",
    "wan2.1-i2v-tiny, BF16",
    "hunyuanvideo-t2v-tiny, FP32",
    "hunyuanvideo-t2v-tiny, BF16",
    "cogvideox1.5-t2v-tiny, BF16",
    "cogvideox1.5-i2v-tiny, FP32"
  })
  void boundsTheBuffers(String name, ElementType type) {
    try (Backend backend = Backend.cpu()) {
      int[] latents = {4, 32, 48};
      RunMemory said = RunMemory.of(CASES.resolve(name), type, latents, 10, 1);
      long used = forward(backend, CASES.resolve(name), type, latents, 10, () -> used(backend));
      long bound = said.converted() + said.activations();
      assertTrue(used <= bound, used + " bytes used, " + said);
      assertTrue(used > 0.7 * bound, used + " bytes used, and as many as " + bound + " said");
    }
  }

  /** What self-attention takes more in E4M3, all plans together, is what one call takes. */
  @Test
  void boundsTheWorkspaceOfEightBits() {
    Path folder = CASES.resolve("hunyuanvideo-t2v-tiny");
    int[] latents = {4, 32, 48};
    long more =
        RunMemory.of(folder, ElementType.BF16, ElementType.E4M3, latents, 10, 1).attention()
            - RunMemory.of(folder, ElementType.BF16, latents, 10, 1).attention();
    try (Backend backend = Backend.cpu();
        VideoTransformer transformer = Denoisers.load(folder, backend, ElementType.BF16)) {
      ModelShape shape = transformer.shape();
      int channels = ConfigFile.read(folder.resolve("config.json")).integer("in_channels");
      Policy dense = Policy.dense(shape, 64);
      try (AttentionPlan plan =
          backend.plan(
              transformer.sequence(new long[] {channels, 4, 32, 48}, 10),
              ElementType.E4M3,
              shape.headDim(),
              dense.block(),
              dense.patterns(0, 0))) {
        long used = plan.workspaceBytes(1);
        assertTrue(used <= more && used > 0.7 * more, used + " bytes taken, " + more + " said");
      }
    }
  }

  /** The process's own count, with what the library and oneDNN take themselves. */
  @Test
  void boundsWhatAProcessTakesForABlockOfRealSize() throws Exception {
    long bytes = WanCheckpoint.write(folder, 12, 1, 8960, true);
    RunMemory said = RunMemory.of(folder, ElementType.BF16, LATENTS, 512, 2);
    assertEquals(bytes, said.weights());
    String printed =
        new OtherJvm()
            .option("-Xmx" + (said.heap() >> 20) + "m")
            .option("-XX:+UseSerialGC")
            .option("-Dsvdit.library=" + Backend.library().path())
            .run(Probe.class, folder.toString());
    Matcher taken = Pattern.compile("taken (\\d+)").matcher(printed);
    assertTrue(taken.find(), printed);
    long anonymous = Long.parseLong(taken.group(1));
    assertTrue(anonymous <= said.needed(), anonymous + " bytes taken, " + said);
    assertTrue(anonymous > 0.4 * said.needed(), anonymous + " bytes taken, " + said);
  }

  private static final int[] LATENTS = {3, 60, 104};

  /** Runs a block and prints how much more anonymous memory the process then has. */
  static final class Probe {
    public static void main(String[] args) {
      Path folder = Path.of(args[0]);
      try (Backend backend = Backend.cpu()) {
        long before = anonymous();
        long during =
            forward(
                backend, folder, ElementType.BF16, LATENTS, 512, RunMemoryTest.Probe::anonymous);
        System.out.println("taken " + (Math.max(during, anonymous()) - before));
      }
    }

    private static long anonymous() {
      try {
        for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
          if (line.startsWith("RssAnon:")) {
            return 1024 * Long.parseLong(line.replaceAll("\\D", ""));
          }
        }
      } catch (IOException e) {
        throw new java.io.UncheckedIOException(e);
      }
      throw new IllegalStateException("no RssAnon");
    }
  }

  @Test
  void whatWillNotFitIsRefusedWithTheFiguresAndAWayOut() {
    RunMemory run =
        new RunMemory(
            28_600_000_000L, 0, 0, 28_600_000_000L, 4_800_000_000L, 100_000_000, 300_000_000);
    assertEquals(5_200_000_000L, run.needed());
    assertDoesNotThrow(() -> run.requireRoom(run.needed(), 5_200_000_000L, "there are"));
    String message = refused(() -> run.requireRoom(run.needed(), 5_000_000_000L, "there are"));
    assertEquals(
        "the run needs 5.2 GB (weights 28.6 GB mapped, activations 4.8 GB, attention 100 MB,"
            + " Java heap 300 MB), and there are 5.0 GB; fewer frames or a smaller picture, or"
            + " computing in bf16, take less",
        message);
    RunMemory stored =
        new RunMemory(57_200_000_000L, 28_600_000_000L, 0, 28_600_000_000L, 4_800_000_000L, 0, 1);
    message = refused(() -> stored.requireRoom(stored.needed(), 24_000_000_000L, "there are"));
    assertTrue(message.contains("57.2 GB mapped and 28.6 GB converted"), message);
    assertTrue(message.contains("store the weights in the type that is computed in"), message);
    assertDoesNotThrow(() -> stored.requireDevice(33_400_000_000L));
    message = refused(() -> stored.requireDevice(33_300_000_000L));
    assertTrue(message.contains("33.4 GB of the device's memory (weights 28.6 GB, "), message);
    RunMemory made = new RunMemory(14_300_000_000L, 57_200_000_000L, 57_200_000_000L, 0, 0, 0, 1);
    assertDoesNotThrow(() -> made.requireHost(57_200_000_000L, "there are"));
    message = refused(() -> made.requireHost(57_000_000_000L, "there are"));
    assertTrue(message.contains("57.2 GB of the host's memory, and there are 57.0 GB"), message);
    message = refused(() -> run.requireHeap(100_000_000));
    assertTrue(message.contains("300 MB of Java heap") && message.contains("-Xmx357m"), message);
  }

  /** What is expanded and what is merged from it stay both, and a device gets the last. */
  @Test
  void countsWhatIsExpandedAndMerged() {
    Path layouts = CASES.resolveSibling("layouts/wan-t2v");
    Lora lora = new Lora(layouts.resolve("lora-musubi/lora.safetensors"), 0.7);
    CheckpointFolder plain = CheckpointFolder.of(layouts.resolve("diffusers"));
    CheckpointFolder fp8 =
        CheckpointFolder.of(layouts.resolve("fp8-scaled/wan_tiny_fp8.safetensors"))
            .withBase(layouts.resolve("diffusers"));
    RunMemory none = of(plain);
    RunMemory expanded = of(fp8);
    RunMemory merged = of(plain.withLoras(List.of(lora), List.of()));
    RunMemory both = of(fp8.withLoras(List.of(lora), List.of()));
    assertEquals(0, none.made());
    assertEquals(fp8Elements(fp8.transformer()) * ElementType.BF16.bytes(), expanded.made());
    assertTrue(merged.made() > 0, merged::toString);
    assertEquals(expanded.made() + merged.made(), both.made());
    assertEquals(both.made(), madeBy(fp8.withLoras(List.of(lora), List.of())));
    for (RunMemory each : List.of(expanded, merged, both)) {
      assertEquals(none.uploaded(), each.uploaded());
      assertTrue(each.converted() >= each.made(), each::toString);
    }
  }

  private static RunMemory of(CheckpointFolder folder) {
    int[] latents = {3, 4, 6};
    return RunMemory.of(folder, ElementType.BF16, ElementType.BF16, latents, 8, 1);
  }

  private static long fp8Elements(Path file) {
    try (Safetensors source = Safetensors.open(file)) {
      return source.names().stream()
          .filter(name -> source.dtype(name).equals("F8_E4M3"))
          .filter(name -> name.endsWith(".weight"))
          .mapToLong(source::storedBytes)
          .sum();
    }
  }

  /** Weights that are not where a file is mapped: each merged one, and the one it is made from. */
  private static long madeBy(CheckpointFolder folder) {
    CheckpointFolder plain = folder.withLoras(List.of(), List.of());
    long bytes = 0;
    try (TensorSource merged = folder.weights(folder.transformer(), ElementType.BF16);
        TensorSource expanded = plain.weights(plain.transformer(), ElementType.BF16)) {
      for (String name : merged.names()) {
        Tensor made = merged.tensor(name);
        Tensor from = expanded.tensor(name);
        bytes += from.segment().isMapped() ? 0 : from.elements() * from.type().bytes();
        boolean same = Arrays.equals(made.toFloats(), from.toFloats());
        bytes += same ? 0 : made.elements() * made.type().bytes();
      }
    }
    return bytes;
  }

  private static String refused(org.junit.jupiter.api.function.Executable call) {
    return assertThrows(OutOfNativeMemoryException.class, call).getMessage();
  }

  private static long used(Backend backend) {
    try (Arena arena = Arena.ofConfined()) {
      return svdit_backend_info.memory_used_bytes(Access.handle(backend).describe(arena));
    }
  }

  /** One forward pass; the greatest that was measured while it ran. */
  private static long forward(
      Backend backend,
      Path folder,
      ElementType type,
      int[] latents,
      int text,
      LongSupplier measure) {
    boolean framesFirst = folder.toString().contains("cogvideox");
    try (Arena arena = Arena.ofShared();
        VideoTransformer model = Denoisers.load(folder, backend, type)) {
      ConfigFile config = ConfigFile.read(folder.resolve("config.json"));
      int channels = config.integer("in_channels");
      int features =
          config.has("text_dim") ? config.integer("text_dim") : config.integer("text_embed_dim");
      long[] shape =
          framesFirst
              ? new long[] {latents[0], channels, latents[1], latents[2]}
              : new long[] {channels, latents[0], latents[1], latents[2]};
      Conditioning prompt = Conditioning.text(zeros(arena, text, features));
      if (folder.toString().contains("hunyuan")) {
        prompt = Conditioning.text(zeros(arena, text, features), text, zeros(arena, 8), 6000);
      } else if (config.integer("ofs_embed_dim", 0) > 0) {
        prompt = prompt.withOffset(2);
      }
      if (config.integer("image_dim", 0) > 0) {
        prompt =
            prompt.with(Conditioning.Part.IMAGE, zeros(arena, 257, config.integer("image_dim")));
      }
      Tensor in = zeros(arena, shape);
      Tensor out = zeros(arena, model.outputShape(shape));
      long[] most = new long[1];
      try (var plan =
          backend.plan(
              model.sequence(shape, text),
              type,
              model.shape().headDim(),
              128,
              java.util.Collections.nCopies(
                  model.shape().heads(), io.github.sparsevdit.pattern.Pattern.full()))) {
        AttentionFunction plain = AttentionProvider.of(plan).at(0, 0);
        model.forward(
            in,
            500,
            prompt,
            (layer, q, k, v, textValid, result) -> {
              plain.attend(layer, q, k, v, textValid, result);
              most[0] = Math.max(most[0], measure.getAsLong());
            },
            out);
        return Math.max(most[0], measure.getAsLong());
      }
    }
  }

  private static Tensor zeros(Arena arena, long... shape) {
    long elements = Arrays.stream(shape).reduce(1, (a, b) -> a * b);
    return Tensor.of(arena.allocate(4 * elements, 64), ElementType.FP32, shape);
  }
}

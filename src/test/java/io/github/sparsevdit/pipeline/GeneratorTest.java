package io.github.sparsevdit.pipeline;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.SparseAttention;
import io.github.sparsevdit.checkpoint.CheckpointFolder;
import io.github.sparsevdit.checkpoint.Denoisers;
import io.github.sparsevdit.model.AttentionProvider;
import io.github.sparsevdit.model.Conditioning;
import io.github.sparsevdit.model.VideoTransformer;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Policy;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Safetensors;
import io.github.sparsevdit.tensor.Tensor;
import java.lang.foreign.Arena;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class GeneratorTest {
  private static final Path TINY = Path.of("calibration/tiny-wan");
  private static final Path CASES = Path.of("src/test/resources/cases/denoisers");
  private static Backend backend;
  @TempDir Path folder;

  @BeforeAll
  static void open() {
    backend = Backend.cpu();
  }

  @AfterAll
  static void close() {
    backend.close();
  }

  private static GenerateOptions fewSteps() {
    return GenerateOptions.defaults().withSteps(3).withLatents(4, 16, 16).withGuidance(3.0);
  }

  /** The same numbers as the parts that it is made of, put together by hand. */
  @Test
  void generatesWhatItsPartsGive() {
    try (Arena arena = Arena.ofShared();
        Generator generator = Generator.open(TINY, backend);
        VideoTransformer wan = Denoisers.load(TINY, backend, ElementType.BF16);
        Safetensors prompts = Safetensors.open(TINY.resolve("prompt_embeds.safetensors"))) {
      List<Pattern> bands = Collections.nCopies(wan.shape().heads(), Pattern.diagonal(0));
      Policy policy = banded(wan, bands);
      Generated made = generator.generate("horse", policy, fewSteps().withSeed(7));

      Conditioning prompt = Conditioning.text(prompts.tensor("horse"));
      long[] text = prompt.text().shape();
      Conditioning negative =
          Conditioning.text(
              Tensor.of(arena.allocate(4 * text[0] * text[1], 64), ElementType.FP32, text));
      Scheduler scheduler = Schedulers.read(TINY.resolve("scheduler/scheduler_config.json"), 3, 7);
      Tensor latents =
          Tensor.of(arena.allocate(4 * 3 * 4 * 16 * 16, 64), ElementType.FP32, 3, 4, 16, 16);
      Noise.fill(latents, 7);
      try (SparseAttention attention =
          SparseAttention.of(
              backend, policy, wan.sequence(latents.shape()), scheduler.schedule())) {
        new DenoisingLoop(wan, scheduler, Guidance.of(3))
            .run(
                latents, prompt, negative, AttentionProvider.of(attention), DenoisingProgress.NONE);
        assertEquals(attention.density(), made.density());
      }
      assertArrayEquals(latents.toFloats(), made.latents());
      assertArrayEquals(new long[] {3, 4, 16, 16}, made.latentShape());
      assertTrue(made.density() < 1);
      Video video = Video.ofPixelLatents(latents.toFloats(), 3, 4, 16, 16);
      assertArrayEquals(video.values(), made.video().values());
    }
  }

  private static Policy banded(VideoTransformer wan, List<Pattern> bands) {
    return new Policy() {
      @Override
      public io.github.sparsevdit.pattern.ModelShape model() {
        return wan.shape();
      }

      @Override
      public int block() {
        return 16;
      }

      @Override
      public List<Pattern> patterns(double timestep, int layer) {
        return bands;
      }
    };
  }

  @Test
  void videosAndLatentsAreSaved() throws Exception {
    try (Generator generator = Generator.open(TINY, backend)) {
      Generated made = generator.generate("horse", null, fewSteps().withSteps(1));
      assertEquals(1, made.density());
      for (String name : List.of("deep/er/horse.mp4", "horse.gif", "horse.safetensors")) {
        assertTrue(Files.size(made.save(folder.resolve(name))) > 100, name);
      }
      try (Safetensors saved = Safetensors.open(folder.resolve("horse.safetensors"))) {
        assertArrayEquals(made.latents(), saved.tensor("latents").toFloats());
      }
      refused(".mp4, .gif or .safetensors", () -> made.save(folder.resolve("horse.avi")));
    }
  }

  /** A run that is cancelled and resumed equals one that was not. */
  @Test
  void aRunIsCancelledAndResumed() {
    Path state = folder.resolve("run.state");
    try (Generator generator = Generator.open(TINY, backend)) {
      float[] whole = generator.generate("horse", null, fewSteps()).latents();
      List<Integer> steps = new ArrayList<>();
      DenoisingProgress untilSecond =
          new DenoisingProgress() {
            @Override
            public void step(int step, int count) {
              steps.add(step);
            }

            @Override
            public boolean cancelled() {
              return steps.size() == 2;
            }
          };
      GenerateOptions options = fewSteps().withResume(state);
      assertThrows(
          CancellationException.class,
          () -> generator.generate("horse", null, options.withProgress(untilSecond)));
      assertEquals(List.of(0, 1), steps);
      assertArrayEquals(whole, generator.generate("horse", null, options).latents());
      refused("seed", () -> generator.generate("horse", null, options.withSeed(1)));
      refused("guidance", () -> generator.generate("horse", null, options.withGuidance(2.0)));
    }
  }

  @Test
  void threadsTakeTurns() {
    try (Generator generator = Generator.open(TINY, backend)) {
      float[] alone = generator.generate("horse", null, fewSteps()).latents();
      List<CompletableFuture<Generated>> runs = new ArrayList<>();
      for (int i = 0; i < 4; i++) {
        runs.add(
            CompletableFuture.supplyAsync(() -> generator.generate("horse", null, fewSteps())));
      }
      runs.forEach(run -> assertArrayEquals(alone, run.join().latents()));
    }
  }

  /** A text encoder and a decoder of the program's own. */
  @Test
  void encodersAndDecodersAreTakenAndClosed() {
    List<String> calls = new ArrayList<>();
    try (Arena arena = Arena.ofShared()) {
      TextEncoder encoder = new Letters(arena, calls);
      LatentDecoder decoder =
          new LatentDecoder() {
            @Override
            public Video decode(Tensor latents) {
              calls.add("decode " + latents.size(1));
              return new Video(1, 1, 1, 3, new float[3]);
            }

            @Override
            public void close() {
              calls.add("decoder closed");
            }
          };
      OpenOptions options =
          OpenOptions.defaults().withTextEncoder(encoder).withLatentDecoder(decoder);
      try (Generator generator = Generator.open(TINY, backend, options)) {
        assertTrue(generator.prompts().isEmpty());
        Generated made =
            generator.generate("a fox", null, fewSteps().withSteps(1).withNegative("blurred"));
        assertEquals(1, made.video().frames());
      }
    }
    assertEquals(
        List.of("encode a fox", "encode blurred", "decode 4", "decoder closed", "encoder closed"),
        calls);
  }

  /** What a jar registers is asked first; what it does not know falls to the library's own. */
  @Test
  void providersAreFound() throws Exception {
    Path services = Files.createDirectories(folder.resolve("META-INF/services"));
    Files.writeString(
        services.resolve(TextEncoder.Provider.class.getName()), AnyText.class.getName());
    Thread thread = Thread.currentThread();
    ClassLoader before = thread.getContextClassLoader();
    try (URLClassLoader jar = new URLClassLoader(new URL[] {folder.toUri().toURL()}, before)) {
      thread.setContextClassLoader(jar);
      try (Generator known = Generator.open(TINY, backend);
          Generator unknown = Generator.open(TINY, backend, withVariant("none"))) {
        assertTrue(known.prompts().isEmpty());
        assertTrue(unknown.prompts().contains("horse"));
      }
    } finally {
      thread.setContextClassLoader(before);
    }
  }

  private static OpenOptions withVariant(String variant) {
    return OpenOptions.defaults().withVariant(variant);
  }

  /** Encodes any text, but for folders with a variant. */
  public static final class AnyText implements TextEncoder.Provider {
    @Override
    public TextEncoder open(CheckpointFolder folder, Backend backend, ElementType type) {
      return folder.variant() == null ? new Letters(Arena.ofAuto(), new ArrayList<>()) : null;
    }
  }

  /** Says a prompt's letters. */
  private record Letters(Arena arena, List<String> calls) implements TextEncoder {
    @Override
    public List<String> prompts() {
      return List.of();
    }

    @Override
    public int tokens(String prompt) {
      return 8;
    }

    @Override
    public Conditioning encode(String prompt) {
      calls.add("encode " + prompt);
      float[] values = new float[8 * 64];
      for (int i = 0; i < prompt.length(); i++) {
        values[i] = prompt.charAt(i) / 128f;
      }
      return Conditioning.text(
          Tensor.of(arena.allocate(4 * 8 * 64, 64), ElementType.FP32, 8, 64).copyFrom(values));
    }

    @Override
    public Conditioning encodeNegative(String prompt, String negative) {
      return encode(negative);
    }

    @Override
    public void close() {
      calls.add("encoder closed");
    }
  }

  @Test
  void whatDoesNotFitIsRefusedByName() {
    refused("no checkpoint", () -> Generator.open(folder, backend));
    refused(
        "not in FP16",
        () -> Generator.open(TINY, backend, OpenOptions.defaults().withType(ElementType.FP16)));
    try (Generator generator = Generator.open(TINY, backend)) {
      refused("prompts is empty", () -> generator.prepare(fewSteps(), List.of()));
      refused("there is no prompt 'fox'; there are", () -> run(generator, "fox", fewSteps()));
      refused(
          "latents 4x15x16: height and width must be multiples of 4",
          () -> run(generator, "horse", fewSteps().withLatents(4, 15, 16)));
      refused("video 0x16x16", () -> run(generator, "horse", fewSteps().withVideo(0, 16, 16)));
      refused("guidance-2", () -> run(generator, "horse", fewSteps().withGuidance2(2.0)));
      refused("true-guidance", () -> run(generator, "horse", fewSteps().withTrueGuidance(2.0)));
      refused("negative prompt 'x'", () -> run(generator, "horse", fewSteps().withNegative("x")));
      Policy other = Policy.dense(new io.github.sparsevdit.pattern.ModelShape("m", 1, 1, 64), 64);
      refused("m: 1 layers", () -> generator.generate("horse", other, fewSteps()));
    }
    Generator closed = Generator.open(TINY, backend);
    closed.close();
    closed.close();
    assertThrows(IllegalStateException.class, () -> run(closed, "horse", fewSteps()));
  }

  /** Steps may have a shift of their own; the options may replace it. */
  @Test
  void theShiftOfTheStepsIsFollowed() {
    try (Generator generator = Generator.open(TINY, backend)) {
      GenerateOptions own = fewSteps().withSteps(RunSteps.of(3).withShift(7.0));
      GenerateOptions named = fewSteps().withFlowShift(7.0);
      List<Double> shifted = timesteps(generator, named);
      assertEquals(shifted, timesteps(generator, own));
      assertEquals(
          shifted, timesteps(generator, fewSteps().withSteps(otherShift()).withFlowShift(7.0)));
      assertFalse(shifted.equals(timesteps(generator, fewSteps())));
    }
  }

  private static RunSteps otherShift() {
    return RunSteps.of(3).withShift(2.0);
  }

  private static List<Double> timesteps(Generator generator, GenerateOptions options) {
    return generator.prepare(options, List.of("horse")).schedule().timesteps();
  }

  private static Generated run(Generator generator, String prompt, GenerateOptions options) {
    return generator.generate(prompt, null, options);
  }

  /** Sizes of videos in pixels, by each VAE; latents that nothing decodes. */
  @Test
  void aVideosSizeBecomesTheLatents() throws Exception {
    Path wan = CASES.resolve("wan2.1-t2v-tiny");
    Path embeddings = folder.resolve("prompts.safetensors");
    try (Arena arena = Arena.ofShared()) {
      Tensor text = Tensor.of(arena.allocate(4 * 12 * 24, 64), ElementType.FP32, 12, 24);
      Safetensors.write(embeddings, java.util.Map.of("fox", text), java.util.Map.of());
    }
    OpenOptions options = OpenOptions.defaults().withEmbeddings(embeddings);
    try (Generator generator = Generator.open(wan, backend, options)) {
      assertFalse(generator.decodes());
      GenerateOptions size = GenerateOptions.defaults().withSteps(1).withVideo(9, 64, 32);
      PreparedRun prepared = generator.prepare(size, List.of("fox"));
      assertEquals(3, prepared.latentShape()[1]);
      assertEquals(8, prepared.latentShape()[2]);
      assertEquals(4, prepared.latentShape()[3]);
      assertEquals(2, prepared.branches()); // Wan's usual guidance is 5
      assertEquals(16, prepared.framesPerSecond());
      refused(
          "video 10x64x32: 10 is no length of this model's videos",
          () -> generator.prepare(size.withVideo(10, 64, 32), List.of("fox")));
      Generated made = generator.generate("fox", null, size);
      refused("nothing decodes", () -> made.save(folder.resolve("fox.mp4")));
    }
  }

  private static void refused(String part, org.junit.jupiter.api.function.Executable call) {
    IllegalArgumentException e = assertThrows(IllegalArgumentException.class, call);
    assertTrue(e.getMessage().contains(part), e::getMessage);
  }
}

package io.github.sparsevdit.model.vae;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CancellationException;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What a VAE takes of memory, tells of its progress, and refuses. */
class VaeTest {
  private static final Path CASES = Path.of("src/test/resources/cases/vaes");
  private static Backend backend;

  @TempDir private Path temp;

  @BeforeAll
  static void open() {
    backend = Backend.cpu();
  }

  @AfterAll
  static void close() {
    backend.close();
  }

  private static Tensor random(long... shape) {
    Tensor tensor = backend.allocatePinned(ElementType.FP32, shape);
    float[] values = new float[(int) tensor.elements()];
    Random random = new Random(5);
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return tensor.copyFrom(values);
  }

  private static Tiling tiles(String name) {
    return name.startsWith("cog")
        ? Tiling.DEFAULT
        : new Tiling(true, 32, 32, 16, 16, null, null, null, null, null);
  }

  /**
   * The backend counts what is allocated from it. The listener looks when a part is done: clips are
   * kept until then, but for those of the levels before the last in VAEs that work in runs.
   */
  @ParameterizedTest
  @CsvSource({
    "wan2.1, 5, 6, 4, FP32, false, 1",
    "wan2.1, 3, 6, 4, BF16, false, 1",
    "wan2.1, 2, 7, 6, FP32, true, 0.5", // the largest tile is not the last
    "wan2.2-residual, 3, 3, 2, FP32, false, 1",
    "hunyuanvideo, 6, 3, 2, FP32, false, 0.3",
    "hunyuanvideo, 2, 6, 5, FP32, true, 0.2",
    "cogvideox1.5, 5, 3, 2, FP32, false, 0.3",
  })
  void statesTheMemoryItTakes(
      String name,
      int frames,
      int height,
      int width,
      ElementType type,
      boolean tiled,
      double atLeast) {
    Path folder = CASES.resolve(name);
    Tiling tiling = tiled ? tiles(name) : null;
    long before = used();
    try (Vae vae = Vae.open(folder, null, backend, type);
        Tensor latents = random(name.equals("wan2.2-residual") ? 48 : 16, frames, height, width)) {
      VaeMemory memory =
          Vae.decodingMemory(folder, Backend.Kind.CPU, type, latents.shape(), tiling);
      long in = used();
      long[] most = {0};
      try (Tensor video =
          vae.decode(
              latents,
              tiling,
              done -> {
                most[0] = Math.max(most[0], used() - in);
                return true;
              })) {
        assertArrayEquals(vae.videoShape(latents.shape()), video.shape());
        // What is left: the result, and the weights until the VAE is closed.
        assertEquals(video.spanBytes(), used() - in, memory.weights());
        assertTrue(used() - in - video.spanBytes() <= memory.weights());
      }
      String said = most[0] + " of " + memory.total() + ": " + memory;
      assertTrue(most[0] <= memory.total(), said);
      assertTrue(most[0] >= 0.97 * atLeast * memory.total(), said);
    }
    assertEquals(before, used());
  }

  private static long used() {
    return backend.info().memoryUsedBytes() + backend.info().pinnedBytes();
  }

  @Test
  void statesItForTrueSizes() throws IOException {
    String config =
        Files.readString(CASES.resolve("wan2.1/config.json"))
            .replace("\"base_dim\": 2", "\"base_dim\": 96");
    Files.writeString(temp.resolve("config.json"), config);
    VaeMemory memory =
        Vae.decodingMemory(
            temp, Backend.Kind.CPU, ElementType.BF16, new long[] {16, 21, 60, 104}, null);
    // 73 million parameters of the decoder.
    assertEquals(73.3e6 * 2, memory.weights(), 1e6);
    // The frames that seven convolutions of 96 channels keep, 832 x 480, and four more at work.
    long frame = 832L * 480 * 96 * 2;
    assertTrue(memory.working() > 18 * frame && memory.working() < 40 * frame, memory.toString());
    assertEquals(3L * 81 * 832 * 480 * 4, memory.host(), 1e6);
    VaeMemory longer =
        Vae.decodingMemory(
            temp, Backend.Kind.CPU, ElementType.BF16, new long[] {16, 41, 60, 104}, null);
    assertEquals(memory.working(), longer.working()); // whatever the number of frames
  }

  @Test
  void tellsHowFarItIsAndCanBeEnded() {
    try (Vae vae = Vae.open(CASES.resolve("wan2.1"), null, backend, ElementType.FP32);
        Tensor latents = random(16, 4, 2, 2)) {
      List<Double> heard = new ArrayList<>();
      VaeListener all = done -> heard.add(done);
      float[] whole;
      try (Tensor video = vae.decode(latents, null, all)) {
        whole = video.toFloats();
      }
      assertEquals(List.of(0.25, 0.5, 0.75, 1.0), heard);
      long used = used();
      assertThrows(
          CancellationException.class, () -> vae.decode(latents, null, done -> done < 0.5));
      assertEquals(used, used());
      try (Tensor again = vae.decode(latents, null, VaeListener.NONE)) { // nothing was kept
        assertArrayEquals(whole, again.toFloats());
      }
    }
  }

  @ParameterizedTest
  @CsvSource({
    "wan2.1, '\"attn_scales\": []', '\"attn_scales\": [0.5]', attn_scales",
    "wan2.1, '\"dropout\": 0.0', '\"zoom\": 3', zoom is 3",
    "wan2.1, '\"z_dim\": 16', '\"z_dim\": 12', latents_mean has 16 numbers",
    "wan2.1, '\"base_dim\": 2', '\"base_dim\": 4', the configuration asks for",
    "wan2.1, '\"scale_factor_spatial\": 8', '\"scale_factor_spatial\": 16', scale_factor_spatial is 16",
    "wan2.1, '\"AutoencoderKLWan\"', '\"AutoencoderKL\"', _class_name",
    "hunyuanvideo, '\"act_fn\": \"silu\"', '\"act_fn\": \"relu\"', act_fn",
    "cogvideox1.5, '\"use_quant_conv\": false', '\"use_quant_conv\": true', use_quant_conv is true",
    "cogvideox1.5, '\"shift_factor\": null', '\"shift_factor\": 0.1', shift_factor is 0.1",
  })
  void refusesConfigurations(String name, String old, String now, String said) throws IOException {
    String config = Files.readString(CASES.resolve(name).resolve("config.json"));
    assertTrue(config.contains(old));
    Files.writeString(temp.resolve("config.json"), config.replace(old, now));
    Path weights = Path.of("diffusion_pytorch_model.safetensors");
    Files.copy(CASES.resolve(name).resolve(weights), temp.resolve(weights));
    Exception refused =
        assertThrows(
            IllegalArgumentException.class,
            () -> Vae.open(temp, null, backend, ElementType.FP32).close());
    assertTrue(refused.getMessage().contains(said), refused.getMessage());
  }

  @ParameterizedTest
  @CsvSource({
    "wan2.1, minFrames is 8",
    "hunyuanvideo, overlapHeight is 0.25",
    "cogvideox1.5, strideHeight is 16",
  })
  void refusesTilingsOfOthers(String name, String said) {
    Tiling all = new Tiling(true, 32, 32, 16, 16, 8, 4, 0.25, 0.25, null);
    try (Vae vae = Vae.open(CASES.resolve(name), null, backend, ElementType.FP32);
        Tensor latents = random(16, 1, 8, 8)) {
      Exception refused =
          assertThrows(
              IllegalArgumentException.class, () -> vae.decode(latents, all, VaeListener.NONE));
      assertTrue(refused.getMessage().contains(said), refused.getMessage());
    }
  }

  @Test
  void refusesTilesThatDoNotMeet() {
    try (Vae vae = Vae.open(CASES.resolve("wan2.1"), null, backend, ElementType.FP32);
        Tensor latents = random(16, 1, 8, 8);
        Tensor video = random(3, 1, 48, 48)) {
      Tiling uneven = new Tiling(true, 32, 32, 20, 20, null, null, null, null, null);
      assertTrue(
          assertThrows(
                  IllegalArgumentException.class, () -> vae.encode(video, uneven, VaeListener.NONE))
              .getMessage()
              .contains("5 of 6 columns: their stride is no whole number of latents"));
      Tiling apart = new Tiling(true, 32, 32, 48, 16, null, null, null, null, null);
      assertThrows(
          IllegalArgumentException.class, () -> vae.decode(latents, apart, VaeListener.NONE));
    }
  }

  @Test
  void refusesShapesAndTypes() {
    try (Vae vae = Vae.open(CASES.resolve("wan2.1"), null, backend, ElementType.FP32);
        Tensor few = random(8, 1, 2, 2);
        Tensor odd = random(3, 1, 12, 16);
        Tensor half = backend.allocate(ElementType.BF16, 16, 1, 2, 2)) {
      for (Tensor wrong : List.of(few, half)) {
        assertThrows(
            IllegalArgumentException.class, () -> vae.decode(wrong, null, VaeListener.NONE));
      }
      assertThrows(IllegalArgumentException.class, () -> vae.encode(odd, null, VaeListener.NONE));
    }
    assertThrows(
        IllegalArgumentException.class,
        () -> Vae.open(CASES.resolve("wan2.1"), null, backend, ElementType.FP16));
  }

  @ParameterizedTest
  @CsvSource({
    "wan2.1, 1, 0.934315, 1.091", // of the first channel: mean -0.2944, deviation 1.3854
    "hunyuanvideo, 1, 0.476986, 2.096497",
    "cogvideox1.5, 1, 1.428571, 1.428571", // inverted
  })
  void scalesLatents(String name, float value, double normalised, double denormalised) {
    try (Vae vae = Vae.open(CASES.resolve(name), null, backend, ElementType.FP32);
        Tensor latents = backend.allocatePinned(ElementType.FP32, 16, 1, 1, 1)) {
      float[] same = new float[16];
      java.util.Arrays.fill(same, value);
      vae.normalise(latents.copyFrom(same));
      double first = latents.toFloats()[0];
      vae.denormalise(latents.copyFrom(same));
      double second = latents.toFloats()[0];
      assertEquals(normalised, first, 1e-5);
      assertEquals(denormalised, second, 1e-5);
    }
  }
}

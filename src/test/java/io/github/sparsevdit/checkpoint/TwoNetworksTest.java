package io.github.sparsevdit.checkpoint;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.model.AttentionFunction;
import io.github.sparsevdit.model.AttentionProvider;
import io.github.sparsevdit.model.Conditioning;
import io.github.sparsevdit.model.VideoTransformer;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Policy;
import io.github.sparsevdit.pipeline.DenoiserSource;
import io.github.sparsevdit.pipeline.Guidance;
import io.github.sparsevdit.pipeline.Noise;
import io.github.sparsevdit.pipeline.RunInputs;
import io.github.sparsevdit.pipeline.Scheduler;
import io.github.sparsevdit.pipeline.UniPc;
import io.github.sparsevdit.search.OfflineSearch;
import io.github.sparsevdit.search.SearchOptions;
import io.github.sparsevdit.search.capture.CalibrationSource;
import io.github.sparsevdit.search.capture.CaptureWriter;
import io.github.sparsevdit.search.capture.CapturedSource;
import io.github.sparsevdit.table.DispatchTable;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Wan2.2's pair of networks, on a tiny pipeline; the reference case {@code runs/wan2.2-i2v} holds a
 * whole run to diffusers.
 */
class TwoNetworksTest {
  private static final Path PIPELINE =
      Path.of("src/test/resources/cases/denoisers/wan2.2-i2v-tiny");
  private static final long[] LATENTS = {4, 3, 8, 12};
  private static final int STEPS = 6;
  private static Backend backend;
  private static VideoTransformer both;
  private static Tensor image;
  private static Tensor text;
  @TempDir Path folder;

  @BeforeAll
  static void open() {
    backend = Backend.cpu();
    both = Denoisers.load(PIPELINE, backend, ElementType.FP32);
    image = backend.allocate(ElementType.FP32, 8, 3, 8, 12);
    text = backend.allocate(ElementType.FP32, 12, 24);
    Noise.fill(image, 1);
    Noise.fill(text, 2);
  }

  @AfterAll
  static void close() {
    both.close();
    image.close();
    text.close();
    backend.close();
  }

  private static Conditioning prompt() {
    return Conditioning.text(text).with(Conditioning.Part.LATENTS, image);
  }

  private static Scheduler scheduler() {
    return new UniPc(STEPS, 5, 2, 1000);
  }

  private static DenoiserSource source() {
    List<RunInputs> samples = List.of(new RunInputs(prompt(), null, 3));
    return new DenoiserSource(backend, both, scheduler(), Guidance.of(1), LATENTS, samples);
  }

  @Test
  void theTimestepPicksTheNetwork() {
    assertEquals("wan2.2-i2v-tiny: 2 layers x 2 heads x 32", both.shape().toString());
    assertEquals(900, both.boundary());
    try (VideoTransformer high = network("transformer");
        VideoTransformer low = network("transformer_2")) {
      for (double timestep : new double[] {1000, 900, Math.nextDown(900.0), 3}) {
        VideoTransformer one = timestep >= 900 ? high : low;
        assertArrayEquals(forward(one, timestep), forward(both, timestep));
        assertArrayEquals(
            one.outProjection(timestep, 1).toFloats(), both.outProjection(timestep, 1).toFloats());
      }
      assertNotEquals(high.fingerprint(), low.fingerprint());
      assertTrue(both.fingerprint().contains(high.fingerprint()));
      assertTrue(both.fingerprint().contains(low.fingerprint()));
    }
  }

  private static VideoTransformer network(String name) {
    return Denoisers.load(PIPELINE.resolve(name), backend, ElementType.FP32);
  }

  private static float[] forward(VideoTransformer transformer, double timestep) {
    try (Tensor latents = backend.allocate(ElementType.FP32, LATENTS);
        Tensor out = backend.allocate(ElementType.FP32, LATENTS);
        var plan =
            backend.plan(
                transformer.sequence(LATENTS),
                ElementType.FP32,
                32,
                128,
                Policy.dense(transformer.shape(), 128).patterns(1000, 0))) {
      Noise.fill(latents, 4);
      transformer.forward(latents, timestep, prompt(), AttentionProvider.of(plan).at(0, 0), out);
      return out.toFloats();
    }
  }

  @Test
  void guidanceChangesAtTheBoundary() {
    Guidance guidance = Guidance.of(4).below(900, 3);
    assertEquals(4, guidance.at(900, STEPS));
    assertEquals(3, guidance.at(899, STEPS));
    assertTrue(Guidance.of(1).below(900, 3).needsNegative());
  }

  /** Heads of the two networks have nothing in common, so no phase may hold steps of both. */
  @Test
  void aSearchBeginsAPhaseWhereTheSecondNetworkTakesOver() {
    try (DenoiserSource source = source()) {
      List<Double> timesteps = source.schedule().timesteps();
      int start = source.networkStarts().getFirst();
      assertEquals(1, source.networkStarts().size());
      assertTrue(timesteps.get(start - 1) >= 900 && timesteps.get(start) < 900);
      DispatchTable table = search(source);
      assertEquals(2, table.phases().size());
      assertEquals(
          (timesteps.get(start - 1) + timesteps.get(start)) / 2, table.phases().get(1).from());
      assertNotEquals(table.phases().get(0).layers(), table.phases().get(1).layers());
    }
  }

  private static DispatchTable search(CalibrationSource source) {
    SearchOptions options =
        SearchOptions.defaults()
            .withBlock(16)
            .withShare(1)
            .withPhaseStarts(List.of(0))
            .withStepsPerPhase(2)
            .withTargetDensity(0.6);
    return new OfflineSearch(backend, options).run(source);
  }

  @Test
  void aCaptureKeepsBothNetworksApart() {
    try (DenoiserSource source = source()) {
      source.visit(CaptureWriter.begin(folder, source, 1, key -> true));
      try (CapturedSource captured = CapturedSource.open(folder)) {
        assertEquals(source.networkStarts(), captured.networkStarts());
        List<float[]> projections = new ArrayList<>();
        captured.visit(
            new CalibrationSource.Visitor() {
              @Override
              public boolean wants(CalibrationSource.Key key) {
                return key.layer() == 1;
              }

              @Override
              public void accept(CalibrationSource.Point point) {
                assertArrayEquals(
                    both.outProjection(point.timestep(), 1).toFloats(),
                    point.outProjection().toFloats());
                projections.add(point.outProjection().toFloats());
              }
            });
        assertEquals(STEPS, projections.size());
        assertEquals(search(source).phases(), search(captured).phases());
      }
    }
  }

  /** Points of two sources in one folder would be searched as one. */
  @Test
  void aCaptureOfOtherNoiseIsNotGoneOnWith() {
    try (DenoiserSource source = source()) {
      source.visit(CaptureWriter.begin(folder, source, 1, key -> key.step() == 0));
      CaptureWriter.begin(folder, source, 1, key -> true);
    }
    List<RunInputs> samples = List.of(new RunInputs(prompt(), null, 4));
    try (DenoiserSource other =
        new DenoiserSource(backend, both, scheduler(), Guidance.of(1), LATENTS, samples)) {
      IllegalArgumentException e =
          assertThrows(
              IllegalArgumentException.class,
              () -> CaptureWriter.begin(folder, other, 1, key -> true));
      assertTrue(e.getMessage().contains("holds the capture of another source"), e::getMessage);
    }
  }

  @Test
  void whatDoesNotFitTogetherIsNamed() throws IOException {
    copy(folder);
    Path second = folder.resolve("transformer_2/config.json");
    String config = Files.readString(second);
    Files.delete(second);
    refused("transformer_2/config.json is missing");
    Files.writeString(second, config);
    Path index = folder.resolve("model_index.json");
    String pipeline = Files.readString(index);
    Files.writeString(index, pipeline.replace("0.9", "9"));
    refused("boundary_ratio is 9; expected a number between 0 and 1");
    Files.writeString(index, pipeline.replace("0.9", "null"));
    try (VideoTransformer one = Denoisers.load(folder, backend, ElementType.FP32)) {
      assertEquals(0, one.boundary());
    }
    Files.writeString(index, pipeline);
    Path wan = PIPELINE.resolveSibling("wan2.1-t2v-tiny");
    Files.copy(wan.resolve("config.json"), second, StandardCopyOption.REPLACE_EXISTING);
    Path weights = Path.of("diffusion_pytorch_model.safetensors");
    Files.copy(
        wan.resolve(weights),
        folder.resolve("transformer_2").resolve(weights),
        StandardCopyOption.REPLACE_EXISTING);
    refused("the networks differ in head dim: 32 and 64");
  }

  private static void copy(Path to) throws IOException {
    try (Stream<Path> files = Files.walk(PIPELINE)) {
      for (Path file : files.toList()) {
        Path target = to.resolve(PIPELINE.relativize(file).toString());
        if (Files.isDirectory(file)) {
          Files.createDirectories(target);
        } else {
          Files.copy(file, target);
        }
      }
    }
  }

  private void refused(String why) {
    IllegalArgumentException e =
        assertThrows(
            IllegalArgumentException.class,
            () -> Denoisers.load(folder, backend, ElementType.FP32));
    assertTrue(e.getMessage().contains(why), e::getMessage);
  }

  @Test
  void firstFramesThatDoNotFitAreNamed() {
    try (VideoTransformer wan =
            Denoisers.load(PIPELINE.resolveSibling("wan2.2-ti2v-tiny"), backend, ElementType.FP32);
        Tensor latents = backend.allocate(ElementType.FP32, LATENTS);
        Tensor all = backend.allocate(ElementType.FP32, LATENTS)) {
      IllegalArgumentException e =
          assertThrows(
              IllegalArgumentException.class,
              () ->
                  wan.forward(
                      latents,
                      1,
                      Conditioning.text(text).with(Conditioning.Part.FIRST_FRAMES, all),
                      (layer, q, k, v, valid, out) -> {},
                      latents));
      assertTrue(e.getMessage().contains("with fewer frames"), e::getMessage);
    }
  }

  /** A frame at timestep 0 is modulated apart from the others: the same timestep gives the same. */
  @Test
  void aGivenFrameAtTheOthersTimestepChangesNothing() {
    try (VideoTransformer wan =
            Denoisers.load(PIPELINE.resolveSibling("wan2.2-ti2v-tiny"), backend, ElementType.FP32);
        Tensor latents = backend.allocate(ElementType.FP32, LATENTS);
        Tensor one = backend.allocate(ElementType.FP32, LATENTS);
        Tensor apart = backend.allocate(ElementType.FP32, LATENTS);
        var plan =
            backend.plan(
                wan.sequence(LATENTS),
                ElementType.FP32,
                32,
                128,
                Collections.nCopies(2, Pattern.full()))) {
      Noise.fill(latents, 4);
      AttentionFunction dense = AttentionProvider.of(plan).at(0, 0);
      Conditioning prompt = Conditioning.text(text);
      wan.forward(latents, 0, prompt, dense, one);
      Conditioning given = prompt.with(Conditioning.Part.FIRST_FRAMES, latents.slice(1, 0, 1));
      wan.forward(latents, 0, given, dense, apart);
      assertArrayEquals(one.toFloats(), apart.toFloats(), 1e-6f);
      wan.forward(latents, 500, given, dense, apart);
      wan.forward(latents, 500, prompt, dense, one);
      assertTrue(maxDifference(one.toFloats(), apart.toFloats()) > 1e-3);
    }
  }

  private static float maxDifference(float[] a, float[] b) {
    float most = 0;
    for (int i = 0; i < a.length; i++) {
      most = Math.max(most, Math.abs(a[i] - b[i]));
    }
    return most;
  }
}

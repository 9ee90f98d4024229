package io.github.sparsevdit.pipeline;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.AttentionPlan;
import io.github.sparsevdit.Backend;
import io.github.sparsevdit.SparseAttention;
import io.github.sparsevdit.checkpoint.Denoisers;
import io.github.sparsevdit.model.AttentionProvider;
import io.github.sparsevdit.model.Conditioning;
import io.github.sparsevdit.model.VideoTransformer;
import io.github.sparsevdit.pattern.Policy;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.search.capture.CalibrationSource.Key;
import io.github.sparsevdit.search.capture.CalibrationSource.Point;
import io.github.sparsevdit.search.capture.CalibrationSource.Visitor;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CancellationException;
import java.util.function.Predicate;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** The loop, cancelled and watched, and the calibration source made of it; on a tiny checkpoint. */
class DenoisingLoopTest {
  private static final int STEPS = 3;
  private static final long[] LATENTS = {4, 3, 16, 12};
  private static Backend backend;
  private static VideoTransformer wan;
  private static Conditioning prompt;
  private static Conditioning negative;

  @BeforeAll
  static void open() {
    backend = Backend.cpu();
    Path folder = Path.of("src/test/resources/cases/denoisers/wan2.1-t2v-tiny");
    wan = Denoisers.load(folder, backend, ElementType.BF16);
    prompt = Conditioning.text(text(1));
    negative = Conditioning.text(text(2));
  }

  @AfterAll
  static void close() {
    wan.close();
    prompt.text().close();
    negative.text().close();
    backend.close();
  }

  private static Tensor text(long seed) {
    Tensor text = backend.allocate(ElementType.FP32, 12, 24);
    Random random = new Random(seed);
    float[] values = new float[12 * 24];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return text.copyFrom(values);
  }

  private static DenoisingLoop loop() {
    return new DenoisingLoop(wan, new UniPc(STEPS, 3, 2, 1000), Guidance.of(4));
  }

  private static SparseAttention dense() {
    Sequence sequence = wan.sequence(LATENTS);
    Policy policy = Policy.dense(wan.shape(), 128);
    return SparseAttention.of(backend, policy, sequence, loop().schedule(), ElementType.BF16);
  }

  @Test
  void runsAreRepeatableAndDependOnTheSeed() {
    assertArrayEquals(generate(5), generate(5));
    assertNotEquals(Arrays.hashCode(generate(5)), Arrays.hashCode(generate(6)));
  }

  private static float[] generate(long seed) {
    try (Tensor latents = backend.allocate(ElementType.FP32, LATENTS);
        SparseAttention dense = dense()) {
      Noise.fill(latents, seed);
      loop().run(latents, prompt, negative, AttentionProvider.of(dense), DenoisingProgress.NONE);
      return latents.toFloats();
    }
  }

  @Test
  void bf16StaysNearFp32() {
    Path folder = Path.of("src/test/resources/cases/denoisers/wan2.1-t2v-tiny");
    float[] low = generate(5);
    try (VideoTransformer exact = Denoisers.load(folder, backend, ElementType.FP32);
        Tensor latents = backend.allocate(ElementType.FP32, LATENTS);
        AttentionPlan plan =
            backend.plan(
                exact.sequence(LATENTS),
                ElementType.FP32,
                64,
                128,
                Policy.dense(exact.shape(), 128).patterns(1000, 0))) {
      Noise.fill(latents, 5);
      new DenoisingLoop(exact, new UniPc(STEPS, 3, 2, 1000), Guidance.of(4))
          .run(latents, prompt, negative, AttentionProvider.of(plan), DenoisingProgress.NONE);
      float[] high = latents.toFloats();
      double difference = 0;
      double norm = 0;
      for (int i = 0; i < high.length; i++) {
        difference += Math.pow(high[i] - low[i], 2);
        norm += Math.pow(high[i], 2);
      }
      // 2^-9 per rounding, a few dozen roundings in a row, amplified by guidance.
      assertTrue(Math.sqrt(difference / norm) < 0.03, "off by " + Math.sqrt(difference / norm));
    }
  }

  @Test
  void cancellingKeepsTheLatentsOfTheLastStep() {
    List<String> seen = new ArrayList<>();
    DenoisingProgress progress =
        new DenoisingProgress() {
          @Override
          public void block(int step, int branch, int layer) {
            seen.add(step + "/" + branch + "/" + layer);
          }

          @Override
          public void step(int step, int steps) {
            seen.add("step " + step + " of " + steps);
          }

          @Override
          public boolean cancelled() {
            return seen.contains("1/0/1");
          }
        };
    try (Tensor latents = backend.allocate(ElementType.FP32, LATENTS);
        Tensor once = backend.allocate(ElementType.FP32, LATENTS);
        SparseAttention dense = dense()) {
      Noise.fill(latents, 5);
      Noise.fill(once, 5);
      AttentionProvider attention = AttentionProvider.of(dense);
      assertThrows(
          CancellationException.class,
          () -> loop().run(latents, prompt, negative, attention, progress));
      assertEquals(
          List.of("0/0/0", "0/0/1", "0/1/0", "0/1/1", "step 0 of 3", "1/0/0", "1/0/1"), seen);
      loop().run(once, prompt, negative, attention, DenoisingProgress.NONE, 1);
      assertArrayEquals(once.toFloats(), latents.toFloats());
    }
  }

  @Test
  void sourceGivesWhatTheDenoiserSees() {
    try (DenoiserSource source = source(5, 6)) {
      assertEquals(2 * STEPS * 2 * 2, source.points());
      List<Point> points = new ArrayList<>();
      List<float[]> first = new ArrayList<>();
      visit(source, key -> true, points, first);
      assertEquals(source.points(), points.size());
      assertEquals(new Key(0, 0, 0, 0), points.get(0).key());
      assertEquals(new Key(0, 0, 1, 0), points.get(1).key());
      assertEquals(new Key(0, 0, 0, 1), points.get(2).key());
      assertEquals(new Key(1, STEPS - 1, 1, 1), points.get(points.size() - 1).key());
      assertArrayEquals(new long[] {1, 2, 144, 64}, points.get(0).q().shape());
      assertArrayEquals(new long[] {128, 128}, points.get(0).outProjection().shape());

      List<Point> some = new ArrayList<>();
      List<float[]> values = new ArrayList<>();
      Key wanted = new Key(1, 1, 1, 1);
      visit(source, wanted::equals, some, values);
      assertEquals(List.of(wanted), some.stream().map(Point::key).toList());
      int at = points.stream().map(Point::key).toList().indexOf(wanted);
      assertArrayEquals(first.get(at), values.get(0));
    }
  }

  @Test
  void sourceDigestTellsSourcesApart() {
    try (DenoiserSource source = source(5, 6);
        DenoiserSource same = source(5, 6);
        DenoiserSource other = source(5, 7)) {
      assertEquals(source.sha256(), same.sha256());
      assertNotEquals(source.sha256(), other.sha256());
      assertEquals(64, source.sha256().length());
    }
  }

  /** All that changes the points, one at a time. */
  @Test
  void sourceDigestKnowsSchedulerTypeAndGuidance() {
    Scheduler usual = new UniPc(STEPS, 3, 2, 1000);
    String plain = digest(wan, usual, Guidance.of(4));
    assertEquals(plain, digest(wan, new UniPc(STEPS, 3, 2, 1000), Guidance.of(4)));
    List<String> all = new ArrayList<>(List.of(plain));
    all.add(digest(wan, new UniPc(STEPS, 3, 1, 1000), Guidance.of(4)));
    all.add(digest(wan, usual, Guidance.of(5)));
    all.add(digest(wan, usual, Guidance.dynamic(4)));
    for (long seed : new long[] {1, 2}) {
      Scheduler dpm = new CogVideoXDpm(STEPS, 1000, 0.00085, 0.012, 1, () -> new Random(seed));
      all.add(digest(wan, dpm, Guidance.of(4)));
    }
    Path folder = Path.of("src/test/resources/cases/denoisers/wan2.1-t2v-tiny");
    try (VideoTransformer exact = Denoisers.load(folder, backend, ElementType.FP32)) {
      all.add(digest(exact, usual, Guidance.of(4)));
    }
    assertEquals(all.size(), all.stream().distinct().count());
  }

  private static String digest(VideoTransformer model, Scheduler scheduler, Guidance guidance) {
    List<RunInputs> samples = List.of(new RunInputs(prompt, negative, 5));
    try (DenoiserSource source =
        new DenoiserSource(backend, model, scheduler, guidance, LATENTS, samples)) {
      return source.sha256();
    }
  }

  private static DenoiserSource source(long... seeds) {
    List<RunInputs> samples =
        Arrays.stream(seeds).mapToObj(seed -> new RunInputs(prompt, negative, seed)).toList();
    return new DenoiserSource(
        backend, wan, new UniPc(STEPS, 3, 2, 1000), Guidance.of(4), LATENTS, samples);
  }

  private static void visit(
      DenoiserSource source, Predicate<Key> wanted, List<Point> points, List<float[]> queries) {
    source.visit(
        new Visitor() {
          @Override
          public boolean wants(Key key) {
            return wanted.test(key);
          }

          @Override
          public void accept(Point point) {
            points.add(point);
            queries.add(point.q().toFloats());
          }
        });
  }
}

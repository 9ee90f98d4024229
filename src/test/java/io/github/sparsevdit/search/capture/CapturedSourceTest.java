package io.github.sparsevdit.search.capture;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.pattern.ModelShape;
import io.github.sparsevdit.pattern.Schedule;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.search.SyntheticSource;
import io.github.sparsevdit.search.capture.CalibrationSource.Key;
import io.github.sparsevdit.search.capture.CalibrationSource.Point;
import io.github.sparsevdit.search.capture.CalibrationSource.Visitor;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Safetensors;
import io.github.sparsevdit.tensor.Tensor;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CapturedSourceTest {
  private static final Sequence SEQUENCE = Sequence.video(2, 3, 3).withText(4, false);

  @TempDir Path folder;

  private static SyntheticSource synthetic() {
    return new SyntheticSource(
        SEQUENCE,
        2,
        8,
        3,
        2,
        10,
        new int[] {4, 1},
        Collections.nCopies(
            2,
            (key, random, q, k, v) -> {
              SyntheticSource.gaussian(random, q, 1);
              SyntheticSource.gaussian(random, k, 1);
              SyntheticSource.gaussian(random, v, 1);
            }));
  }

  private static void all(CalibrationSource source, Consumer<Point> consumer) {
    source.visit(
        new Visitor() {
          @Override
          public boolean wants(Key key) {
            return true;
          }

          @Override
          public void accept(Point point) {
            consumer.accept(point);
          }
        });
  }

  @Test
  void namesOfFilesDoNotFollowTheLocale() throws IOException {
    Locale before = Locale.getDefault();
    Locale.setDefault(Locale.forLanguageTag("ar-EG-u-nu-arab"));
    try {
      assertNotEquals("007", "%03d".formatted(7), "this locale's digits are not ASCII's");
      SyntheticSource source = synthetic();
      source.visit(CaptureWriter.begin(folder, source, SyntheticSource.BRANCHES, key -> true));
      try (Stream<Path> files = Files.walk(folder)) {
        files.forEach(
            file -> assertTrue(file.getFileName().toString().chars().allMatch(c -> c < 128)));
      }
      try (CapturedSource captured = CapturedSource.open(folder)) {
        assertEquals(source.points(), captured.points());
      }
    } finally {
      Locale.setDefault(before);
    }
  }

  @Test
  void aCaptureGivesBackItsSource() {
    SyntheticSource source = synthetic();
    source.visit(CaptureWriter.begin(folder, source, SyntheticSource.BRANCHES, key -> true));
    try (CapturedSource captured = CapturedSource.open(folder)) {
      assertEquals(source.model(), captured.model());
      assertEquals(source.sequence(), captured.sequence());
      assertEquals(source.type(), captured.type());
      assertEquals(source.schedule(), captured.schedule());
      assertEquals(source.samples(), captured.samples());
      assertEquals(source.points(), captured.points());
      assertEquals(64, captured.sha256().length());
      List<Key> keys = new ArrayList<>();
      all(
          captured,
          point -> {
            keys.add(point.key());
            float[][][][] qkv = source.values(point.key());
            Tensor[] tensors = {point.q(), point.k(), point.v()};
            for (int i = 0; i < 3; i++) {
              assertArrayEquals(new long[] {2, 2, 22, 8}, tensors[i].shape());
              assertArrayEquals(qkv[i][1][0], tensors[i].select(0, 1).select(0, 0).toFloats());
              assertArrayEquals(qkv[i][0][1], tensors[i].select(0, 0).select(0, 1).toFloats());
            }
            assertArrayEquals(source.projection(point.key()), point.outProjection().toFloats());
            assertArrayEquals(new int[] {4, 1}, point.textValid());
            assertEquals(source.schedule().timesteps().get(point.key().step()), point.timestep());
          });
      assertEquals(source.keys(), keys);
    }
  }

  @Test
  void anInterruptedCaptureGoesOn() throws IOException {
    SyntheticSource source = synthetic();
    CaptureWriter some =
        CaptureWriter.begin(folder, source, SyntheticSource.BRANCHES, key -> key.step() != 1);
    source.visit(some);
    String half;
    try (CapturedSource captured = CapturedSource.open(folder)) {
      assertEquals(source.points() * 2 / 3, captured.points());
      half = captured.sha256();
    }
    List<Key> asked = new ArrayList<>();
    CaptureWriter rest = CaptureWriter.begin(folder, source, SyntheticSource.BRANCHES, key -> true);
    source.visit(
        new Visitor() {
          @Override
          public boolean wants(Key key) {
            return rest.wants(key);
          }

          @Override
          public void accept(Point point) {
            asked.add(point.key());
            rest.accept(point);
          }
        });
    assertEquals(source.keys().stream().filter(key -> key.step() == 1).toList(), asked);
    try (CapturedSource captured = CapturedSource.open(folder)) {
      assertEquals(source.points(), captured.points());
      assertNotEquals(half, captured.sha256());
    }
    SyntheticSource other =
        new SyntheticSource(SEQUENCE, 3, 8, 3, 2, 10, null, Collections.nCopies(2, null));
    assertThrows(
        IllegalArgumentException.class,
        () -> CaptureWriter.begin(folder, other, SyntheticSource.BRANCHES, key -> true));
  }

  /** A file of several points in [B,S,H,D], as hooks in other frameworks write them. */
  @Test
  void shardsAndTokensFirst() {
    manifest(true);
    float[] values = new float[18 * 2 * 8];
    for (int i = 0; i < values.length; i++) {
      values[i] = i;
    }
    try (Arena arena = Arena.ofShared()) {
      Map<String, Tensor> tensors = new HashMap<>();
      for (String point : List.of("0.0.0.0", "0.0.1.0")) {
        for (String part : List.of(".q", ".k", ".v")) {
          tensors.put(
              point + part,
              Tensor.of(arena.allocate(values.length * 4L, 64), ElementType.FP32, 1, 18, 2, 8)
                  .copyFrom(values));
        }
      }
      Safetensors.write(folder.resolve("shard.safetensors"), tensors, Map.of());
    }
    try (CapturedSource captured = CapturedSource.open(folder)) {
      assertEquals(2, captured.points());
      all(
          captured,
          point -> {
            assertArrayEquals(new long[] {1, 2, 18, 8}, point.q().shape());
            // head 1, token 5
            assertEquals(
                (5 * 2 + 1) * 8f, point.q().select(0, 0).select(0, 1).select(0, 5).toFloats()[0]);
            assertNull(point.textValid());
            assertNull(point.outProjection());
          });
    }
  }

  @Test
  void whatDoesNotFitIsNamed() {
    refused("no points", Map.of(), Map.of());
    refused("\"0.0.0.0.k\" is missing", shapes("0.0.0.0.q", "0.0.0.0.v"), Map.of());
    refused("no part of a point", shapes("0.0.0.0.k"), Map.of());
    refused("is no point", shapes("0.0.0.q", "0.0.0.k", "0.0.0.v"), Map.of());
    refused("layer 2", point("0.0.2.0", 1, 2, 18, 8), Map.of());
    refused("step 1", point("0.1.0.0", 1, 2, 18, 8), Map.of());
    refused("sample 1", point("1.0.0.0", 1, 2, 18, 8), Map.of());
    refused("branch 1", point("0.0.0.1", 1, 2, 18, 8), Map.of());
    refused("17", point("0.0.0.0", 1, 2, 17, 8), Map.of());
    refused("[1, 3, 18, 8]", point("0.0.0.0", 1, 3, 18, 8), Map.of());
    refused("[2, 18, 8]", point("0.0.0.0", 2, 18, 8), Map.of());
    refused("textValid", point("0.0.0.0", 1, 2, 18, 8), Map.of("0.0.0.0.textValid", "1"));
    refused("textValid", point("0.0.0.0", 1, 2, 18, 8), Map.of("0.0.0.0.textValid", "0,0"));
    refused("textValid", point("0.0.0.0", 1, 2, 18, 8), Map.of("0.0.0.0.textValid", "many"));
    Map<String, long[]> projected = new HashMap<>(point("0.0.0.0", 1, 2, 18, 8));
    projected.put("outProjection.0", new long[] {5, 15});
    refused("outProjection.0", projected, Map.of());
    projected.remove("outProjection.0");
    projected.put("outProjection.2", new long[] {5, 16});
    refused("outProjection.2", projected, Map.of());
  }

  @Test
  void aDamagedManifestIsNamed() throws IOException {
    manifest(false);
    Path file = folder.resolve("capture.json");
    String good = Files.readString(file);
    for (String[] change :
        new String[][] {
          {"sparse-vdit/capture", "else"},
          {"\"version\" : 1", "\"version\" : 2"},
          {"\"layers\" : 2", "\"layers\" : \"two\""},
          {"\"layers\" : 2", "\"layers\" : 0"},
          {"\"layout\" : \"BHSD\"", "\"layout\" : \"SBHD\""},
          {"\"type\" : \"fp32\"", "\"type\" : \"fp8\""},
          {"\"type\" : \"fp32\"", "\"type\" : \"e4m3\""},
          {"\"samples\" : 1", "\"samples\" : 0"},
          {"\"frames\" : 2", "\"frames\" : 1.5"},
          {"\"branches\" : 1,", ""},
        }) {
      assertTrue(good.contains(change[0]), change[0]);
      Files.writeString(file, good.replace(change[0], change[1]));
      IllegalArgumentException refusal =
          assertThrows(
              IllegalArgumentException.class, () -> CapturedSource.open(folder), change[1]);
      assertTrue(refusal.getMessage().contains("capture.json"), refusal::getMessage);
    }
  }

  /** One byte anywhere makes it another source. */
  @Test
  void everyByteIsInTheDigest() throws IOException {
    manifest(false);
    Path file = folder.resolve("points.safetensors");
    try (Arena arena = Arena.ofShared()) {
      Map<String, Tensor> tensors = new HashMap<>();
      for (String part : List.of("q", "k", "v")) {
        tensors.put(
            "0.0.0.0." + part,
            Tensor.of(arena.allocate(4 * 288, 64), ElementType.FP32, 1, 2, 18, 8));
      }
      Safetensors.write(file, tensors, Map.of());
    }
    byte[] bytes = Files.readAllBytes(file);
    String before = digest();
    assertEquals(before, digest());
    for (int at : new int[] {bytes.length - 1, bytes.length - 1500, bytes.length - 3400}) {
      bytes[at] ^= 1;
      Files.write(file, bytes);
      assertNotEquals(before, digest());
      bytes[at] ^= 1;
    }
  }

  private String digest() {
    try (CapturedSource source = CapturedSource.open(folder)) {
      return source.sha256();
    }
  }

  private void manifest(boolean tokensFirst) {
    new CaptureManifest(
            new ModelShape("tiny", 2, 2, 8),
            Sequence.video(2, 3, 3),
            ElementType.FP32,
            new Schedule(List.of(999.0)),
            1,
            1,
            List.of(),
            tokensFirst,
            CapturedPart.WHOLE,
            "",
            "")
        .write(folder);
  }

  private static Map<String, long[]> shapes(String... names) {
    Map<String, long[]> shapes = new HashMap<>();
    for (String name : names) {
      shapes.put(name, new long[] {1, 2, 18, 8});
    }
    return shapes;
  }

  private static Map<String, long[]> point(String name, long... shape) {
    return Map.of(name + ".q", shape, name + ".k", shape, name + ".v", shape);
  }

  private void refused(String because, Map<String, long[]> shapes, Map<String, String> metadata) {
    manifest(false);
    try (Arena arena = Arena.ofShared()) {
      Map<String, Tensor> tensors = new HashMap<>();
      shapes.forEach(
          (name, shape) -> {
            long elements = 1;
            for (long size : shape) {
              elements *= size;
            }
            tensors.put(name, Tensor.of(arena.allocate(elements * 4, 64), ElementType.FP32, shape));
          });
      Safetensors.write(folder.resolve("points.safetensors"), tensors, metadata);
    }
    IllegalArgumentException refusal =
        assertThrows(IllegalArgumentException.class, () -> CapturedSource.open(folder), because);
    assertTrue(refusal.getMessage().contains(because), refusal::getMessage);
  }
}

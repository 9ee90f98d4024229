package io.github.sparsevdit.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.sparsevdit.estimate.ModelProfile;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.search.capture.CalibrationSource.Key;
import io.github.sparsevdit.search.capture.CalibrationSource.Point;
import io.github.sparsevdit.search.capture.CalibrationSource.Visitor;
import io.github.sparsevdit.search.capture.CapturedSource;
import io.github.sparsevdit.table.DispatchTable;
import io.github.sparsevdit.tensor.Safetensors;
import io.github.sparsevdit.tensor.Tensor;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * calibration/capture_diffusers.py, on modules shaped as diffusers' and, where torch and diffusers
 * are there (SVDIT_PYTHON names another Python), on diffusers itself: what it captures of a
 * reference case is what the case says attention saw, can be read back, and searched.
 */
class CaptureScriptTest {
  private static final Path CASES = Path.of("src/test/resources/cases/denoisers").toAbsolutePath();
  private static final Path DRIVER = Path.of("src/test/resources/capture/drive.py");
  private static final Path SCRIPTS = Path.of("calibration");
  private static final String PYTHON = System.getenv().getOrDefault("SVDIT_PYTHON", "python3");
  @TempDir Path folder;

  @BeforeAll
  static void needsPython() throws Exception {
    assumeTrue(
        python("-c", "import numpy").code() == 0, PYTHON + " with NumPy is not installed here");
  }

  @ParameterizedTest
  @ValueSource(strings = {"wan2.1-t2v-tiny", "hunyuanvideo-t2v-tiny", "cogvideox1.5-t2v-tiny"})
  void capturesWhatAttentionSees(String name) throws Exception {
    Run run = drive("standins", name, folder, "{}");
    assertEquals(0, run.code(), run.err());
    assertTrue(
        run.err().matches("capture: \\d+ points of \\d+ tokens, \\d\\.\\d MB of fp32\\R"),
        run.err());
    compare(name, folder, 0);
    searched(folder, 16, 0.6);
  }

  @ParameterizedTest
  @ValueSource(strings = {"wan2.1-t2v-tiny", "hunyuanvideo-t2v-tiny", "cogvideox1.5-t2v-tiny"})
  void capturesWhatDiffusersComputes(String name) throws Exception {
    assumeTrue(
        python("-c", "import torch, diffusers").code() == 0,
        PYTHON + " has no torch and diffusers here");
    Run run = drive("diffusers", name, folder, "{}");
    assertEquals(0, run.code(), run.err());
    compare(name, folder, 1e-5);
  }

  @ParameterizedTest
  @ValueSource(strings = {"wan2.1-t2v-tiny", "hunyuanvideo-t2v-tiny", "cogvideox1.5-t2v-tiny"})
  void someHeadsQueryRowsStepsAndLayers(String name) throws Exception {
    String options =
        "{\"steps\": [0, 1], \"layers\": [1], \"heads\": [1], \"query_blocks\": 2, \"block\": 16,"
            + " \"branches\": [0]}";
    Run run = drive("standins", name, folder, options);
    assertEquals(0, run.code(), run.err());
    assertEquals("steps run 2\n", run.out()); // no later step is wanted
    try (CapturedSource source = CapturedSource.open(folder);
        Safetensors wanted = Safetensors.open(CASES.resolve(name).resolve("case.safetensors"))) {
      assertEquals(2, source.points());
      assertEquals(1, source.model().heads());
      assertEquals(16, source.queryBlocks().block());
      boolean tokensFirst = !name.startsWith("cog");
      visit(
          source,
          point -> {
            assertEquals(1, point.key().layer());
            for (String part : List.of("k", "v")) {
              Tensor all = wanted.tensor("attn.1." + part);
              Tensor heads = tokensFirst ? all.transpose(1, 2) : all;
              long row = heads.size(0) - 1; // the conditional branch
              assertArrayEquals(
                  heads.slice(0, row, row + 1).slice(1, 1, 2).toFloats(),
                  (part.equals("k") ? point.k() : point.v()).toFloats());
            }
            Tensor q = wanted.tensor("attn.1.q");
            Tensor heads = tokensFirst ? q.transpose(1, 2) : q;
            float[] all =
                heads.slice(0, heads.size(0) - 1, heads.size(0)).slice(1, 1, 2).toFloats();
            float[] some = point.q().toFloats();
            int captured = 0;
            for (int i = 0; i < some.length; i++) {
              if (some[i] != 0) {
                assertEquals(all[i], some[i]);
                captured++;
              }
            }
            assertTrue(captured > 0.3 * some.length, captured + " of " + some.length);
            assertEquals(source.model().headDim(), point.outProjection().size(1));
          });
    }
    DispatchTable table = searched(folder, 16, 0.8); // one layer of two or three is searched
    assertEquals(2, table.model().heads());
    for (double timestep : new double[] {900, 400, 100}) {
      assertEquals(Pattern.full(), table.patterns(timestep, 1).get(0)); // was not captured
    }
    Run other = Run.svdit(search(folder, 32, 0.8));
    assertEquals(1, other.code());
    assertTrue(other.err().contains("search with blocks of 16, not of 32"), other.err());
  }

  @Test
  void anInterruptedCaptureGoesOnAndAnotherIsRefused() throws Exception {
    assertEquals(0, drive("standins", "wan2.1-t2v-tiny", folder, "{}").code());
    Path gone = folder.resolve("sample-000/step-001/layer-001-branch-1.safetensors");
    Path kept = folder.resolve("sample-000/step-001/layer-001-branch-0.safetensors");
    Files.delete(gone);
    Files.setLastModifiedTime(kept, FileTime.fromMillis(0));
    assertEquals(0, drive("standins", "wan2.1-t2v-tiny", folder, "{}").code());
    assertEquals(0, Files.getLastModifiedTime(kept).toMillis()); // not written again
    compare("wan2.1-t2v-tiny", folder, 0);
    Run other = drive("standins", "wan2.1-t2v-tiny", folder, "{\"heads\": [0]}");
    assertTrue(other.err().contains("its heads is None, this one's is [0]"), other.err());
    try (Stream<Path> files = Files.walk(folder)) {
      assertTrue(files.noneMatch(file -> file.toString().endsWith(".tmp")));
    }
  }

  @Test
  void saysHowMuchItWillBeAndRefusesTooMuch() throws Exception {
    Path config = folder.resolve("config.json");
    Files.writeString(config, ModelProfile.named("hunyuanvideo").config());
    String[] usual = {config.toString(), "--estimate", "--size", "720x1280", "--frames", "129"};
    Run whole = script(usual);
    assertEquals("capture: 3000 points of 119056 tokens, 6.6 TB of bf16\n", whole.out());
    Run refused =
        drive("standins", "wan2.1-t2v-tiny", folder.resolve("out"), "{\"limit_gb\": 0.001}");
    assertEquals(1, refused.code());
    assertTrue(refused.err().contains("that is 2.7 MB, and the limit is 1.0 MB"), refused.err());
    assertTrue(refused.err().contains("--yes"), refused.err());
    assertTrue(Files.notExists(folder.resolve("out")));
    Run layer = drive("standins", "wan2.1-t2v-tiny", folder.resolve("out"), "{\"layers\": [2]}");
    assertTrue(layer.err().contains("layer 2; expected 0 to 1"), layer.err());
    Run forced =
        drive(
            "standins",
            "wan2.1-t2v-tiny",
            folder.resolve("out"),
            "{\"limit_gb\": 0.001, \"yes\": true}");
    assertEquals(0, forced.code(), forced.err());
  }

  /** Q, K and V of the second step, which is the case's, and the output projections. */
  private static void compare(String name, Path capture, double bound) throws IOException {
    boolean batched = name.startsWith("cog");
    int branches = name.startsWith("hunyuan") ? 1 : 2;
    Path checkpoint = CASES.resolve(name);
    try (CapturedSource source = CapturedSource.open(capture);
        Safetensors wanted = Safetensors.open(checkpoint.resolve("case.safetensors"))) {
      assertEquals(3L * branches * source.model().layers(), source.points());
      Map<String, Tensor> seen = new java.util.HashMap<>();
      visit(
          source,
          point -> {
            assertNotNull(point.outProjection());
            if (name.startsWith("hunyuan")) {
              float[] mask = wanted.tensor("in.encoder_attention_mask").toFloats();
              float valid = 0;
              for (float one : mask) {
                valid += one;
              }
              assertArrayEquals(new int[] {(int) valid}, point.textValid());
            }
            if (point.key().step() != 1) {
              return;
            }
            Tensor[] tensors = {point.q(), point.k(), point.v()};
            for (int i = 0; i < 3; i++) {
              Tensor all = wanted.tensor("attn." + point.key().layer() + "." + "qkv".charAt(i));
              Tensor heads = batched ? all : all.transpose(1, 2);
              long row = batched ? 1 - point.key().branch() : 0; // the unconditional row is first
              assertClose(heads.slice(0, row, row + 1).toFloats(), tensors[i].toFloats(), bound);
            }
            seen.put(point.key().toString(), point.q());
          });
      assertEquals(branches * source.model().layers(), seen.size());
    }
  }

  private static void assertClose(float[] expected, float[] actual, double bound) {
    double size = 0;
    for (float value : expected) {
      size = Math.max(size, Math.abs(value));
    }
    assertArrayEquals(expected, actual, (float) (bound * size));
  }

  private DispatchTable searched(Path capture, int block, double density) {
    Run run = Run.svdit(search(capture, block, density));
    assertEquals(0, run.code(), run.err());
    return DispatchTable.read(folder.resolve("table.json"));
  }

  private String[] search(Path capture, int block, double density) {
    return new String[] {
      "search",
      capture.toString(),
      "--block",
      Integer.toString(block),
      "--phases",
      "0",
      "--target-density",
      Double.toString(density),
      "--cost",
      "sparsity",
      "--backend",
      "cpu",
      "--out",
      folder.resolve("table.json").toString()
    };
  }

  private static void visit(CapturedSource source, java.util.function.Consumer<Point> consumer) {
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

  private static Run drive(String how, String name, Path out, String options) throws Exception {
    return python(
        DRIVER.toString(),
        SCRIPTS.toString(),
        how,
        CASES.resolve(name).toString(),
        out.toString(),
        options);
  }

  private static Run script(String... arguments) throws Exception {
    List<String> all = new ArrayList<>(List.of(SCRIPTS.resolve("capture_diffusers.py").toString()));
    all.addAll(List.of(arguments));
    return python(all.toArray(String[]::new));
  }

  private static Run python(String... arguments) throws Exception {
    List<String> command = new ArrayList<>(List.of(PYTHON, "-B"));
    command.addAll(List.of(arguments));
    Path out = Files.createTempFile("capture", ".out");
    Path err = Files.createTempFile("capture", ".err");
    try {
      Process process =
          new ProcessBuilder(command)
              .redirectOutput(out.toFile())
              .redirectError(err.toFile())
              .start();
      assertTrue(process.waitFor(120, TimeUnit.SECONDS), () -> "still running: " + command);
      return new Run(
          process.exitValue(),
          Files.readString(out, StandardCharsets.UTF_8),
          Files.readString(err, StandardCharsets.UTF_8));
    } catch (IOException absent) {
      return new Run(127, "", absent.toString());
    } finally {
      Files.delete(out);
      Files.delete(err);
    }
  }
}

package io.github.sparsevdit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.pattern.ModelShape;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.table.DispatchTable;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The files in docs/examples, run as their page says. */
class ExamplesTest {
  private static final Path EXAMPLES = Path.of("docs/examples");
  @TempDir Path folder;

  @Test
  void aVideoInTenLines() throws Exception {
    Path table = folder.resolve("table.json");
    writeTable(table);
    Path out = folder.resolve("deep/horse.mp4");
    String dense = run("calibration/tiny-wan", "horse", out.toString());
    assertTrue(dense.contains("density 1.00") && dense.contains("wrote " + out), dense);
    String sparse = run("calibration/tiny-wan", "horse", out.toString(), table.toString());
    assertTrue(sparse.contains("density 0."), sparse);
    byte[] start = Files.readAllBytes(out);
    assertEquals("ftyp", new String(start, 4, 4, StandardCharsets.US_ASCII));
  }

  /** The page lists every example, and the main method has no more than ten lines. */
  @Test
  void thePageListsThem() throws Exception {
    String page = Files.readString(EXAMPLES.resolve("README.md"));
    try (Stream<Path> files = Files.list(EXAMPLES)) {
      for (Path file : files.filter(path -> path.toString().endsWith(".java")).toList()) {
        assertTrue(page.contains("(" + file.getFileName() + ")"), file.toString());
        String source = Files.readString(file);
        String body = source.substring(source.indexOf("void main"));
        assertTrue(body.lines().count() <= 11, file + " has " + body.lines().count()); // and "}"
      }
    }
  }

  private static void writeTable(Path path) {
    DispatchTable.HeadEntry band = new DispatchTable.HeadEntry(Pattern.multiDiagonal(64));
    List<DispatchTable.HeadEntry> layer = Collections.nCopies(4, band);
    new DispatchTable(
            new ModelShape("tiny-wan", 6, 4, 64),
            Sequence.video(8, 12, 16),
            64,
            null,
            List.of(new DispatchTable.Phase(1000, 0, Collections.nCopies(6, layer))))
        .write(path);
  }

  private static String run(String... arguments) throws Exception {
    List<String> command =
        new ArrayList<>(
            List.of(
                System.getProperty("java.home") + "/bin/java",
                "--enable-native-access=ALL-UNNAMED",
                "-Dsvdit.library=" + Backend.library().path(),
                "-cp",
                System.getProperty("java.class.path"),
                EXAMPLES.resolve("Generate.java").toString()));
    command.addAll(List.of(arguments));
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertEquals(0, process.waitFor(), output);
    return output;
  }
}

package io.github.sparsevdit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.pattern.ModelShape;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.table.DispatchTable;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Safetensors;
import io.github.sparsevdit.tensor.Tensor;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A process killed while it writes leaves files that are whole: the old ones or the new ones. */
class KilledWriterTest {
  private static final int ELEMENTS = 1 << 18; // a megabyte, so that most kills hit a write
  private static final int KILLS = 4;
  private static final int MOST_KILLS = 60; // until one has hit a write, which most do

  @Test
  void filesStayWholeWhenTheirWriterIsKilled(@TempDir Path folder) throws Exception {
    Path table = folder.resolve("table.json");
    Path tensors = folder.resolve("tensors.safetensors");
    boolean halfWritten = false;
    for (int kill = 0; kill < KILLS || (!halfWritten && kill < MOST_KILLS); kill++) {
      Process writer =
          new ProcessBuilder(
                  System.getProperty("java.home") + "/bin/java",
                  "--enable-native-access=ALL-UNNAMED",
                  "-cp",
                  System.getProperty("java.class.path"),
                  KilledWriterTest.class.getName(),
                  folder.toString())
              .redirectErrorStream(true)
              .start();
      assertEquals('w', writer.getInputStream().read()); // both files have been written once
      Thread.sleep(50 + 37 * kill % 200);
      writer.destroyForcibly().waitFor();
      try (Safetensors file = Safetensors.open(tensors)) {
        float[] values = file.tensor("a").toFloats();
        float round = values[0];
        assertTrue(round >= 0);
        float[] expected = new float[ELEMENTS];
        Arrays.fill(expected, round);
        assertTrue(Arrays.equals(expected, values), "two rounds in one file");
        assertEquals(Map.of("round", Integer.toString((int) round)), file.metadata());
      }
      assertTrue(DispatchTable.read(table).model().name().matches("x{1000,}"));
      try (var left = Files.list(folder)) {
        List<Path> files = left.toList();
        halfWritten |= files.size() > 2;
        for (Path file : files) {
          if (!file.equals(table) && !file.equals(tensors)) {
            assertTrue(file.toString().endsWith(".tmp"), file.toString());
            Files.delete(file);
          }
        }
      }
    }
    assertTrue(halfWritten, "no kill hit a write: the test has shown nothing");
  }

  /** Writes a table and tensors into a folder, round after round, until it is killed. */
  public static void main(String[] arguments) {
    Path folder = Path.of(arguments[0]);
    try (Arena arena = Arena.ofConfined()) {
      Tensor a = Tensor.of(arena.allocate(4L * ELEMENTS, 4), ElementType.FP32, ELEMENTS);
      float[] values = new float[ELEMENTS];
      for (int round = 0; ; round++) {
        Arrays.fill(values, round);
        Safetensors.write(
            folder.resolve("tensors.safetensors"),
            Map.of("a", a.copyFrom(values)),
            Map.of("round", Integer.toString(round)));
        DispatchTable table =
            new DispatchTable(
                new ModelShape("x".repeat(1000 + round), 1, 1, 8),
                Sequence.video(1, 1, 16),
                16,
                null,
                List.of(DispatchTable.Phase.full(1000, 0)));
        table.write(folder.resolve("table.json"));
        if (round == 0) {
          System.out.print("w");
          System.out.flush();
        }
      }
    }
  }
}

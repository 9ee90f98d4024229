package io.github.sparsevdit.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class CommandLineTest {
  @TempDir Path folder;

  @ParameterizedTest
  @ValueSource(strings = {"doctor", "check", "search", "show", "generate", "bench", "plan", "demo"})
  void everyCommandTeachesByExamples(String command) {
    Run run = Run.svdit(command, "--help");
    assertEquals(0, run.code());
    assertTrue(run.out().contains("Usage: svdit " + command), run.out());
    assertTrue(run.out().contains("Examples:\n  svdit " + command), run.out());
    assertEquals("", run.err());
    run.out().lines().forEach(line -> assertTrue(line.length() <= 100, () -> "too wide: " + line));
  }

  @Test
  void theCommandsAreListed() {
    Run run = Run.svdit("--help");
    assertEquals(0, run.code());
    for (String command : new String[] {"doctor", "check", "search", "show", "generate", "bench"}) {
      assertTrue(run.out().contains("  " + command + " "), run.out());
    }
    assertTrue(Run.svdit("--version").out().startsWith("svdit "));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "|a command is missing",
        "serach|Did you mean: svdit search",
        "check --backend gpu|gpu",
        "check --tier sse|sse",
        "bench --sequence 12x|'12x' is no sequence",
        "bench --densities 0.2,1.5|density 1.5",
        "bench --backend cuda --threads 2|--threads and --tier are for the CPU",
        "show|Missing required parameter: 'TABLE'",
        "search|Missing required option: '--out=FILE'",
        "search --out t.json|a SOURCE, or --from FILE",
        "search x --rule fancy --out t.json|unknown rule \"fancy\"",
        "search x --target-density 2 --out t.json|target density 2.0",
        "generate x --compare --prompt a|--compare",
        "demo --densities 0|density 0.0",
      })
  void wrongUseIsToldInALineWithCode2(String line, String expected) {
    Run run = Run.svdit(line == null ? new String[0] : line.split(" "));
    assertEquals(2, run.code(), run.err());
    assertTrue(run.err().contains(expected), run.err());
    assertTrue(run.err().contains("--help"), run.err());
    assertEquals("", run.out());
  }

  @Test
  void whatGoesWrongIsOneLineWithCode1() {
    Path nowhere = folder.resolve("nowhere.json");
    Run run = Run.svdit("show", nowhere.toString());
    assertEquals(1, run.code());
    assertEquals("svdit show: there is no file " + nowhere + "\n", run.err());
    assertEquals("", run.out());
  }

  @Test
  void theTraceIsShownOnlyWhenAskedFor() {
    String nowhere = folder.resolve("nowhere.json").toString();
    assertTrue(Run.svdit("show", nowhere, "--verbose").err().contains("\tat "));
    assertFalse(Run.svdit("show", nowhere).err().contains("\tat "));
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "{\"format\": \"sparse-vd", "[]", "{\"format\": \"other\"}"})
  void aTableThatIsNoneIsRefused(String content) throws IOException {
    Path table = Files.writeString(folder.resolve("table.json"), content);
    Run run = Run.svdit("show", table.toString());
    assertEquals(1, run.code());
    assertTrue(run.err().startsWith("svdit show: "), run.err());
    assertEquals(1, run.err().lines().count(), run.err());
  }
}

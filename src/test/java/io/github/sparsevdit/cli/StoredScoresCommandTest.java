package io.github.sparsevdit.cli;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code svdit search --from}. */
class StoredScoresCommandTest {
  @TempDir static Path folder;
  private static Path state;
  private static Path table;

  @BeforeAll
  static void search() {
    state = folder.resolve("search.state");
    table = folder.resolve("table.json");
    searched(table, "--resume", state.toString(), "--target-density", "0.7");
  }

  /** All query blocks are scored, so a search for another target measures the same. */
  private static void searched(Path out, String... more) {
    Run run =
        Run.svdit(
            with(
                more,
                "search",
                "calibration/tiny-wan",
                "--prompts",
                "bunny",
                "--steps",
                "2",
                "--latents",
                "2x8x16",
                "--block",
                "16",
                "--share",
                "1",
                "--backend",
                "cpu",
                "--out",
                out.toString()));
    assertEquals(0, run.code(), run.err());
  }

  private static String[] with(String[] more, String... first) {
    List<String> all = new ArrayList<>(Arrays.asList(first));
    all.addAll(Arrays.asList(more));
    return all.toArray(String[]::new);
  }

  private static Run from(Path out, String... more) {
    return Run.svdit(with(more, "search", "--from", state.toString(), "--out", out.toString()));
  }

  @Test
  void theTableIsTheOneASearchWrites() throws IOException {
    for (String[] rule :
        new String[][] {
          {},
          {"--target-density", "0.5"},
          {"--target-speedup", "1.7", "--max-error", "0.4"},
          {"--lambda", "0.05"},
        }) {
      Path stored = folder.resolve("stored.json");
      Path fresh = folder.resolve("fresh.json");
      Run run = from(stored, rule);
      assertEquals(0, run.code(), run.err());
      assertTrue(run.out().contains("wrote " + stored), run.out());
      if (rule.length == 0) {
        Files.copy(table, fresh);
      } else {
        searched(fresh, rule);
      }
      assertArrayEquals(
          Files.readAllBytes(fresh), Files.readAllBytes(stored), Arrays.toString(rule));
      Files.delete(fresh);
    }
  }

  @Test
  void whatTheScoresDoNotAllowIsRefusedWithWhatTheyHold() {
    String holds = "holds the scores of ";
    for (String[] option :
        new String[][] {
          {"--prompts", "horse"},
          {"--backend", "cpu"},
          {"--steps", "3"},
          {"--resume", folder.resolve("other.state").toString()},
          {"--any-memory"},
          {"--cost", "measured"},
          {"--rule", "paper"},
          {"--block", "32"},
          {"--phases", "0"},
          {"--share", "0.5"},
          {"--dense-steps", "3"},
        }) {
      Path out = folder.resolve("refused.json");
      Run run = from(out, option);
      assertEquals(2, run.code(), Arrays.toString(option));
      assertTrue(
          run.err().contains(option[0].substring(2).replace('-', ' '))
              || run.err().contains(option[0]),
          run.err());
      assertTrue(run.err().contains(state + " " + holds), run.err());
      assertTrue(run.err().contains("block 16") && run.err().contains("1 samples"), run.err());
      assertFalse(Files.exists(out));
    }
    Run both =
        Run.svdit("search", "calibration/tiny-wan", "--from", state.toString(), "--out", "x");
    assertEquals(2, both.code());
    assertTrue(both.err().contains("exclude each other"), both.err());
    Run neither = Run.svdit("search", "--out", "x");
    assertEquals(2, neither.code());
    assertTrue(neither.err().contains("--from FILE"), neither.err());
  }

  @Test
  void aFileThatIsNoScoresIsRefusedByName() throws IOException {
    Path cut = folder.resolve("cut.state");
    byte[] bytes = Files.readAllBytes(state);
    Files.write(cut, Arrays.copyOf(bytes, bytes.length - 1));
    for (Path file : List.of(table, cut, folder.resolve("none.state"))) {
      Run run =
          Run.svdit("search", "--from", file.toString(), "--out", folder.resolve("x").toString());
      assertEquals(1, run.code());
      assertTrue(run.err().contains(file.toString()), run.err());
    }
  }
}

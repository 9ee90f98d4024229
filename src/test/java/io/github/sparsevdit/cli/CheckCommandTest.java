package io.github.sparsevdit.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CheckCommandTest {
  @TempDir Path folder;

  private static Path packaged(String file) throws Exception {
    return Path.of(CheckCommandTest.class.getClassLoader().getResource("cases/" + file).toURI());
  }

  @Test
  void thePackagedCasesAgree() {
    Run run = Run.svdit("check", "--backend", "cpu");
    assertEquals(0, run.code(), run.out() + run.err());
    assertTrue(run.out().contains("ok       attention/wan-like-d128 bf16"), run.out());
    assertTrue(run.out().contains("ok       attention/ragged-batch-d64 fp32"), run.out());
    assertTrue(run.out().contains("ok       attention/wan-like-d128 e4m3"), run.out());
    assertTrue(run.out().contains("ok       denoisers/wan2.1-t2v-tiny "), run.out());
    assertTrue(run.out().contains("ok       runs/wan2.1 "), run.out());
    assertTrue(run.out().contains("ok       schedulers/unipc-flow-shift5 "), run.out());
    assertTrue(run.out().contains(" 0 failed"), run.out());
  }

  @Test
  void aSingleFileAndEveryTierWillDo() throws Exception {
    String file = packaged("attention/small-blocks-d64.safetensors").toString();
    JsonNode found =
        new ObjectMapper().readTree(Run.svdit("check", "--cases", file, "--json").out());
    assertEquals(4, found.path("passed").asInt());
    assertTrue(found.at("/cases/0/error").asDouble() <= found.at("/cases/0/bound").asDouble());
    Run portable = Run.svdit("check", "--cases", file, "--tier", "portable");
    assertEquals(0, portable.code(), portable.out());
    assertTrue(portable.out().contains("portable"), portable.out());
  }

  /** What E4M3 costs, told beside BF16: its 3 bits of mantissa in q, k and v against 7. */
  @Test
  void tellsWhatEightBitsCost() throws Exception {
    String file = packaged("attention/wan-like-d128.safetensors").toString();
    Run run = Run.svdit("check", "--cases", file, "--backend", "cpu", "--json");
    JsonNode accuracy = new ObjectMapper().readTree(run.out()).path("accuracy");
    assertEquals(1, accuracy.size());
    assertEquals("wan-like-d128", accuracy.at("/0/name").asText());
    double plain = accuracy.at("/0/bf16/rms").asDouble();
    double eight = accuracy.at("/0/e4m3/rms").asDouble();
    assertTrue(plain > 1e-4 && plain < 0x1p-7, run.out());
    assertTrue(eight > 4 * plain && eight < 0x1p-3, run.out());
    assertTrue(accuracy.at("/0/e4m3/max").asDouble() > accuracy.at("/0/bf16/max").asDouble());
    Run table = Run.svdit("check", "--cases", file, "--backend", "cpu");
    assertTrue(
        table.out().matches("(?s).*\nwan-like-d128( +\\d\\.\\d\\de-\\d\\d){4}\n.*"), table.out());
  }

  /** A reference that is wrong by a little more than rounding explains must be noticed. */
  @Test
  void aWrongOutputFails() throws Exception {
    byte[] bytes = Files.readAllBytes(packaged("attention/small-blocks-d64.safetensors"));
    // The last tensor of the file holds keys, queries or values: spoil some, and the outputs no
    // longer fit.
    Arrays.fill(bytes, bytes.length - 4096, bytes.length, (byte) 0x3f);
    Path attention = Files.createDirectory(folder.resolve("attention"));
    Path spoiled = Files.write(attention.resolve("spoiled.safetensors"), bytes);
    Run run = Run.svdit("check", "--cases", spoiled.toString());
    assertEquals(1, run.code(), run.out());
    assertTrue(run.out().contains("FAILED   attention/spoiled bf16"), run.out());
  }

  @Test
  void aTruncatedFileFailsAndTheOthersGoOn() throws Exception {
    Path whole = packaged("attention/small-blocks-d64.safetensors");
    byte[] bytes = Files.readAllBytes(whole);
    Files.copy(whole, folder.resolve("b.safetensors"));
    Files.write(folder.resolve("a.safetensors"), Arrays.copyOf(bytes, bytes.length / 2));
    Run run = Run.svdit("check", "--cases", folder.toString());
    assertEquals(1, run.code(), run.out());
    assertTrue(run.out().contains("/a  "), run.out());
    assertTrue(run.out().contains("4 passed, 1 failed, 0 skipped"), run.out());
  }

  @Test
  void aFolderWithoutCasesIsNamed() throws IOException {
    Run missing = Run.svdit("check", "--cases", folder.resolve("x").toString());
    assertEquals(1, missing.code());
    assertEquals(
        "svdit check: no such file or folder: " + folder.resolve("x") + "\n", missing.err());
    Run empty = Run.svdit("check", "--cases", folder.toString());
    assertEquals(1, empty.code());
    assertTrue(empty.err().contains("there is no case (*.safetensors) in " + folder), empty.err());
  }
}

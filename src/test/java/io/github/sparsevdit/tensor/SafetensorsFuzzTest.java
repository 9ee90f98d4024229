package io.github.sparsevdit.tensor;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.code_intelligence.jazzer.junit.FuzzTest;
import io.github.sparsevdit.UnsupportedException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;

/**
 * Whatever bytes a file holds, it is opened, read and written back equal, or refused with a
 * message. Replays the kept inputs; fuzzes where JAZZER_FUZZ=1 ({@code make fuzz}).
 */
class SafetensorsFuzzTest {
  private static Path folder;
  private static Path read;
  private static Path written;

  @BeforeAll
  static void makeFolder() throws IOException {
    folder = Files.createTempDirectory("safetensors-fuzz");
    read = folder.resolve("read.safetensors");
    written = folder.resolve("written.safetensors");
  }

  @AfterAll
  static void removeFolder() throws IOException {
    Files.deleteIfExists(read);
    Files.deleteIfExists(written);
    Files.delete(folder);
  }

  @FuzzTest(maxDuration = "60s")
  void files(byte[] input) throws IOException {
    Files.write(read, input);
    try (Safetensors file = open()) {
      if (file != null) {
        readAndWrite(file);
      }
    }
  }

  private static Safetensors open() {
    try {
      return Safetensors.open(read);
    } catch (IllegalArgumentException refused) {
      assertNotNull(refused.getMessage());
      return null;
    }
  }

  private static void readAndWrite(Safetensors file) {
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    for (String name : file.names()) {
      try {
        tensors.put(name, file.tensor(name));
      } catch (UnsupportedException noTensorType) {
        assertNotNull(file.dtype(name));
        assertTrue(file.bytes(name).byteSize() >= 0);
      }
    }
    Safetensors.write(written, tensors, file.metadata());
    try (Safetensors again = Safetensors.open(written)) {
      assertEquals(tensors.keySet(), again.names());
      assertEquals(file.metadata(), again.metadata());
      tensors.forEach((name, tensor) -> assertSame(tensor, again.tensor(name)));
    }
  }

  private static void assertSame(Tensor expected, Tensor actual) {
    assertEquals(expected.type(), actual.type());
    assertArrayEquals(expected.shape(), actual.shape());
    assertEquals(-1, expected.segment().mismatch(actual.segment()));
    assertArrayEquals(expected.toFloats(), actual.toFloats());
  }

  /** The header alone, without a file around it: the first byte is how long the data is. */
  @FuzzTest(maxDuration = "60s")
  void headers(byte[] input) {
    if (input.length == 0) {
      return;
    }
    int dataBytes = input[0] & 0xff;
    SafetensorsHeader header;
    try {
      ByteBuffer text = ByteBuffer.wrap(input, 1, input.length - 1);
      header = SafetensorsHeader.parse("input", text, dataBytes);
    } catch (IllegalArgumentException refused) {
      assertNotNull(refused.getMessage());
      return;
    }
    long bytes = 0;
    for (SafetensorsHeader.Entry entry : header.entries().values()) {
      assertTrue(entry.begin() >= 0 && entry.begin() <= entry.end() && entry.end() <= dataBytes);
      bytes += entry.end() - entry.begin();
    }
    assertEquals(dataBytes, bytes, "the tensors do not tile the data");
  }
}

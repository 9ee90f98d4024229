package io.github.sparsevdit.tensor;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.UnsupportedException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SafetensorsTest {
  @TempDir Path folder;

  /** A file of that header and that many data bytes, counting up. */
  private Path file(String name, byte[] header, long headerLength, int dataBytes) throws Exception {
    ByteBuffer bytes =
        ByteBuffer.allocate(8 + header.length + dataBytes).order(ByteOrder.LITTLE_ENDIAN);
    bytes.putLong(headerLength).put(header);
    for (int i = 0; i < dataBytes; i++) {
      bytes.put((byte) i);
    }
    return Files.write(folder.resolve(name), bytes.array());
  }

  private Path file(String header, int dataBytes) throws Exception {
    byte[] bytes = header.getBytes(StandardCharsets.UTF_8);
    return file("f.safetensors", bytes, bytes.length, dataBytes);
  }

  private static String refused(Path path) {
    return assertThrows(IllegalArgumentException.class, () -> Safetensors.open(path)).getMessage();
  }

  @Test
  void readsNamesShapesAndBytesWithoutACopy() throws Exception {
    Path path =
        file(
            """
            {"__metadata__": {"who": "me"},
             "b": {"dtype": "BF16", "shape": [2, 2], "data_offsets": [4, 12]},
             "a": {"dtype": "F32", "shape": [], "data_offsets": [0, 4]},
             "none": {"dtype": "F16", "shape": [0, 3], "data_offsets": [12, 12]}}\s\s\s\
            """,
            12);
    try (Safetensors file = Safetensors.open(path)) {
      assertEquals(List.of("b", "a", "none"), List.copyOf(file.names()));
      assertEquals(Map.of("who", "me"), file.metadata());
      Tensor b = file.tensor("b");
      assertEquals("BF16 [2, 2]", b.toString());
      assertArrayEquals(
          new byte[] {4, 5, 6, 7, 8, 9, 10, 11}, b.segment().toArray(ValueLayout.JAVA_BYTE));
      assertTrue(b.segment().isReadOnly() && b.segment().isMapped());
      assertEquals(Float.intBitsToFloat(0x03020100), file.tensor("a").toFloats()[0]);
      assertEquals(0, file.tensor("none").elements());
      assertThrows(IllegalArgumentException.class, () -> file.tensor("c"));
      assertThrows(IllegalStateException.class, () -> b.copyFrom(new float[4]));
    }
  }

  @Test
  void closesOnceAndItsTensorsWithIt() throws Exception {
    Safetensors file =
        Safetensors.open(
            file("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4));
    Tensor a = file.tensor("a");
    file.close();
    file.close();
    assertThrows(IllegalStateException.class, a::toFloats);
    assertThrows(IllegalStateException.class, () -> file.tensor("a"));
  }

  /** Headers of a file with 8 data bytes, and what the message must say. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,9]}} | a.data_offsets[1] is 9;"
            + " expected an integer from 0 to 8",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[-1,8]}} | a.data_offsets[0] is"
            + " -1",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}} | a.data_offsets[1] is 0;"
            + " expected an integer from 8",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,18446744073709551616]}} |"
            + " a.data_offsets[1] is 18446744073709551616",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0]}} | a.data_offsets is [0];"
            + " expected two offsets",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8.0]}} | a.data_offsets[1] is"
            + " 8.0",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]}} | a.data_offsets is"
            + " [0,8]; expected 12 bytes",
        "{\"a\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[0,8]}} | expected 4 bytes",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}} | a.shape[0] is -2",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,4],\"data_offsets\":[0,8]}} |"
            + " a.shape is",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":2,\"data_offsets\":[0,8]}} | a.shape is 2; expected an"
            + " array",
        "{\"a\":{\"dtype\":\"F33\",\"shape\":[2],\"data_offsets\":[0,8]}} | a.dtype is \"F33\";"
            + " expected one of",
        "{\"a\":{\"dtype\":1,\"shape\":[2],\"data_offsets\":[0,8]}} | a.dtype is 1; expected a"
            + " string",
        "{\"a\":{\"shape\":[2],\"data_offsets\":[0,8]}} | a.dtype is missing",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8],\"x\":1}} | a has the"
            + " unknown field \"x\"",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}} | bytes 4 to 8 of the"
            + " data belong to no tensor",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}} | bytes 0 to 4 of the"
            + " data belong to no tensor",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}"
            + " | b begins at byte 4, before a ends at 8: they overlap",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}"
            + " | Duplicate field 'a'",
        "{\"__metadata__\":{\"n\":1},\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}"
            + " | __metadata__.n is 1; expected a string",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}} x | not valid JSON",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[[[[2]]]],\"data_offsets\":[0,8]}} | not valid JSON",
        "[1] | is [1]; expected an object",
        "{} | bytes 0 to 8 of the data belong to no tensor",
        "{\"a\": | not valid JSON",
      })
  void lyingHeadersAreRefused(String header, String message) throws Exception {
    String refused = refused(file(header, 8));
    assertTrue(refused.contains(message), refused);
  }

  @Test
  void headersThatAreNotThereAreRefused() throws Exception {
    byte[] header = "{}".getBytes(StandardCharsets.UTF_8);
    assertTrue(
        refused(file("a.safetensors", header, 3, 0))
            .contains("the header has 3 bytes, expected 2 to 2"));
    assertTrue(
        refused(file("b.safetensors", header, Long.MAX_VALUE, 0))
            .contains("9223372036854775807 bytes"));
    assertTrue(
        refused(file("c.safetensors", header, -1, 0)).contains("18446744073709551615 bytes"));
    assertTrue(refused(file("d.safetensors", header, 0, 0)).contains("0 bytes, expected 2"));
    byte[] latin = {'{', '"', (byte) 0xe9, '"', ':', '1', '}'};
    assertTrue(refused(file("e.safetensors", latin, latin.length, 0)).contains("not UTF-8"));
    for (int length = 0; length < 8; length++) {
      Path path = Files.write(folder.resolve("short.safetensors"), new byte[length]);
      assertTrue(refused(path).contains("has " + length + " bytes, expected a safetensors file"));
    }
    assertThrows(
        UncheckedIOException.class, () -> Safetensors.open(folder.resolve("none.safetensors")));
  }

  @Test
  void aHeaderBeyondTheFormatsLimitIsRefused() throws Exception {
    Path path = folder.resolve("huge.safetensors");
    try (FileChannel channel =
        FileChannel.open(path, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
      channel.write(
          ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(100_000_001L).flip());
      channel.write(ByteBuffer.wrap(new byte[] {1}), 200_000_000L); // a sparse file
    }
    assertTrue(refused(path).contains("100000001 bytes, expected at most 100000000"));
  }

  @Test
  void aFileCutAnywhereIsRefused() throws Exception {
    byte[] whole = Files.readAllBytes(twoTensors("whole.safetensors"));
    for (int length = 0; length < whole.length; length++) {
      byte[] cut = Arrays.copyOf(whole, length);
      refused(Files.write(folder.resolve("cut.safetensors"), cut));
    }
  }

  @Test
  void unsupportedTypesFailOnAccessOnly() throws Exception {
    Path path =
        file(
            "{\"a\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[0,8]},"
                + "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[8,12]}}",
            12);
    try (Safetensors file = Safetensors.open(path)) {
      UnsupportedException thrown =
          assertThrows(UnsupportedException.class, () -> file.tensor("a"));
      assertTrue(
          thrown.getMessage().contains("a has the dtype I64, expected BF16, F16 or F32"),
          thrown.getMessage());
      assertEquals(1, file.tensor("b").elements());
      assertEquals("I64", file.dtype("a"));
      assertEquals(0x0706050403020100L, file.bytes("a").get(ValueLayout.JAVA_LONG_UNALIGNED, 0));
    }
  }

  @Test
  void writesWhatItReads() {
    long seed = System.nanoTime();
    Random random = new Random(seed);
    Path path = folder.resolve("written.safetensors");
    try (Arena arena = Arena.ofConfined()) {
      Map<String, Tensor> tensors = new LinkedHashMap<>();
      for (ElementType type : List.of(ElementType.BF16, ElementType.FP16, ElementType.FP32)) {
        long[] shape = {1 + random.nextInt(3), 1 + random.nextInt(5), 1 + random.nextInt(7)};
        MemorySegment memory = arena.allocate(shape[0] * shape[1] * shape[2] * type.bytes(), 8);
        for (long i = 0; i < memory.byteSize(); i++) {
          memory.set(ValueLayout.JAVA_BYTE, i, (byte) random.nextInt());
        }
        Tensor tensor = Tensor.of(memory, type, shape);
        tensors.put(type + " \"ö\"", tensor);
        tensors.put(type + " turned", tensor.transpose(0, 2));
      }
      Map<String, String> metadata = Map.of("k\n", "{\"json\": [1]}", "empty", "");
      Safetensors.write(path, tensors, metadata);
      try (Safetensors read = Safetensors.open(path)) {
        assertEquals(tensors.keySet(), read.names().stream().collect(Collectors.toSet()));
        assertEquals(metadata, read.metadata());
        tensors.forEach(
            (name, tensor) -> {
              Tensor back = read.tensor(name);
              assertArrayEquals(tensor.shape(), back.shape(), "seed " + seed);
              assertArrayEquals(tensor.toFloats(), back.toFloats(), "seed " + seed);
              assertEquals(0, back.address() % back.type().bytes(), "elements must be aligned");
            });
      }
      Safetensors.write(path, Map.of(), Map.of());
      try (Safetensors empty = Safetensors.open(path)) {
        assertEquals(Set.of(), empty.names());
      }
    }
  }

  /**
   * A thread that is interrupted in a write leaves the old file or the new one, and nothing else.
   */
  @Test
  void aWriteOfAnInterruptedThread() throws Exception {
    Path path = folder.resolve("big.safetensors");
    int elements = 1 << 21;
    try (Arena arena = Arena.ofShared()) {
      Tensor tensor = Tensor.of(arena.allocate(4L * elements, 4), ElementType.FP32, elements);
      float[] values = new float[elements];
      Safetensors.write(path, Map.of("a", tensor.copyFrom(values)), Map.of());
      int failures = 0;
      for (int round = 1; round <= 200 && (round <= 20 || failures == 0); round++) {
        Arrays.fill(values, round);
        tensor.copyFrom(values);
        AtomicReference<Throwable> thrown = new AtomicReference<>();
        Thread writer =
            new Thread(
                () -> {
                  try {
                    Safetensors.write(path, Map.of("a", tensor), Map.of());
                  } catch (Throwable failure) {
                    thrown.set(failure);
                    assertTrue(Thread.currentThread().isInterrupted());
                  }
                });
        writer.start();
        LockSupport.parkNanos(round % 10 * 300_000L);
        writer.interrupt();
        writer.join();
        float[] read;
        try (Safetensors file = Safetensors.open(path)) {
          read = file.tensor("a").toFloats();
        }
        for (float value : read) {
          assertEquals(read[0], value, "two rounds in one file");
        }
        if (thrown.get() != null) {
          failures++;
          assertEquals(UncheckedIOException.class, thrown.get().getClass());
        } else {
          assertEquals(round, read[0]);
        }
        try (var files = Files.list(folder)) {
          assertEquals(List.of(path), files.toList(), "temporary files were left");
        }
      }
      assertTrue(failures > 0, "no interrupt met a write");
    }
  }

  @Test
  void anInterruptedWriteLeavesTheOldFile() throws Exception {
    Path path = twoTensors("kept.safetensors");
    byte[] before = Files.readAllBytes(path);
    Arena arena = Arena.ofConfined();
    Tensor good = Tensor.of(arena.allocate(8), ElementType.FP32, 2);
    Arena gone = Arena.ofConfined();
    Tensor bad = Tensor.of(gone.allocate(4), ElementType.FP32, 1);
    gone.close();
    Map<String, Tensor> tensors = new LinkedHashMap<>(Map.of("a", good, "b", bad));
    assertThrows(IllegalStateException.class, () -> Safetensors.write(path, tensors, Map.of()));
    arena.close();
    assertArrayEquals(before, Files.readAllBytes(path));
    try (var files = Files.list(folder)) {
      assertEquals(List.of(path), files.toList(), "temporary files were left");
    }
  }

  private Path twoTensors(String name) {
    Path path = folder.resolve(name);
    try (Arena arena = Arena.ofConfined()) {
      Tensor a = Tensor.of(arena.allocate(8), ElementType.FP32, 2).copyFrom(new float[] {1, 2});
      Tensor b = Tensor.of(arena.allocate(6), ElementType.BF16, 3).copyFrom(new float[] {3, 4, 5});
      Safetensors.write(path, Map.of("a", a, "b", b), Map.of("m", "n"));
    }
    return path;
  }

  @Test
  void shardsAreOneSource() throws Exception {
    twoTensors("s1.safetensors");
    try (Arena arena = Arena.ofConfined()) {
      Tensor c = Tensor.of(arena.allocate(4), ElementType.FP32, 1).copyFrom(new float[] {7});
      Safetensors.write(folder.resolve("s2.safetensors"), Map.of("c", c), Map.of());
    }
    Path index = folder.resolve("diffusion_pytorch_model.safetensors.index.json");
    Files.writeString(
        index,
        """
        {"metadata": {"total_size": 18},
         "weight_map": {"a": "s1.safetensors", "c": "s2.safetensors", "b": "s1.safetensors"}}
        """);
    for (Path path : List.of(index, folder)) {
      try (Safetensors all = Safetensors.open(path)) {
        assertEquals(List.of("a", "c", "b"), List.copyOf(all.names()));
        assertArrayEquals(new float[] {1, 2}, all.tensor("a").toFloats());
        assertArrayEquals(new float[] {3, 4, 5}, all.tensor("b").toFloats());
        assertArrayEquals(new float[] {7}, all.tensor("c").toFloats());
      }
    }
    Map<String, String> wrong =
        Map.of(
            "{\"weight_map\": {\"x\": \"s1.safetensors\"}}",
                "expected a file that holds this tensor",
            "{\"weight_map\": {\"a\": \"../s1.safetensors\"}}",
                "the name of a file beside the index",
            "{\"weight_map\": {\"a\": \"..\"}}", "the name of a file beside the index",
            "{\"weight_map\": {\"a\": \"\"}}", "the name of a file beside the index",
            "{\"weight_map\": {\"a\": 1}}", "weight_map.a is 1; expected a string",
            "{\"weight_map\": [] }", "weight_map is []; expected an object",
            "{\"weight_map\": {\"a\": \"s1.safetensors\", \"a\": \"s1.safetensors\"}}",
                "Duplicate field",
            "{}", "weight_map is missing");
    wrong.forEach(
        (json, message) -> {
          try {
            Files.writeString(index, json);
          } catch (IOException e) {
            throw new UncheckedIOException(e);
          }
          String refused = refused(index);
          assertTrue(refused.contains(message), refused);
        });
    Files.writeString(index, "{\"weight_map\": {\"a\": \"s9.safetensors\"}}");
    assertTrue(refused(index).contains("expected a file that is there: download " + folder));
  }

  @Test
  void foldersMustBeClear() throws Exception {
    assertTrue(refused(folder).contains("holds no *.safetensors"));
    Path first = twoTensors("one.safetensors");
    try (Safetensors only = Safetensors.open(folder)) {
      assertEquals(Set.of("a", "b"), only.names());
    }
    twoTensors("two.safetensors");
    assertTrue(refused(folder).contains("holds 2 models"));
    Files.copy(first, folder.resolve("diffusion_pytorch_model.safetensors"));
    Safetensors.open(folder).close();
  }

  /** As diffusers writes {@code save_pretrained(variant="bf16", max_shard_size=…)}, new and old. */
  @ParameterizedTest
  @CsvSource({
    "diffusion_pytorch_model.bf16-00001-of-00002.safetensors,"
        + " diffusion_pytorch_model.bf16-00002-of-00002.safetensors",
    "diffusion_pytorch_model-00001-of-00002.bf16.safetensors,"
        + " diffusion_pytorch_model-00002-of-00002.bf16.safetensors"
  })
  void variantsInShards(String first, String second) throws Exception {
    twoTensors(first);
    try (Arena arena = Arena.ofConfined()) {
      Tensor c = Tensor.of(arena.allocate(4), ElementType.FP32, 1).copyFrom(new float[] {7});
      Safetensors.write(folder.resolve(second), Map.of("c", c), Map.of());
    }
    assertTrue(refused(folder).contains("shards of a model and no index"), refused(folder));
    Files.writeString(
        folder.resolve("diffusion_pytorch_model.safetensors.index.bf16.json"),
        "{\"weight_map\": {\"a\": \"%s\", \"b\": \"%s\", \"c\": \"%s\"}}"
            .formatted(first, first, second));
    for (String variant : new String[] {null, "bf16"}) {
      try (Safetensors file = Safetensors.open(folder, variant)) {
        assertEquals(Set.of("a", "b", "c"), file.names());
      }
    }
    // Another variant beside it, and then one without.
    Files.copy(
        twoTensors("x.safetensors"), folder.resolve("diffusion_pytorch_model.fp16.safetensors"));
    Files.delete(folder.resolve("x.safetensors"));
    assertTrue(refused(folder).contains("choose one of the variants bf16, fp16"), refused(folder));
    try (Safetensors file = Safetensors.open(folder, "fp16")) {
      assertEquals(Set.of("a", "b"), file.names());
    }
    Safetensors.write(folder.resolve("diffusion_pytorch_model.safetensors"), Map.of(), Map.of());
    try (Safetensors file = Safetensors.open(folder)) {
      assertEquals(Set.of(), file.names());
    }
    String refused =
        assertThrows(IllegalArgumentException.class, () -> Safetensors.open(folder, "fp8"))
            .getMessage();
    assertTrue(refused.contains("no variant \"fp8\"; there are bf16, fp16"), refused);
  }

  /** A header of odd length leaves all that follows unaligned. */
  @Test
  void unalignedTensorsAreCopiedOnce() throws Exception {
    for (int padding = 0; padding < 8; padding++) {
      Path path =
          file(
              "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
                  + "\"b\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[8,12]}}"
                  + " ".repeat(padding),
              12);
      try (Safetensors file = Safetensors.open(path)) {
        Tensor a = file.tensor("a");
        assertEquals(0, a.address() % 4, "padding " + padding);
        assertEquals(Float.intBitsToFloat(0x07060504), a.toFloats()[1]);
        assertEquals(0, file.tensor("b").address() % 2);
        assertEquals(Float.intBitsToFloat(0x0b0a0000), file.tensor("b").toFloats()[1]);
        assertEquals(a.address(), file.tensor("a").address(), "one copy");
        assertEquals(file.bytes("a").address() == a.address(), file.aligned("a"));
        assertTrue(a.segment().isReadOnly());
      }
    }
  }

  /** What people have in place of a file: a pointer, or its begin. */
  @Test
  void pointersAndCutDownloadsAreNamed() throws Exception {
    Path pointer = folder.resolve("pointer.safetensors");
    Files.writeString(
        pointer, "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 2838276328\n");
    String refused = refused(pointer);
    assertTrue(refused.startsWith(pointer + " is a Git LFS pointer"), refused);
    assertTrue(refused.contains("2838276328 bytes are missing"), refused);
    assertTrue(refused.contains("git lfs pull"), refused);
    Path index = folder.resolve("diffusion_pytorch_model.safetensors.index.json");
    Files.copy(pointer, index);
    assertTrue(refused(index).contains("is a Git LFS pointer"), refused(index));

    Path whole = twoTensors("whole.safetensors");
    byte[] bytes = Files.readAllBytes(whole);
    int data = 8 + 6;
    for (int missing = 1; missing < bytes.length; missing++) {
      Path cut = folder.resolve("cut.safetensors");
      Files.write(cut, Arrays.copyOf(bytes, bytes.length - missing));
      String message = refused(cut);
      assertTrue(message.startsWith(cut.toString()), message);
      assertTrue(message.contains("download it again"), message);
      if (missing <= data) {
        assertTrue(
            message.contains("is cut short: " + missing + " of the " + data + " bytes"), message);
      } else if (missing <= bytes.length - 8) {
        assertTrue(
            message.contains("at least " + (missing - data) + " bytes are missing"), message);
      }
    }
  }

  /** Opening takes as long as the header is, not the data. */
  @Test
  void fourGibibytesOpenAtOnce() throws Exception {
    Path path = folder.resolve("large.safetensors");
    long bytes = 4L << 30;
    byte[] header =
        ("{\"a\":{\"dtype\":\"F32\",\"shape\":["
                + bytes / 4
                + "],\"data_offsets\":[0,"
                + bytes
                + "]}}")
            .getBytes(StandardCharsets.UTF_8);
    try (FileChannel channel =
        FileChannel.open(path, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
      ByteBuffer start = ByteBuffer.allocate(8 + header.length).order(ByteOrder.LITTLE_ENDIAN);
      channel.write(start.putLong(header.length).put(header).flip());
      channel.write(
          ByteBuffer.wrap(new byte[] {0x40}), 8 + header.length + bytes - 1); // a sparse file
    }
    List<Long> nanos = new ArrayList<>();
    for (int i = 0; i < 5; i++) {
      long begin = System.nanoTime();
      try (Safetensors file = Safetensors.open(path)) {
        nanos.add(System.nanoTime() - begin);
        Tensor last = file.tensor("a").slice(0, bytes / 4 - 1, bytes / 4);
        assertEquals(2f, last.toFloats()[0]);
      }
    }
    long least = nanos.stream().min(Long::compare).orElseThrow();
    assertTrue(least < 50_000_000, () -> "opening took " + nanos + " ns");
  }
}

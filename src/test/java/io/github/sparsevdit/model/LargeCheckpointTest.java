package io.github.sparsevdit.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.bindings.svdit_backend_info;
import io.github.sparsevdit.checkpoint.Denoisers;
import io.github.sparsevdit.estimate.RunMemory;
import io.github.sparsevdit.internal.Access;
import io.github.sparsevdit.tensor.ElementType;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A checkpoint as large as Wan's 14 B, in files that are holes. */
class LargeCheckpointTest {
  private static final double SECONDS = 1;
  @TempDir Path folder;

  @Test
  void opensInASecondWithoutACopy() throws IOException {
    long bytes = WanCheckpoint.write(folder, 40, 40, 13824, false);
    assertTrue(bytes > 28_000_000_000L, bytes + " bytes");
    try (Stream<Path> files = Files.list(folder)) {
      assertEquals(6, files.filter(f -> f.toString().endsWith(".safetensors")).count());
    }
    try (Backend backend = Backend.cpu()) {
      open(backend); // classes and the matrix library are loaded once
      double seconds = open(backend);
      assertTrue(seconds < SECONDS, "opening took " + seconds + " s");
      RunMemory said = RunMemory.of(folder, ElementType.BF16, new int[] {21, 90, 160}, 512, 2);
      assertEquals(bytes, said.weights());
      assertTrue(said.needed() < 7_000_000_000L, said::toString);
    }
  }

  private double open(Backend backend) {
    long begin = System.nanoTime();
    try (VideoTransformer model = Denoisers.load(folder, backend, ElementType.BF16)) {
      double seconds = (System.nanoTime() - begin) * 1e-9;
      assertEquals(40, model.shape().layers());
      try (Arena arena = Arena.ofConfined()) {
        long used = svdit_backend_info.memory_used_bytes(Access.handle(backend).describe(arena));
        // The time embedding, which is computed in fp32, and the tables of all blocks.
        assertTrue(used < 120_000_000, used + " bytes are copies");
      }
      return seconds;
    }
  }
}

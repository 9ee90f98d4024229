package io.github.sparsevdit.model.text;

import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.OtherJvm;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Where the tokenizers' native part is unpacked, in JVMs of their own. */
class TokenizerPlacesTest {
  private static final String CLIP = "src/test/resources/cases/tokenizers/clip";
  @TempDir Path folder;

  /** Tokenizes, or prints what it is refused with. */
  public static final class Tokenizes {
    public static void main(String[] arguments) {
      try (Tokenizer tokenizer = Tokenizer.open(Path.of(CLIP), 77)) {
        System.out.println(tokenizer.encode("a fox").valid() > 2 ? "tokenized" : "no tokens");
      } catch (IllegalArgumentException e) {
        System.out.println(e.getMessage());
      }
    }
  }

  private static String run(Path cache) throws Exception {
    return new OtherJvm().environment("DJL_CACHE_DIR", cache.toString()).run(Tokenizes.class);
  }

  @Test
  void itIsUnpackedWhereTheCacheIs() throws Exception {
    Path cache = folder.resolve("cache");
    String output = run(cache);
    assertTrue(output.contains("tokenized"), output);
    try (Stream<Path> files = Files.walk(cache)) {
      assertTrue(files.anyMatch(file -> file.toString().endsWith(".so")), "nothing in " + cache);
    }
  }

  @Test
  void aCacheThatCannotBeWrittenIsNamed() throws Exception {
    Path noFolder = Files.writeString(folder.resolve("file"), "in the way");
    String output = run(noFolder);
    assertTrue(output.contains("native part of ai.djl.huggingface:tokenizers"), output);
    assertTrue(output.contains("unpacked into DJL_CACHE_DIR, " + noFolder), output);
    assertTrue(output.contains("must be writable"), output);
  }
}

package io.github.sparsevdit.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.pattern.ModelShape;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.table.DispatchTable;
import io.github.sparsevdit.table.DispatchTable.HeadEntry;
import io.github.sparsevdit.table.DispatchTable.Phase;
import java.io.IOException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.regex.Matcher;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ReadmeTest {
  @TempDir Path folder;

  /** What the page shows is compiled and run; of values that are all 1, any mean is 1. */
  @Test
  void theSnippetWorks() throws Exception {
    String snippet = snippet(Files.readString(Path.of("README.md")));
    assertTrue(snippet.contains("// q.copyFrom("), "the place where q, k and v are filled");
    Path table = folder.resolve("table.json");
    writeTable(table);
    String body =
        snippet
            .replace("Path.of(\"table.json\")", "Path.of(\"" + table + "\")")
            .replaceFirst("// q\\.copyFrom\\(.*", "fill(q); fill(k); fill(v);")
            .replaceFirst("\n}\\s*$", "\n  result = out.toFloats();\n}\n");
    float[] result = run(body);
    assertEquals(4 * 1536 * 64, result.length);
    for (float value : result) {
      assertEquals(1f, value);
    }
  }

  /** Every file the page points to is there. */
  @Test
  void linksLeadSomewhere() throws IOException {
    Matcher link =
        java.util.regex.Pattern.compile("\\]\\((?!http)([^)#]+)")
            .matcher(Files.readString(Path.of("README.md")));
    while (link.find()) {
      assertTrue(Files.exists(Path.of(link.group(1))), link.group(1));
    }
  }

  private static String snippet(String page) {
    int begin = page.indexOf("```java\n") + "```java\n".length();
    return page.substring(begin, page.indexOf("```", begin));
  }

  private static void writeTable(Path path) {
    HeadEntry band = new HeadEntry(Pattern.multiDiagonal(64));
    HeadEntry near = new HeadEntry(Pattern.diagonal(128));
    List<HeadEntry> layer = List.of(band, near, near, band);
    new DispatchTable(
            new ModelShape("tiny-wan", 6, 4, 64),
            Sequence.video(8, 12, 16),
            64,
            null,
            List.of(new Phase(1000, 0, Collections.nCopies(6, layer))))
        .write(path);
  }

  private float[] run(String body) throws Exception {
    Path source = folder.resolve("Snippet.java");
    Files.writeString(
        source,
        """
        import io.github.sparsevdit.*;
        import io.github.sparsevdit.pattern.*;
        import io.github.sparsevdit.table.*;
        import io.github.sparsevdit.tensor.*;
        import java.nio.file.Path;
        import java.util.*;

        public class Snippet {
          static float[] result;

          static void fill(Tensor tensor) {
            float[] ones = new float[(int) tensor.elements()];
            Arrays.fill(ones, 1);
            tensor.copyFrom(ones);
          }

          public static float[] run() {
        """
            + body
            + "    return result;\n  }\n}\n");
    int failed =
        ToolProvider.getSystemJavaCompiler()
            .run(
                null,
                null,
                null,
                "-cp",
                System.getProperty("java.class.path"),
                "-d",
                folder.toString(),
                source.toString());
    assertEquals(0, failed, () -> "it does not compile:\n" + body);
    try (URLClassLoader loader = new URLClassLoader(new URL[] {folder.toUri().toURL()})) {
      return (float[]) loader.loadClass("Snippet").getMethod("run").invoke(null);
    }
  }
}

package io.github.sparsevdit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.pattern.ModelShape;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.table.DispatchTable;
import io.github.sparsevdit.table.DispatchTable.HeadEntry;
import io.github.sparsevdit.table.DispatchTable.Phase;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.regex.Matcher;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The Java that the pages show, compiled and run. */
class SnippetsTest {
  private static final java.util.regex.Pattern JAVA =
      java.util.regex.Pattern.compile("(?ms)^```java\n(.*?)^```$");

  @TempDir Path folder;

  /** Ten lines, a video. */
  @Test
  void theFirstPageGeneratesAVideo() throws Exception {
    String body = snippet("README.md", "Generator.open(");
    assertTrue(body.lines().count() <= 10, body);
    Path video = folder.resolve("horse.mp4");
    String printed = print("", inFolder(body, "table.json", "horse.mp4"));
    assertTrue(printed.matches("density 0\\.\\d+\\R"), printed);
    assertEquals("ftyp", new String(Files.readAllBytes(video), 4, 4, StandardCharsets.ISO_8859_1));
  }

  /** Of values that are all 1, any mean is 1. */
  @Test
  void attentionAloneIsRun() throws Exception {
    String body = snippet("docs/embedding.md", "SparseAttention.of(");
    assertTrue(body.contains("// q.copyFrom("), "the place where q, k and v are filled");
    body =
        inFolder(body, "table.json")
            .replaceFirst("// q\\.copyFrom\\(.*", "fill(q); fill(k); fill(v);")
            .replaceFirst("\n}\\s*$", "\n  result = out.toFloats();\n}\n");
    String fill =
        """
        static void fill(Tensor tensor) {
          float[] ones = new float[(int) tensor.elements()];
          Arrays.fill(ones, 1);
          tensor.copyFrom(ones);
        }
        """;
    float[] result = run(fill, body);
    assertEquals(4 * 1536 * 64, result.length);
    for (float value : result) {
      assertEquals(1f, value);
    }
  }

  /** The policy of the page runs as a generator's and an evaluation's. */
  @Test
  void aPolicyOfOnesOwn() throws Exception {
    String page = "docs/adding-a-policy.md";
    String policy = snippet(page, "implements Policy");
    String printed = print(policy, inFolder(snippet(page, "Generator.open("), "horse.gif"));
    List<String> lines = printed.lines().toList();
    assertEquals(3, lines.size(), printed);
    assertTrue(lines.get(1).startsWith("narrow ") && lines.get(2).startsWith("wide "), printed);
    assertTrue(Files.size(folder.resolve("horse.gif")) > 100);
  }

  /** The one piece of Java on a page that contains a text. */
  private static String snippet(String page, String text) throws Exception {
    List<String> found = new ArrayList<>();
    Matcher java = JAVA.matcher(Files.readString(Path.of(page)));
    while (java.find()) {
      if (java.group(1).contains(text)) {
        found.add(java.group(1));
      }
    }
    assertTrue(!found.isEmpty(), page + " shows no Java with " + text);
    return found.getFirst();
  }

  /** The same with these files in the test's folder, the table among them. */
  private String inFolder(String body, String... files) {
    writeTable(folder.resolve("table.json"));
    for (String file : files) {
      String named = "Path.of(\"" + file + "\")";
      assertTrue(body.contains(named), named);
      body = body.replace(named, "Path.of(\"" + folder.resolve(file) + "\")");
    }
    return body;
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

  /** What it prints. */
  private String print(String members, String body) throws Exception {
    ByteArrayOutputStream printed = new ByteArrayOutputStream();
    PrintStream before = System.out;
    System.setOut(new PrintStream(printed, true, StandardCharsets.UTF_8));
    try {
      run(members, body);
    } finally {
      System.setOut(before);
    }
    return printed.toString(StandardCharsets.UTF_8);
  }

  private float[] run(String members, String body) throws Exception {
    Path source = folder.resolve("Snippet.java");
    Files.writeString(
        source,
        """
        import io.github.sparsevdit.*;
        import io.github.sparsevdit.eval.*;
        import io.github.sparsevdit.pattern.*;
        import io.github.sparsevdit.pipeline.*;
        import io.github.sparsevdit.table.*;
        import io.github.sparsevdit.tensor.*;
        import java.nio.file.Path;
        import java.util.*;

        public class Snippet {
          static float[] result;

        """
            + members
            + "  public static float[] run() {\n"
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

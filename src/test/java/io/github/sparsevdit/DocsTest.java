package io.github.sparsevdit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.PathMatcher;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** The pages agree with the files they name, and with each other. */
class DocsTest {
  private static final Path ROOT = Path.of("").toAbsolutePath();
  private static final Path DOCS = ROOT.resolve("docs");
  private static final Pattern LINK = Pattern.compile("\\]\\((?!https?:)([^)\\s]+)\\)");
  private static final Pattern CODE = Pattern.compile("`([^`\\n]+)`");
  private static final Pattern FILE =
      Pattern.compile(
          "(?:docs|native|src|calibration|tools|bindings|jmh)/[\\w./*-]+"
              + "|[\\w/.-]+\\.(?:md|cpp|cuh?|h|def|sh)");

  /** A class with its package, from below the root package, and perhaps a method of it. */
  private static final Pattern CLASS =
      Pattern.compile("(?:io\\.github\\.sparsevdit\\.)?((?:[a-z]+\\.)+[A-Z]\\w*)(?:\\.\\w+)?");

  /** Files that a page tells its reader to write. */
  private static final Set<String> TO_BE_WRITTEN =
      Set.of(
          "native/cpu/attention/attention_avx10.cpp",
          "native/cpu/ops/ops_rows_avx10.cpp",
          "src/main/java/io/github/sparsevdit/model/mochi/");

  private static List<Path> pages() throws IOException {
    List<Path> pages = new ArrayList<>();
    for (String page :
        List.of(
            "README.md",
            "CONTRIBUTING.md",
            "CHANGELOG.md",
            "calibration/README.md",
            "calibration/tiny-wan/README.md")) {
      pages.add(ROOT.resolve(page));
    }
    try (Stream<Path> files = Files.walk(DOCS)) {
      files.filter(file -> file.toString().endsWith(".md")).sorted().forEach(pages::add);
    }
    return pages;
  }

  /** Every link to a file leads to one, and every link to a heading of a page to a heading. */
  @Test
  void linksLeadSomewhere() throws IOException {
    List<String> broken = new ArrayList<>();
    int links = 0;
    for (Path page : pages()) {
      Matcher link = LINK.matcher(Files.readString(page));
      while (link.find()) {
        links++;
        String[] parts = link.group(1).split("#", 2);
        Path target = parts[0].isEmpty() ? page : page.resolveSibling(parts[0]).normalize();
        if (!Files.exists(target)
            || parts.length > 1 && !anchors(target).contains(parts[1].toLowerCase())) {
          broken.add(ROOT.relativize(page) + ": " + link.group(1));
        }
      }
    }
    assertEquals(List.of(), broken);
    assertTrue(links > 50, links + " links found");
  }

  /** What GitHub makes of a page's headings. */
  private static Set<String> anchors(Path page) throws IOException {
    return Files.readAllLines(page).stream()
        .filter(line -> line.matches("#+ .*"))
        .map(line -> line.replaceFirst("#+ ", "").strip().toLowerCase())
        .map(line -> line.replaceAll("[^\\p{L}\\p{N} _-]", "").replace(' ', '-'))
        .collect(Collectors.toSet());
  }

  /** Every file of this repository that a page names in code font is there. */
  @Test
  void namedFilesExist() throws IOException {
    Set<String> missing = new TreeSet<>();
    Set<String> names = names();
    int found = 0;
    for (Path page : pages()) {
      Matcher code = CODE.matcher(Files.readString(page));
      while (code.find()) {
        String name = code.group(1);
        if (FILE.matcher(name).matches() && !TO_BE_WRITTEN.contains(name)) {
          found++;
          if (!exists(page, name, names)) {
            missing.add(ROOT.relativize(page) + ": " + name);
          }
        }
      }
    }
    assertEquals(Set.of(), missing);
    assertTrue(found > 30, found + " names found");
  }

  /** Every class that a page names with its package is there, in the sources or the tests. */
  @Test
  void namedClassesExist() throws IOException {
    Set<String> missing = new TreeSet<>();
    Set<String> names = names();
    int found = 0;
    for (Path page : pages()) {
      Matcher code = CODE.matcher(Files.readString(page));
      while (code.find()) {
        Matcher type = CLASS.matcher(code.group(1));
        if (type.matches() && !type.group(1).startsWith("svdit.")) { // a JFR event
          found++;
          String file = "/java/io/github/sparsevdit/" + type.group(1).replace('.', '/') + ".java";
          if (names.stream().noneMatch(each -> each.endsWith(file))) {
            missing.add(ROOT.relativize(page) + ": " + code.group(1));
          }
        }
      }
    }
    assertEquals(Set.of(), missing);
    assertTrue(found > 10, found + " names found");
  }

  /** From the root, beside the page, or by the end of its name. */
  private static boolean exists(Path page, String name, Set<String> names) {
    if (name.contains("*")) {
      PathMatcher matcher =
          FileSystems.getDefault().getPathMatcher("glob:{" + name + ",**/" + name + "}");
      return names.stream().anyMatch(each -> matcher.matches(Path.of(each)));
    }
    return Files.exists(ROOT.resolve(name))
        || Files.exists(page.resolveSibling(name))
        || names.stream().anyMatch(each -> each.endsWith(name.startsWith("_") ? name : "/" + name));
  }

  /** All files of the source tree, relative to the root. */
  private static Set<String> names() throws IOException {
    Set<String> names = new TreeSet<>();
    for (String folder :
        List.of("docs", "native", "src", "calibration", "tools", "bindings", "jmh")) {
      try (Stream<Path> files = Files.walk(ROOT.resolve(folder))) {
        files.map(file -> ROOT.relativize(file).toString()).forEach(names::add);
      }
    }
    return names;
  }

  @Test
  void theFirstPageIsShort() throws IOException {
    int lines = Files.readAllLines(ROOT.resolve("README.md")).size();
    assertTrue(lines <= 200, "README.md has " + lines + " lines; move detail to docs/");
  }

  /** docs/README.md lists every page, and the README and CONTRIBUTING.md lead to it. */
  @Test
  void theIndexIsWhole() throws IOException {
    String index = Files.readString(DOCS.resolve("README.md"));
    try (Stream<Path> files = Files.walk(DOCS)) {
      for (Path file : files.filter(path -> path.toString().endsWith(".md")).toList()) {
        String name = DOCS.relativize(file).toString();
        assertTrue(
            name.equals("README.md") || index.contains("](" + name + ")"),
            "docs/README.md does not list " + name);
      }
    }
    for (String page : List.of("README.md", "CONTRIBUTING.md")) {
      assertTrue(Files.readString(ROOT.resolve(page)).contains("(docs/README.md)"), page);
    }
  }
}

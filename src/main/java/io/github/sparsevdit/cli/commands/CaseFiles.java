package io.github.sparsevdit.cli.commands;

import java.io.IOException;
import java.net.URI;
import java.net.URISyntaxException;
import java.net.URL;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.Map;
import java.util.stream.Stream;

/**
 * The folder the reference cases lie in: one given, or the packaged ones, which are copied out of
 * their jar for as long as they are used because tensors are mapped from files.
 */
final class CaseFiles implements AutoCloseable {
  private static final String PACKAGED = "cases/attention/";

  private final Path root;
  private final Path temporary;

  private CaseFiles(Path root, Path temporary) {
    this.root = root;
    this.temporary = temporary;
  }

  /** The cases in or below {@code folder}, or in that one file. */
  static CaseFiles in(Path folder) {
    return new CaseFiles(folder.toAbsolutePath().normalize(), null);
  }

  /** The packaged cases; IllegalStateException where the jar with them is missing. */
  static CaseFiles packaged() throws IOException {
    URL attention = CaseFiles.class.getClassLoader().getResource(PACKAGED);
    if (attention == null) {
      throw new IllegalStateException(
          "the jar with the reference cases (sparse-vdit-*-cases.jar) is not on the class path;"
              + " name a folder with --cases");
    }
    try {
      URI uri = attention.toURI();
      return uri.getScheme().equals("file") ? in(Path.of(uri).getParent()) : extracted(uri);
    } catch (URISyntaxException e) {
      throw new IOException(e);
    }
  }

  private static CaseFiles extracted(URI inJar) throws IOException {
    Path to = Files.createTempDirectory("svdit-cases");
    URI jar = URI.create(inJar.toString().replaceFirst("!.*", "!/"));
    try (FileSystem files = FileSystems.newFileSystem(jar, Map.of());
        Stream<Path> paths = Files.walk(files.getPath("cases"))) {
      for (Path path : (Iterable<Path>) paths::iterator) {
        Path target = to.resolve(path.toString());
        if (Files.isDirectory(path)) {
          Files.createDirectories(target);
        } else {
          Files.copy(path, target);
        }
      }
    }
    return new CaseFiles(to.resolve("cases"), to);
  }

  /** Where the cases lie. */
  Path root() {
    return root;
  }

  /** Removes the temporary copy, if one was made. */
  @Override
  public void close() throws IOException {
    if (temporary != null) {
      try (Stream<Path> paths = Files.walk(temporary)) {
        for (Path path : paths.sorted(Comparator.reverseOrder()).toList()) {
          Files.delete(path);
        }
      }
    }
  }
}

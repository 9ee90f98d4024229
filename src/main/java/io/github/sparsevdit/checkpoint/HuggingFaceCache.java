package io.github.sparsevdit.checkpoint;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Where the huggingface_hub library stores what it downloads: {@code models--OWNER--NAME} with
 * {@code refs/<branch>}, a file that names a commit, and {@code snapshots/<commit>/}, the
 * repository's files as links to {@code blobs/}. Nothing is downloaded here.
 */
final class HuggingFaceCache {
  private static final Pattern REPOSITORY = Pattern.compile("[\\w.-]+/[\\w.-]+");
  private static final String SNAPSHOTS = "snapshots";

  private HuggingFaceCache() {}

  /**
   * The folder or file that a user means: of a repository's folder in the cache its snapshot, of
   * OWNER/NAME where no such path exists the snapshot in the user's cache, else path itself.
   */
  static Path locate(Path path) {
    if (Files.isDirectory(path.resolve(SNAPSHOTS)) && Files.isDirectory(path.resolve("blobs"))) {
      return snapshot(path);
    }
    String name = path.toString().replace('\\', '/');
    if (Files.exists(path) || !REPOSITORY.matcher(name).matches()) {
      return path;
    }
    Path stored = root().resolve("models--" + name.replace("/", "--"));
    return Files.isDirectory(stored) ? snapshot(stored) : path;
  }

  /**
   * Where a repository named OWNER/NAME would be, for messages; null where path is no such name.
   */
  static Path wouldBe(Path path) {
    String name = path.toString().replace('\\', '/');
    return REPOSITORY.matcher(name).matches()
        ? root().resolve("models--" + name.replace("/", "--"))
        : null;
  }

  /** As huggingface_hub finds it. */
  static Path root() {
    for (String[] variable :
        new String[][] {
          {"HF_HUB_CACHE", ""},
          {"HUGGINGFACE_HUB_CACHE", ""},
          {"HF_HOME", "hub"},
          {"XDG_CACHE_HOME", "huggingface/hub"}
        }) {
      String value = System.getenv(variable[0]);
      if (value != null && !value.isBlank()) {
        return Path.of(value).resolve(variable[1]);
      }
    }
    return Path.of(System.getProperty("user.home"), ".cache", "huggingface", "hub");
  }

  /** The snapshot of main, else the only one. */
  private static Path snapshot(Path repository) {
    Path main = repository.resolve("refs").resolve("main");
    try {
      if (Files.exists(main)) {
        Path folder = repository.resolve(SNAPSHOTS).resolve(Files.readString(main).strip());
        if (!Files.isDirectory(folder)) {
          throw new IllegalArgumentException(
              "%s names a snapshot that is not there, %s; download the repository again"
                  .formatted(main, folder));
        }
        return folder;
      }
      try (Stream<Path> all = Files.list(repository.resolve(SNAPSHOTS))) {
        List<Path> snapshots = all.filter(Files::isDirectory).sorted().toList();
        if (snapshots.size() == 1) {
          return snapshots.getFirst();
        }
        throw new IllegalArgumentException(
            "%s has no refs/main and %d snapshots; name one of the folders in %s"
                .formatted(repository, snapshots.size(), repository.resolve(SNAPSHOTS)));
      }
    } catch (IOException e) {
      throw new UncheckedIOException("cannot read " + repository + ": " + e, e);
    }
  }
}

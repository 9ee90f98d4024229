package io.github.sparsevdit.eval.cases;

import io.github.sparsevdit.Backend;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/** Finds reference cases on disk. */
public final class ReferenceCases {
  private static final List<CaseFamily> FAMILIES =
      List.of(new AttentionCases(), new VaeCases(), new ModelCases());

  private ReferenceCases() {}

  /**
   * The cases under path: a folder with {@code attention}, {@code denoisers}, {@code schedulers},
   * {@code vaes}, {@code runs} in it, one of those, or a single case; in order of their paths. A
   * safetensors file that no family knows is a case that is skipped.
   */
  public static List<ReferenceCase> find(Path path) {
    if (!Files.exists(path)) {
      throw new IllegalArgumentException("no such file or folder: " + path);
    }
    List<ReferenceCase> cases = new ArrayList<>();
    collect(path.toAbsolutePath().normalize(), cases);
    return cases;
  }

  private static void collect(Path path, List<ReferenceCase> cases) {
    for (CaseFamily family : FAMILIES) {
      Optional<ReferenceCase> found;
      try {
        found = family.open(path);
      } catch (RuntimeException e) { // no reason not to run the others
        found = Optional.of(new Unknown(path, CaseResult.failed(message(e))));
      }
      if (found.isPresent()) {
        cases.add(found.get());
        return;
      }
    }
    if (Files.isDirectory(path)) {
      if (Files.exists(
          path.resolve("config.json"))) { // a checkpoint: its files are no cases of their own
        cases.add(new Unknown(path));
        return;
      }
      if (Files.exists(path.resolve("model_index.json"))) {
        return; // a pipeline that a run is of
      }
      try (Stream<Path> children = Files.list(path)) {
        children.sorted().forEach(child -> collect(child, cases));
      } catch (IOException e) {
        throw new UncheckedIOException("cannot list " + path + ": " + e, e);
      }
    } else if (path.toString().endsWith(".safetensors")) {
      cases.add(new Unknown(path));
    }
  }

  /** The file's name without its suffix. */
  static String nameOf(Path path) {
    return path.getFileName().toString().replaceFirst("\\.safetensors$", "");
  }

  private static String message(RuntimeException e) {
    return e.getMessage() == null ? e.toString() : e.getMessage();
  }

  /** A file that is no case. */
  private record Unknown(Path path, CaseResult result) implements ReferenceCase {
    Unknown(Path path) {
      this(path, CaseResult.skipped("no family of cases knows this file"));
    }

    @Override
    public String name() {
      return nameOf(path);
    }

    @Override
    public String family() {
      return String.valueOf(path.getParent().getFileName());
    }

    @Override
    public CaseResult run(Backend backend) {
      return result;
    }
  }
}

package io.github.sparsevdit.internal;

import io.github.sparsevdit.BackendUnavailableException;
import io.github.sparsevdit.bindings.SvditSymbols;
import io.github.sparsevdit.internal.io.UnpackFolder;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.SymbolLookup;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * Finds and loads the native library: the path in {@code -Dsvdit.library}, which is final where it
 * is set; else the jar's own copy for this platform; else {@code java.library.path}. A failure
 * names every place tried and why it failed.
 */
final class LibraryLoader {
  private static final String PROPERTY = "svdit.library";
  private static final String NAME = "svdit";
  private static final String PUBLISHED = "linux-x86_64";

  private final List<String> tried = new ArrayList<>();

  /**
   * Where the library was found: its path (of a jar's copy, which is gone once loaded, the
   * resource) and by which way.
   */
  record Found(String path, String origin, List<String> tried) {}

  Found load() {
    String explicit = System.getProperty(PROPERTY);
    Found found;
    if (explicit != null) {
      found = tryFile("-D" + PROPERTY, Path.of(explicit));
    } else {
      found = tryJar(platform() + "-cuda13");
      if (found == null) {
        found = tryJar(platform());
      }
      if (found == null) {
        found = tryLibraryPath();
      }
    }
    if (found == null) {
      throw new BackendUnavailableException(
          "the native library could not be loaded. Tried:\n  " + String.join("\n  ", tried));
    }
    return found;
  }

  private Found tryFile(String origin, Path path) {
    Path absolute = path.toAbsolutePath();
    if (!Files.isRegularFile(absolute)) {
      tried.add(origin + ": " + absolute + ": no such file");
      return null;
    }
    return open(origin, absolute, absolute.toString());
  }

  /**
   * The copy goes to a folder only this user can enter, and is unlinked as soon as it is loaded.
   * The class loader is asked, not the module, because the library is in a jar of its own.
   */
  private Found tryJar(String classifier) {
    String resource =
        "io/github/sparsevdit/native/" + classifier + "/" + System.mapLibraryName(NAME);
    String origin = "class path";
    try (InputStream in = LibraryLoader.class.getClassLoader().getResourceAsStream(resource)) {
      if (in == null) {
        tried.add(origin + ": " + resource + ": no such resource; " + howToGet(classifier));
        return null;
      }
      byte[] contents = in.readAllBytes();
      Found found =
          openCopy(origin, contents, resource, () -> Path.of(System.getProperty("java.io.tmpdir")));
      return found != null
          ? found
          : openCopy( // the temporary folder may be mounted noexec
              origin,
              contents,
              resource,
              () -> UnpackFolder.of(UnpackFolder.places().getFirst(), "native").path());
    } catch (IOException e) {
      tried.add(origin + ": " + resource + ": it could not be read: " + e);
      return null;
    }
  }

  private interface Folder {
    Path get() throws IOException;
  }

  private Found openCopy(String origin, byte[] contents, String resource, Folder parent) {
    try {
      Path folder = Files.createTempDirectory(parent.get(), "svdit-");
      Path copy = folder.resolve(System.mapLibraryName(NAME));
      try {
        Files.write(copy, contents);
        return open(origin, copy, resource);
      } finally {
        Files.deleteIfExists(copy);
        Files.deleteIfExists(folder);
      }
    } catch (IOException e) {
      tried.add(origin + ": " + resource + ": it could not be copied: " + e);
      return null;
    }
  }

  private static String howToGet(String classifier) {
    return classifier.startsWith(PUBLISHED)
        ? "it is in the artifact io.github.sparsevdit:sparse-vdit with the classifier " + classifier
        : "native code is published for " + PUBLISHED + " only";
  }

  private Found tryLibraryPath() {
    String origin = "java.library.path";
    for (String folder : System.getProperty("java.library.path", "").split(File.pathSeparator)) {
      Path file = Path.of(folder.isEmpty() ? "." : folder, System.mapLibraryName(NAME));
      Found found = tryFile(origin, file);
      if (found != null) {
        return found;
      }
    }
    return null;
  }

  /**
   * Not System.load, which gives a file to one class loader of the process alone. The library stays
   * in the process for good (it is linked nodelete): its threads do.
   */
  private Found open(String origin, Path file, String shown) {
    try {
      SvditSymbols.use(SymbolLookup.libraryLookup(file, Arena.global()));
      return new Found(shown, origin, List.copyOf(tried));
    } catch (IllegalArgumentException cannotBeOpened) {
      tried.add(origin + ": " + shown + ": " + reason(file, cannotBeOpened));
      return null;
    } catch (IllegalCallerException e) {
      Module module = LibraryLoader.class.getModule();
      throw new BackendUnavailableException(
          "native access is denied: start Java with --enable-native-access="
              + (module.isNamed() ? module.getName() : "ALL-UNNAMED"),
          e);
    }
  }

  /** What the dynamic linker says of a file it refuses; of the lookup's exception it is no part. */
  private static String reason(Path file, IllegalArgumentException refused) {
    try {
      System.load(file.toString());
    } catch (UnsatisfiedLinkError e) {
      return e.getMessage();
    }
    return refused.getMessage();
  }

  /** {@code "linux-x86_64"}: where the jar keeps the library for this platform. */
  static String platform() {
    String os = System.getProperty("os.name").toLowerCase(Locale.ROOT).split(" ")[0];
    String arch = System.getProperty("os.arch");
    return os + "-" + (arch.equals("amd64") ? "x86_64" : arch);
  }
}

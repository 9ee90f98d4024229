package io.github.sparsevdit.internal;

import io.github.sparsevdit.BackendUnavailableException;
import io.github.sparsevdit.bindings.Svdit;
import java.lang.System.Logger.Level;
import java.util.List;

/** The native library, loaded once and checked against the bindings. */
public final class NativeLibrary {
  private static final System.Logger LOGGER = System.getLogger("io.github.sparsevdit");

  private final LibraryLoader.Found found;
  private final String build;

  private NativeLibrary(LibraryLoader.Found found) {
    this.found = found;
    this.build = Svdit.svdit_build_description().getString(0);
  }

  /**
   * The library, loading it on the first call. Where that failed, every call throws
   * BackendUnavailableException with the places tried, or what in the library differs from the
   * bindings.
   */
  public static NativeLibrary load() {
    if (Holder.LIBRARY == null) {
      throw new BackendUnavailableException(Holder.FAILURE.getMessage(), Holder.FAILURE);
    }
    return Holder.LIBRARY;
  }

  /** The file, or the resource it was extracted from. */
  public String path() {
    return found.path();
  }

  /**
   * By which way it was found: {@code "-Dsvdit.library"}, {@code "class path"}, {@code
   * "java.library.path"}.
   */
  public String origin() {
    return found.origin();
  }

  /** The places tried before, and why each failed. */
  public List<String> tried() {
    return found.tried();
  }

  /** The library's line about its build. */
  public String build() {
    return build;
  }

  private static final class Holder {
    static final NativeLibrary LIBRARY;
    static final BackendUnavailableException FAILURE;

    static {
      NativeLibrary library = null;
      BackendUnavailableException failure = null;
      LibraryLoadEvent event = new LibraryLoadEvent();
      event.begin();
      try {
        LibraryLoader.Found found = new LibraryLoader().load();
        AbiCheck.check(found.path());
        library = new NativeLibrary(found);
        LOGGER.log(
            Level.DEBUG, "loaded {0} ({1}): {2}", found.path(), found.origin(), library.build);
      } catch (BackendUnavailableException e) {
        failure = e;
      }
      LIBRARY = library;
      FAILURE = failure;
      if (event.shouldCommit()) {
        event.path = library == null ? null : library.path();
        event.origin = library == null ? null : library.origin();
        event.build = library == null ? null : library.build;
        event.failure = failure == null ? null : failure.getMessage();
        event.commit();
      }
    }
  }
}

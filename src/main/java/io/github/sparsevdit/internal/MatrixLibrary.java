package io.github.sparsevdit.internal;

import io.github.sparsevdit.BackendUnavailableException;
import io.github.sparsevdit.SvditException;
import io.github.sparsevdit.bindings.Svdit;
import io.github.sparsevdit.internal.io.UnpackFolder;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.net.JarURLConnection;
import java.net.URL;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.WeakHashMap;

/**
 * Gives a backend what multiplies its matrices.
 *
 * <p>On CUDA that is cuBLASLt 13: the shared object named by {@code -Dsvdit.cublaslt}, else {@code
 * libcublasLt.so.13} where the system or CUDA's installation has it.
 *
 * <p>On the CPU it is oneDNN: the shared object named by {@code -Dsvdit.matmul}, which is final
 * where it is set; else the one in the jars {@code org.bytedeco:dnnl} and {@code
 * org.bytedeco:opencl} (which oneDNN needs in order to load) of this platform on the class path,
 * unpacked once for all JVMs of the user into the cache folder, or the temporary folder where that
 * does not serve.
 */
public final class MatrixLibrary {
  private static final String PROPERTY = "svdit.matmul";
  private static final String CUDA_PROPERTY = "svdit.cublaslt";
  private static final String ONEDNN = "org/bytedeco/dnnl/%s/libdnnl.so.3";
  private static final String[] NEEDED = {
    "org/bytedeco/dnnl/%s/libgomp.so.1", "org/bytedeco/opencl/%s/libOpenCL.so.1"
  };

  /** The shared object of each backend. */
  private static final Map<BackendHandle, String> OPENED =
      Collections.synchronizedMap(new WeakHashMap<>());

  private MatrixLibrary() {}

  /**
   * Opens the library for backend if it has none yet; BackendUnavailableException says why it
   * cannot.
   *
   * @return the shared object that was opened; of CUDA's empty where no path was given
   */
  public static String open(BackendHandle backend) {
    synchronized (OPENED) {
      String opened = OPENED.get(backend);
      if (opened == null) {
        backend.keep();
        try {
          opened =
              backend.hostMemory()
                  ? openOneDnn(backend)
                  : open(backend, System.getProperty(CUDA_PROPERTY, ""));
        } finally {
          backend.release();
        }
        OPENED.put(backend, opened);
      }
      return opened;
    }
  }

  private static String open(BackendHandle backend, String library) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment path = arena.allocateFrom(library);
      NativeCalls.check(error -> Svdit.svdit_matmul_library(backend.pointer(), path, error));
      return library;
    }
  }

  /** From the first place where it can be unpacked and opened; one may be mounted noexec. */
  private static String openOneDnn(BackendHandle backend) {
    String explicit = System.getProperty(PROPERTY);
    if (explicit != null) {
      return open(backend, Path.of(explicit).toAbsolutePath().toString());
    }
    URL oneDnn = resource(ONEDNN);
    if (oneDnn == null) {
      String platform = LibraryLoader.platform();
      throw new BackendUnavailableException(
          "no matrix library: the class path has no "
              + ONEDNN.formatted(platform)
              + " (add org.bytedeco:dnnl and org.bytedeco:opencl with classifier "
              + platform
              + "; on the module path: see docs/troubleshooting.md), and -D"
              + PROPERTY
              + " names no other oneDNN 3");
    }
    List<String> tried = new ArrayList<>();
    for (Path place : UnpackFolder.places()) {
      try {
        return open(backend, unpack(oneDnn, place).toString());
      } catch (IOException | SvditException e) {
        tried.add(place + ": " + (e instanceof SvditException ? e.getMessage() : e));
      }
    }
    throw new BackendUnavailableException(
        "oneDNN could not be unpacked from its jar and opened; set XDG_CACHE_HOME or"
            + " -Djava.io.tmpdir to a folder that is yours and not mounted noexec, or -D"
            + PROPERTY
            + " to a libdnnl.so.3. Tried:\n  "
            + String.join("\n  ", tried));
  }

  /** A folder per version of the library, told apart by its checksum in the jar. */
  private static Path unpack(URL oneDnn, Path place) throws IOException {
    String version =
        oneDnn.openConnection() instanceof JarURLConnection connection
            ? Long.toHexString(connection.getJarEntry().getCrc())
            : "unpacked";
    UnpackFolder folder = UnpackFolder.of(place, "onednn-" + version);
    for (String needed : NEEDED) {
      URL url = resource(needed);
      if (url != null) { // where it is absent, the system's own may serve
        folder.unpack(url);
      }
    }
    return folder.unpack(oneDnn);
  }

  private static URL resource(String name) {
    return MatrixLibrary.class
        .getClassLoader()
        .getResource(name.formatted(LibraryLoader.platform()));
  }
}

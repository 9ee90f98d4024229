package io.github.sparsevdit.internal;

import io.github.sparsevdit.BackendUnavailableException;
import io.github.sparsevdit.bindings.Svdit;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.net.JarURLConnection;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Collections;
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
 * unpacked once into the user's cache folder.
 */
public final class MatrixLibrary {
  private static final String PROPERTY = "svdit.matmul";
  private static final String CUDA_PROPERTY = "svdit.cublaslt";
  private static final String ONEDNN = "org/bytedeco/dnnl/%s/libdnnl.so.3";
  private static final String[] NEEDED = {
    "org/bytedeco/dnnl/%s/libgomp.so.1", "org/bytedeco/opencl/%s/libOpenCL.so.1"
  };

  private static final Map<BackendHandle, Boolean> OPENED =
      Collections.synchronizedMap(new WeakHashMap<>());

  private MatrixLibrary() {}

  /**
   * Opens the library for backend if it has none yet; BackendUnavailableException says why it
   * cannot.
   */
  public static void open(BackendHandle backend) {
    synchronized (OPENED) {
      if (OPENED.containsKey(backend)) {
        return;
      }
      backend.keep();
      try (Arena arena = Arena.ofConfined()) {
        String library =
            backend.hostMemory()
                ? find().toAbsolutePath().toString()
                : System.getProperty(CUDA_PROPERTY, "");
        MemorySegment path = arena.allocateFrom(library);
        NativeCalls.check(error -> Svdit.svdit_matmul_library(backend.pointer(), path, error));
        OPENED.put(backend, true);
      } finally {
        backend.release();
      }
    }
  }

  /** The shared object to open, unpacked if need be. */
  public static Path find() {
    String explicit = System.getProperty(PROPERTY);
    if (explicit != null) {
      return Path.of(explicit);
    }
    String platform = LibraryLoader.platform();
    URL oneDnn = MatrixLibrary.class.getClassLoader().getResource(ONEDNN.formatted(platform));
    if (oneDnn == null) {
      throw new BackendUnavailableException(
          "no matrix library: the class path has no "
              + ONEDNN.formatted(platform)
              + " (add org.bytedeco:dnnl and org.bytedeco:opencl with classifier "
              + platform
              + "), and -D"
              + PROPERTY
              + " names no other oneDNN 3");
    }
    try {
      Path folder = cacheFolder(oneDnn);
      for (String needed : NEEDED) {
        URL url = MatrixLibrary.class.getClassLoader().getResource(needed.formatted(platform));
        if (url != null) { // where it is absent, the system's own may serve
          unpack(url, folder);
        }
      }
      return unpack(oneDnn, folder);
    } catch (IOException e) {
      throw new BackendUnavailableException(
          "oneDNN could not be unpacked from " + oneDnn + ": " + e, e);
    }
  }

  /** One folder per version of the library, told apart by its checksum in the jar. */
  private static Path cacheFolder(URL oneDnn) throws IOException {
    String version = "unpacked";
    if (oneDnn.openConnection() instanceof JarURLConnection connection) {
      version = Long.toHexString(connection.getJarEntry().getCrc());
    }
    String cache = System.getenv("XDG_CACHE_HOME");
    Path base =
        cache != null && !cache.isEmpty()
            ? Path.of(cache)
            : Path.of(System.getProperty("user.home"), ".cache");
    try {
      return Files.createDirectories(base.resolve("sparse-vdit").resolve("onednn-" + version));
    } catch (IOException readOnlyHome) {
      return Files.createTempDirectory(
          "svdit-onednn-",
          PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
    }
  }

  /**
   * Copies a resource to folder unless it is there whole; written aside and moved, so that no other
   * process sees half.
   */
  private static Path unpack(URL from, Path folder) throws IOException {
    Path file = folder.resolve(Path.of(from.getPath()).getFileName().toString());
    if (Files.exists(file) && Files.size(file) == from.openConnection().getContentLengthLong()) {
      return file;
    }
    Path aside = Files.createTempFile(folder, "unpacking-", null);
    try (InputStream in = from.openStream()) {
      Files.copy(in, aside, StandardCopyOption.REPLACE_EXISTING);
      Files.move(aside, file, StandardCopyOption.ATOMIC_MOVE);
    } finally {
      Files.deleteIfExists(aside);
    }
    return file;
  }
}

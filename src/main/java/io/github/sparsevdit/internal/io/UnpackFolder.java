package io.github.sparsevdit.internal.io;

import java.io.IOException;
import java.io.InputStream;
import java.net.JarURLConnection;
import java.net.URL;
import java.net.URLConnection;
import java.nio.channels.Channels;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFileAttributes;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.nio.file.attribute.UserPrincipal;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.zip.CRC32;
import java.util.zip.CheckedInputStream;

/**
 * A folder that native code from jars is unpacked into. What lies there is run as this user, so the
 * folder and each file must be this user's and nobody else's to write; the checksum in the jar
 * tells a damaged file.
 */
public final class UnpackFolder {
  private static final FileAttribute<Set<PosixFilePermission>> PRIVATE =
      PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------"));

  private final Path folder;

  private UnpackFolder(Path folder) {
    this.folder = folder;
  }

  /**
   * Where folders for all JVMs of this user may be, best first: the cache folder ({@code
   * XDG_CACHE_HOME}, else {@code .cache} in the home), then the temporary one. Relative paths are
   * none: a user without a home has {@code ?} for one.
   */
  public static List<Path> places() {
    List<Path> places = new ArrayList<>();
    String cache = System.getenv("XDG_CACHE_HOME");
    Path base =
        cache != null && !cache.isEmpty()
            ? Path.of(cache)
            : Path.of(System.getProperty("user.home", "?"), ".cache");
    if (base.isAbsolute()) {
      places.add(base.resolve("sparse-vdit"));
    }
    Path temporary = Path.of(System.getProperty("java.io.tmpdir")).toAbsolutePath();
    places.add(temporary.resolve("sparse-vdit-" + userNumber()));
    return places;
  }

  /** The folder of that name at a place, made if need be; IOException says why it is not used. */
  public static UnpackFolder of(Path place, String name) throws IOException {
    Files.createDirectories(place.getParent());
    for (Path path : new Path[] {place, place.resolve(name)}) {
      if (!Files.exists(path, LinkOption.NOFOLLOW_LINKS)) {
        try {
          Files.createDirectory(path, PRIVATE);
        } catch (FileAlreadyExistsException byAnotherProcess) {
          // is looked at below
        }
      }
      if (!Files.isDirectory(path, LinkOption.NOFOLLOW_LINKS) || !isOurs(path)) {
        throw new IOException(path + " is not this user's, or others may write there");
      }
    }
    return new UnpackFolder(place.resolve(name));
  }

  public Path path() {
    return folder;
  }

  /**
   * Copies a resource here unless it is there whole; written aside and moved, so that no other
   * process sees half.
   */
  public Path unpack(URL from) throws IOException {
    Path file = folder.resolve(Path.of(from.getPath()).getFileName().toString());
    URLConnection connection = from.openConnection();
    long bytes = connection.getContentLengthLong();
    long sum = checksum(connection);
    if (Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS)
        && isOurs(file)
        && Files.size(file) == bytes
        && checksum(Files.newInputStream(file)) == sum) {
      return file;
    }
    try (InputStream in = from.openStream()) {
      AtomicFiles.replace(
          file, channel -> in.transferTo(Channels.newOutputStream(channel)), PRIVATE);
    }
    return file;
  }

  private static long checksum(URLConnection connection) throws IOException {
    return connection instanceof JarURLConnection jar
        ? jar.getJarEntry().getCrc()
        : checksum(connection.getInputStream());
  }

  private static long checksum(InputStream contents) throws IOException {
    try (CheckedInputStream in = new CheckedInputStream(contents, new CRC32())) {
      byte[] buffer = new byte[1 << 16];
      while (in.read(buffer) >= 0) {
        // the stream keeps the sum
      }
      return in.getChecksum().getValue();
    }
  }

  private static boolean isOurs(Path path) throws IOException {
    PosixFileAttributes attributes =
        Files.readAttributes(path, PosixFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
    return attributes.owner().equals(user())
        && !attributes.permissions().contains(PosixFilePermission.GROUP_WRITE)
        && !attributes.permissions().contains(PosixFilePermission.OTHERS_WRITE);
  }

  /** Also of a user that has no name. */
  private static UserPrincipal user() throws IOException {
    return Files.getOwner(Path.of("/proc/self"));
  }

  private static String userNumber() {
    try {
      return Files.getAttribute(Path.of("/proc/self"), "unix:uid").toString();
    } catch (IOException | UnsupportedOperationException e) {
      return System.getProperty("user.name");
    }
  }
}

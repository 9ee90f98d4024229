package io.github.sparsevdit;

/**
 * A failure that is not misuse: the machine, the device, the numbers or the library itself failed.
 * Each cause is a subclass:
 *
 * <ul>
 *   <li>{@link BackendUnavailableException}: no such device, driver, library or instructions here
 *   <li>{@link UnsupportedException}: legal, but this backend or build does not do it
 *   <li>{@link OutOfNativeMemoryException}: memory ran out, of the host or a device
 *   <li>{@link DeviceException}: the device reported an error
 *   <li>{@link NotFiniteException}: NaN or an infinity where only numbers make sense
 *   <li>{@link NativeInternalException}: a defect in the native library
 * </ul>
 *
 * <p>Not among them are: misuse, an {@link IllegalArgumentException} ({@link
 * InvalidArgumentException} if the native side found it), {@link IllegalStateException} or {@link
 * IndexOutOfBoundsException}; a cancelled call, a {@link
 * java.util.concurrent.CancellationException}; and files that cannot be read or written, an {@link
 * java.io.IOException} or {@link java.io.UncheckedIOException}.
 */
public abstract class SvditException extends RuntimeException {
  private static final long serialVersionUID = 1;

  protected SvditException(String message) {
    super(message);
  }

  protected SvditException(String message, Throwable cause) {
    super(message, cause);
  }
}

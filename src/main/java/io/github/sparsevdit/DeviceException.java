package io.github.sparsevdit;

/** The device reported an error (SVDIT_DEVICE_ERROR); after a sticky one every later call fails. */
public class DeviceException extends SvditException {
  private static final long serialVersionUID = 1;

  public DeviceException(String message) {
    super(message);
  }
}

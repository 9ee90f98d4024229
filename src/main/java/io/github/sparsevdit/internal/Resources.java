package io.github.sparsevdit.internal;

import java.util.ArrayList;
import java.util.List;

/**
 * Things that are closed together, the last added first, whatever closing one of them throws. Not
 * thread-safe.
 */
public final class Resources implements AutoCloseable {
  private final List<AutoCloseable> all = new ArrayList<>();

  /**
   * Makes an object from things that it owns; where that fails, what there is of them is closed.
   */
  public interface Maker<T> {
    T make(Resources owned);
  }

  /** See {@link Maker}. */
  public static <T> T make(Maker<T> maker) {
    Resources owned = new Resources();
    try {
      return maker.make(owned);
    } catch (RuntimeException | Error failure) {
      owned.closeAfter(failure);
      throw failure;
    }
  }

  public <T extends AutoCloseable> T add(T resource) {
    all.add(resource);
    return resource;
  }

  /** Closes all; what that throws is added to failure as suppressed. */
  public void closeAfter(Throwable failure) {
    while (!all.isEmpty()) {
      try {
        all.removeLast().close();
      } catch (Exception | Error e) {
        failure.addSuppressed(e);
      }
    }
  }

  /** Closes all, then throws what the first that failed threw, with the others as suppressed. */
  @Override
  public void close() {
    Throwable failure = null;
    while (!all.isEmpty()) {
      try {
        all.removeLast().close();
      } catch (Exception | Error e) {
        if (failure == null) {
          failure = e;
        } else {
          failure.addSuppressed(e);
        }
      }
    }
    switch (failure) {
      case null -> {}
      case RuntimeException e -> throw e;
      case Error e -> throw e;
      default -> throw new IllegalStateException(failure);
    }
  }

  /** Closes all of them, as {@link #close} does. */
  public static void closeAll(Iterable<? extends AutoCloseable> resources) {
    Resources all = new Resources();
    resources.forEach(all::add);
    all.close();
  }
}

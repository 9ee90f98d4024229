package io.github.sparsevdit.internal;

import java.util.Arrays;

/**
 * The streams whose work may use something, so that closing it can wait for them. Adding a stream
 * that was added before makes no garbage.
 */
public final class StreamUses {
  private static final StreamHandle[] NONE = {};

  private volatile StreamHandle last;
  private StreamHandle[] all = NONE; // guarded by this

  /** From now on stream's work may use it; called while the stream is entered. */
  void add(StreamHandle stream) {
    if (last == stream) {
      return;
    }
    synchronized (this) {
      boolean known = false;
      for (StreamHandle one : all) {
        known |= one == stream;
      }
      if (!known) {
        all = Arrays.copyOf(all, all.length + 1);
        all[all.length - 1] = stream;
      }
      last = stream;
    }
  }

  /** Waits until none of the streams uses it any more. */
  void await() {
    awaitThen(() -> {});
  }

  /**
   * The same, and then frees it: also where its work failed, since nothing runs any more then, but
   * not where a stream cannot be waited for (IllegalStateException).
   */
  void awaitThen(Runnable free) {
    StreamHandle[] streams;
    synchronized (this) {
      streams = all;
    }
    RuntimeException failure = null;
    boolean mayRun = false;
    for (StreamHandle stream : streams) {
      try {
        stream.await();
      } catch (RuntimeException e) {
        failure = failure == null ? e : failure;
        mayRun |= e instanceof IllegalStateException;
      }
    }
    try {
      if (!mayRun) {
        free.run();
      }
    } finally {
      if (failure != null) {
        throw failure;
      }
    }
  }
}

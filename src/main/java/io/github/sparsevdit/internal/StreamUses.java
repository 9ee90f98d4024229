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

  /**
   * Waits until none of the streams uses it any more; IllegalStateException where one of them is
   * the default stream and this thread captures another.
   */
  void await() {
    RuntimeException failure = null;
    for (StreamHandle stream : streams()) {
      try {
        stream.await();
      } catch (RuntimeException e) {
        failure = failure == null ? e : failure;
      }
    }
    if (failure != null) {
      throw failure;
    }
  }

  /** Throws the IllegalStateException that await() would throw. */
  void requireAwaitable() {
    for (StreamHandle stream : streams()) {
      stream.requireAwaitable();
    }
  }

  /**
   * Waits as await() does, and then frees it: also where its work failed, since nothing runs any
   * more then. Where a capture forbids to wait for a stream, this returns at once, and it is freed
   * once the capture has ended.
   *
   * @param free frees it, and gives back whatever it kept open to be freed
   */
  void awaitThen(Runnable free) {
    RuntimeException failure = null;
    StreamHandle[] streams = streams();
    StreamHandle[] left = NONE;
    for (StreamHandle stream : streams) {
      try {
        if (!stream.tryAwait()) {
          left = Arrays.copyOf(left, left.length + 1);
          left[left.length - 1] = stream;
        }
      } catch (RuntimeException e) {
        failure = failure == null ? e : failure;
      }
    }
    try {
      if (left.length > 0) {
        Deferred.add(left, free);
      } else {
        free.run();
        Deferred.drain();
      }
    } finally {
      if (failure != null) {
        throw failure;
      }
    }
  }

  private synchronized StreamHandle[] streams() {
    return all;
  }
}

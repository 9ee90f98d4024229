package io.github.sparsevdit.internal;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.ReentrantLock;

/**
 * What was closed while work on a default stream might still use it and nobody could wait for that
 * stream, since another is captured. It is given back as soon as the stream can be waited for: when
 * a capture ends; and, where it was another library's, when memory is next allocated or freed, a
 * stream waited for, or a backend closed. Thread-safe.
 */
final class Deferred {
  private static final AtomicInteger COUNT = new AtomicInteger(); // so that asking costs nothing
  private static final ReentrantLock DRAINING = new ReentrantLock(); // taken before a stream's
  private static final List<Deferred> ALL = new ArrayList<>(); // guarded by itself

  private final StreamHandle[] streams;
  private final Runnable free;

  private Deferred(StreamHandle[] streams, Runnable free) {
    this.streams = streams;
    this.free = free;
  }

  /** Runs free, later, when none of streams has work to do that was given before. */
  static void add(StreamHandle[] streams, Runnable free) {
    synchronized (ALL) {
      ALL.add(new Deferred(streams, free));
      COUNT.incrementAndGet();
    }
    drain(); // the capture may have ended in between
  }

  /** Gives back what can be given back by now. The caller holds no default stream. */
  static void drain() {
    if (COUNT.get() == 0) {
      return;
    }
    DRAINING.lock(); // who ends a capture sees what another found too early for
    try {
      List<Deferred> now;
      synchronized (ALL) {
        now = List.copyOf(ALL);
      }
      for (Deferred one : now) {
        if (one.done() && one.taken()) {
          NativeCalls.quietly(one.free);
        }
      }
    } finally {
      DRAINING.unlock();
    }
  }

  /** Takes it off the list; false where free, run by this thread, drained and took it. */
  private boolean taken() {
    synchronized (ALL) {
      boolean mine = ALL.remove(this);
      COUNT.set(ALL.size());
      return mine;
    }
  }

  private boolean done() {
    boolean done = true;
    for (StreamHandle stream : streams) {
      boolean[] waited = {true}; // also where its work failed: nothing runs any more
      NativeCalls.quietly(() -> waited[0] = stream.tryAwait());
      done &= waited[0];
    }
    return done;
  }
}

package io.github.sparsevdit.internal;

import java.util.concurrent.atomic.LongAdder;

/** What a backend's attention calls came to. Adding makes no garbage once threads have met. */
public final class CallCounts {
  private final LongAdder calls = new LongAdder();
  private final LongAdder nanos = new LongAdder();
  private final LongAdder visiblePairs = new LongAdder();
  private final LongAdder allPairs = new LongAdder();

  /** A call that returned. */
  public void add(long nanos, long visiblePairs, long allPairs) {
    calls.increment();
    this.nanos.add(nanos);
    this.visiblePairs.add(visiblePairs);
    this.allPairs.add(allPairs);
  }

  public long calls() {
    return calls.sum();
  }

  public long nanos() {
    return nanos.sum();
  }

  public long visiblePairs() {
    return visiblePairs.sum();
  }

  public long allPairs() {
    return allPairs.sum();
  }
}

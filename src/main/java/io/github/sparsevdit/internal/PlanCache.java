package io.github.sparsevdit.internal;

import io.github.sparsevdit.bindings.Svdit;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import java.util.function.ToLongFunction;

/**
 * Native plans of a backend by what they were compiled from. Several users share one; what nobody
 * uses stays, up to a number of bytes, and the plan released longest ago goes first.
 */
public final class PlanCache {
  /** Bytes of plans that nobody uses, unless {@link #limit} says otherwise. */
  public static final long DEFAULT_BYTES = 256L << 20;

  private final Map<Object, Entry> used = new HashMap<>();
  private final Map<Object, Entry> idle = new LinkedHashMap<>(); // the longest idle first
  private long idleBytes;
  private long limit = DEFAULT_BYTES;
  private long compiled;
  private long reused;
  private boolean closed;

  /** A native plan that its users share. */
  public static final class Entry {
    private final Object key; // null where it is not shared
    private int users = 1; // guarded by the cache
    private volatile MemorySegment plan; // null until compiled; written with this entry's lock
    private long bytes;

    private Entry(Object key) {
      this.key = key;
    }

    /** The svdit_plan. */
    public MemorySegment plan() {
      return plan;
    }
  }

  /**
   * The plan of key, compiled where there is none: at most one thread compiles it, and others that
   * want it wait. The caller releases it.
   *
   * @param key with equals(); null for a plan that is nobody else's
   * @param bytes of a plan
   */
  public Entry acquire(
      Object key, Supplier<MemorySegment> compiler, ToLongFunction<MemorySegment> bytes) {
    Entry entry = key == null ? new Entry(null) : find(key);
    try {
      synchronized (entry) {
        if (entry.plan == null) {
          entry.plan = compiler.get();
          entry.bytes = bytes.applyAsLong(entry.plan);
          count(true);
        } else {
          count(false);
        }
      }
      return entry;
    } catch (RuntimeException | Error failure) {
      release(entry);
      throw failure;
    }
  }

  /** Gives back what acquire() gave; no call uses the plan any more. */
  public void release(Entry entry) {
    List<Entry> evicted = new ArrayList<>();
    synchronized (this) {
      if (--entry.users > 0) {
        return;
      }
      used.remove(entry.key, entry);
      if (entry.plan == null) {
        return; // it could not be compiled
      }
      if (closed || entry.key == null) {
        evicted.add(entry);
      } else {
        idle.put(entry.key, entry);
        idleBytes += entry.bytes;
        evict(evicted);
      }
    }
    destroy(evicted);
  }

  /** From now on at most that many bytes of plans that nobody uses stay. */
  public void limit(long bytes) {
    List<Entry> evicted = new ArrayList<>();
    synchronized (this) {
      limit = bytes;
      evict(evicted);
    }
    destroy(evicted);
  }

  /** Frees what nobody uses; from now on nothing stays. May be called twice. */
  void close() {
    synchronized (this) {
      closed = true;
    }
    limit(0);
  }

  /** How many plans were compiled. */
  public synchronized long compiled() {
    return compiled;
  }

  /** How often one was there already. */
  public synchronized long reused() {
    return reused;
  }

  /** How many nobody uses. */
  public synchronized int idle() {
    return idle.size();
  }

  /** Memory of those. */
  public synchronized long idleBytes() {
    return idleBytes;
  }

  private synchronized Entry find(Object key) {
    Entry entry = idle.remove(key);
    if (entry != null) {
      idleBytes -= entry.bytes;
      entry.users = 1;
      used.put(key, entry);
      return entry;
    }
    entry = used.get(key);
    if (entry != null) {
      entry.users++;
      return entry;
    }
    entry = new Entry(key);
    used.put(key, entry);
    return entry;
  }

  private synchronized void count(boolean isNew) {
    if (isNew) {
      compiled++;
    } else {
      reused++;
    }
  }

  private void evict(List<Entry> evicted) {
    Iterator<Entry> oldest = idle.values().iterator();
    while (idleBytes > limit && oldest.hasNext()) {
      Entry entry = oldest.next();
      oldest.remove();
      idleBytes -= entry.bytes;
      evicted.add(entry);
    }
  }

  private static void destroy(List<Entry> entries) {
    entries.forEach(entry -> Svdit.svdit_plan_destroy(entry.plan));
  }
}

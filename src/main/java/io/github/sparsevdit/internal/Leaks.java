package io.github.sparsevdit.internal;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.lang.System.Logger.Level;
import java.lang.ref.Cleaner;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Reports handles that were never closed, with where they were made, if the JVM runs with {@code
 * -Dsvdit.leaks=true}: to the logger when the garbage collector finds one, and on standard error,
 * at exit, those still open. Off, it costs nothing.
 */
public final class Leaks {
  private static final boolean ENABLED = Boolean.getBoolean("svdit.leaks");
  private static final Handle UNTRACKED = new Handle(null, null);

  private Leaks() {}

  /** What a handle tells when it is closed. */
  public static final class Handle implements Runnable {
    private final String what;
    private final Throwable origin;

    private Handle(String what, Throwable origin) {
      this.what = what;
      this.origin = origin;
    }

    /** The handle was closed as it should. */
    public void closed() {
      if (what != null) {
        Tracker.OPEN.remove(this);
      }
    }

    /** The owner became unreachable. */
    @Override
    public void run() {
      if (Tracker.OPEN.remove(this)) {
        Tracker.LOGGER.log(Level.WARNING, what + " was never closed; it was made here:", origin);
      }
    }
  }

  /** Watches owner, described by what, until the returned handle's closed(). */
  public static Handle track(Object owner, String what) {
    if (!ENABLED) {
      return UNTRACKED;
    }
    Handle handle = new Handle(what, new Throwable(what));
    Tracker.OPEN.add(handle);
    Tracker.CLEANER.register(owner, handle);
    return handle;
  }

  /** For what need not be closed. */
  static Handle untracked() {
    return UNTRACKED;
  }

  /** Exists only where tracking is on. */
  private static final class Tracker {
    static final System.Logger LOGGER = System.getLogger("io.github.sparsevdit.leaks");
    static final Set<Handle> OPEN = ConcurrentHashMap.newKeySet();
    static final Cleaner CLEANER = Cleaner.create();

    static {
      Runtime.getRuntime().addShutdownHook(new Thread(Tracker::reportOpen, "svdit-leaks"));
    }

    /** On standard error: loggers shut down at the same time as this runs. */
    private static void reportOpen() {
      for (Handle handle : OPEN) {
        StringWriter text = new StringWriter();
        handle.origin.printStackTrace(new PrintWriter(text, true));
        System.err.println(handle.what + " was not closed before exit; it was made here:\n" + text);
      }
    }
  }
}

package io.github.sparsevdit.cli.terminal;

import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/**
 * Lets a long task end well on Ctrl-C (or a plain kill): it is told to stop, and the machine waits
 * until the command has ended.
 */
public final class StopOnInterrupt implements AutoCloseable {
  private static final long PATIENCE_SECONDS = 600; // a block of a large model takes minutes

  private static final CountDownLatch COMMAND_ENDED = new CountDownLatch(1);

  private final Thread hook;

  /**
   * @param stop tells the task, from another thread
   */
  public StopOnInterrupt(Runnable stop) {
    hook =
        new Thread(
            () -> {
              stop.run();
              try {
                COMMAND_ENDED.await(PATIENCE_SECONDS, TimeUnit.SECONDS);
              } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
              }
            });
    Runtime.getRuntime().addShutdownHook(hook);
  }

  /** The task has ended. */
  @Override
  public void close() {
    try {
      Runtime.getRuntime().removeShutdownHook(hook);
    } catch (IllegalStateException e) {
      // The machine is shutting down, which is why the task ended; it waits for commandEnded().
    }
  }

  /** The command has said what it had to say: the machine need not wait any longer. */
  public static void commandEnded() {
    COMMAND_ENDED.countDown();
  }
}

package io.github.sparsevdit.internal;

/**
 * What a stream's work uses after the call that queued it has returned: memory, a plan, a graph.
 *
 * <p>Who queues work adds the stream to uses() first and asks alive() then, both while the stream
 * is entered; who closes makes alive() false first and awaits uses() then, which enters the
 * streams. So either the work is refused, or closing waits for it.
 */
public interface StreamUsed {
  /** The streams whose work may use it. */
  StreamUses uses();

  /** Whether close() has not begun. */
  boolean alive();
}

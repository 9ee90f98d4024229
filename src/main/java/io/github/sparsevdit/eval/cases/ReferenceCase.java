package io.github.sparsevdit.eval.cases;

import io.github.sparsevdit.Backend;

/** Inputs and the results a reference computed for them. */
public interface ReferenceCase {
  /** Names it within its family: {@code "wan-like-d128"}. */
  String name();

  /**
   * What kind of case it is: {@code "attention"}, {@code "denoisers"}, {@code "schedulers"}, {@code
   * "runs"}.
   */
  String family();

  /**
   * Computes the results on backend and compares. What cannot be run there is SKIPPED, with the
   * reason in the note.
   */
  CaseResult run(Backend backend);
}

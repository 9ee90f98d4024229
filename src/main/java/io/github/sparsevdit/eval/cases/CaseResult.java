package io.github.sparsevdit.eval.cases;

import java.util.Objects;

/**
 * What became of a case.
 *
 * @param error the greatest difference from the reference; NaN where nothing was compared
 * @param bound what it may be; NaN where nothing was compared
 * @param note what was compared, why it failed or was skipped; may be empty
 */
public record CaseResult(Status status, double error, double bound, String note) {
  /** How it ended. */
  public enum Status {
    PASSED,
    FAILED,
    SKIPPED
  }

  public CaseResult {
    Objects.requireNonNull(status, "status");
    Objects.requireNonNull(note, "note");
  }

  /** Passed if error is at most bound, else (NaN too) failed. */
  public static CaseResult of(double error, double bound, String note) {
    return new CaseResult(error <= bound ? Status.PASSED : Status.FAILED, error, bound, note);
  }

  /** Failed for a reason that is no number. */
  public static CaseResult failed(String note) {
    return new CaseResult(Status.FAILED, Double.NaN, Double.NaN, note);
  }

  /** Not run, for this reason. */
  public static CaseResult skipped(String note) {
    return new CaseResult(Status.SKIPPED, Double.NaN, Double.NaN, note);
  }
}

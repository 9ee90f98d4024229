package io.github.sparsevdit.pipeline;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/**
 * Which steps a run is to take: how many, or at which noise levels, and a shift in place of the
 * scheduler's own. Levels are those before the shift, as diffusers' {@code set_timesteps} takes
 * them: with a shift of 1 they are what the network is given. Immutable.
 */
public final class RunSteps {
  private final int count;
  private final double[] levels; // null where the scheduler spreads them
  private final boolean timesteps; // whether levels are timesteps and not σ
  private final Double shift; // null for the scheduler's own

  private RunSteps(int count, double[] levels, boolean timesteps, Double shift) {
    this.count = count;
    this.levels = levels;
    this.timesteps = timesteps;
    this.shift = shift;
  }

  /** So many, spread as the scheduler does. */
  public static RunSteps of(int count) {
    if (count < 1) {
      throw new IllegalArgumentException("steps must be at least 1: " + count);
    }
    return new RunSteps(count, null, false, null);
  }

  /** One at each σ: above 0, up to 1, descending. The last leads to 0. */
  public static RunSteps atSigmas(List<Double> sigmas) {
    return at(sigmas, 1, false, "sigmas");
  }

  /** One at each timestep: above 0, up to 1000, descending. The last leads to 0. */
  public static RunSteps atTimesteps(List<Double> timesteps) {
    return at(timesteps, 1000, true, "timesteps");
  }

  private static RunSteps at(List<Double> levels, double most, boolean timesteps, String name) {
    double before = Double.POSITIVE_INFINITY;
    for (double level : levels) {
      if (!(level > 0 && level <= most && level < before)) {
        throw new IllegalArgumentException(
            String.format(
                Locale.ROOT,
                "%s %s: expected numbers above 0 and up to %.0f that descend; the last step leads to 0 by itself",
                name,
                levels,
                most));
      }
      before = level;
    }
    if (levels.isEmpty()) {
      throw new IllegalArgumentException(name + ": expected at least one");
    }
    double[] values = levels.stream().mapToDouble(Double::doubleValue).toArray();
    return new RunSteps(values.length, values, timesteps, null);
  }

  /**
   * The same with another shift than the scheduler's configuration has.
   *
   * @param shift above 0; null for the configuration's
   */
  public RunSteps withShift(Double shift) {
    if (shift != null) {
      FlowMatchEuler.requireShift(shift);
    }
    return new RunSteps(count, levels, timesteps, shift);
  }

  /** How many. */
  public int count() {
    return count;
  }

  /** σ before the shift; null where the scheduler spreads them. */
  double[] sigmas(int trainTimesteps) {
    if (levels == null || !timesteps) {
      return levels == null ? null : levels.clone();
    }
    return Arrays.stream(levels).map(level -> level / trainTimesteps).toArray();
  }

  /** Whether the levels are given. */
  boolean given() {
    return levels != null;
  }

  /** The shift in place of the configuration's; null for that. */
  Double shift() {
    return shift;
  }
}

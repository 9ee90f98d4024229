package io.github.sparsevdit.pattern;

import java.util.List;

/** A run's timesteps, one per step, strictly descending, in [0, 1000]. */
public record Schedule(List<Double> timesteps) {
  public Schedule {
    timesteps = List.copyOf(timesteps);
    if (timesteps.isEmpty()) {
      throw new IllegalArgumentException("a schedule needs at least one timestep");
    }
    for (int i = 0; i < timesteps.size(); i++) {
      double timestep = timesteps.get(i);
      if (!(timestep >= 0 && timestep <= 1000)) {
        throw new IllegalArgumentException("timestep " + i + " must lie in [0, 1000]: " + timestep);
      }
      if (i > 0 && timestep >= timesteps.get(i - 1)) {
        throw new IllegalArgumentException(
            "timesteps must descend: step "
                + (i - 1)
                + " is "
                + timesteps.get(i - 1)
                + ", step "
                + i
                + " is "
                + timestep);
      }
    }
  }

  public int steps() {
    return timesteps.size();
  }
}

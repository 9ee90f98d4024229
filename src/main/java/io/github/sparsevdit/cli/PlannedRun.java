package io.github.sparsevdit.cli;

import io.github.sparsevdit.AttentionPlan;
import io.github.sparsevdit.Backend;
import io.github.sparsevdit.DispatchTable;
import io.github.sparsevdit.ModelShape;
import io.github.sparsevdit.Schedule;
import io.github.sparsevdit.Sequence;
import io.github.sparsevdit.SparseAttention;
import io.github.sparsevdit.estimate.ModelProfile;
import io.github.sparsevdit.estimate.Speeds;
import io.github.sparsevdit.model.ForwardCost;
import io.github.sparsevdit.model.Geometry;
import io.github.sparsevdit.tensor.ElementType;
import java.util.Arrays;
import java.util.IdentityHashMap;
import java.util.Map;

/**
 * A model with one run of it, and what the run takes.
 *
 * @param frames of the video, as height and width in pixels
 * @param paper what the paper says of this very run; null where nothing
 */
record PlannedRun(
    ModelProfile model,
    int height,
    int width,
    int frames,
    int steps,
    int passes,
    ModelProfile.Paper paper) {
  private static final double PETA = 1e15;

  static PlannedRun of(ModelProfile model, ModelProfile.Run run) {
    return new PlannedRun(
        model, run.height(), run.width(), run.frames(), run.steps(), run.passes(), run.paper());
  }

  PlannedRun withoutPaper() {
    return new PlannedRun(model, height, width, frames, steps, passes, null);
  }

  Geometry geometry() {
    return model.geometry();
  }

  ModelShape shape() {
    return geometry().shape(model.name());
  }

  /** Frames, height and width of the latents. */
  int[] latents() {
    return new int[] {
      (frames - 1) / model.vaeFrames() + 1, height / model.vaePixels(), width / model.vaePixels()
    };
  }

  Sequence sequence() {
    int[] latents = latents();
    return geometry().sequence(latents[0], latents[1], latents[2], model.text());
  }

  /** Of one forward pass. */
  ForwardCost forward() {
    return geometry().cost(sequence(), model.text(), model.image());
  }

  /** Forward passes in all. */
  int forwards() {
    return steps * passes;
  }

  /** PFLOP of all matrix products and cross-attention. */
  double products() {
    return forward().products() * forwards() / PETA;
  }

  /** PFLOP of dense self-attention. */
  double attention() {
    return forward().attention() * forwards() / PETA;
  }

  double dense() {
    return products() + attention();
  }

  /** PFLOP with self-attention of that density. */
  double sparse(double density) {
    return products() + density * attention();
  }

  /** The attention density that would save as much as the paper's figures say was saved. */
  double paperDensity() {
    return 1 - (paper.dense() - paper.sparse()) / attention();
  }

  long weightBytes(ElementType type) {
    return model.networks() * geometry().parameters() * type.bytes();
  }

  long activationBytes(ElementType type) {
    return geometry().activationBytes(type, sequence(), model.text(), model.image());
  }

  /** Seconds of the run, everything but products and self-attention left out. */
  double seconds(Speeds speeds, double density) {
    double productSeconds = Double.isNaN(speeds.products()) ? 0 : products() / speeds.products();
    return PETA * (productSeconds + density * attention() / speeds.attention());
  }

  /** A table's density by step and layer. */
  double[][] densities(Backend backend, DispatchTable table, Schedule schedule, ElementType type) {
    try (SparseAttention attention =
        SparseAttention.of(backend, table, sequence(), schedule, type)) {
      Map<AttentionPlan, Double> known = new IdentityHashMap<>(); // steps of a phase share plans
      double[][] densities = new double[schedule.steps()][shape().layers()];
      for (int step = 0; step < densities.length; step++) {
        for (int layer = 0; layer < densities[step].length; layer++) {
          densities[step][layer] =
              known.computeIfAbsent(
                  attention.plan(step, layer),
                  plan -> Arrays.stream(plan.density()).average().orElseThrow());
        }
      }
      return densities;
    }
  }

  static double mean(double[][] densities) {
    return Arrays.stream(densities).flatMapToDouble(Arrays::stream).average().orElseThrow();
  }
}

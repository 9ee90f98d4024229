package io.github.sparsevdit.estimate;

import io.github.sparsevdit.AttentionPlan;
import io.github.sparsevdit.Backend;
import io.github.sparsevdit.SparseAttention;
import io.github.sparsevdit.model.ForwardCost;
import io.github.sparsevdit.model.Geometry;
import io.github.sparsevdit.pattern.ModelShape;
import io.github.sparsevdit.pattern.Schedule;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.table.DispatchTable;
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
public record PlannedRun(
    ModelProfile model,
    int height,
    int width,
    int frames,
    int steps,
    int passes,
    ModelProfile.Paper paper) {
  private static final double PETA = 1e15;

  public static PlannedRun of(ModelProfile model, ModelProfile.Run run) {
    return new PlannedRun(
        model, run.height(), run.width(), run.frames(), run.steps(), run.passes(), run.paper());
  }

  public PlannedRun withoutPaper() {
    return new PlannedRun(model, height, width, frames, steps, passes, null);
  }

  public Geometry geometry() {
    return model.geometry();
  }

  public ModelShape shape() {
    return geometry().shape(model.name());
  }

  /** Frames, height and width of the latents. */
  public int[] latents() {
    return new int[] {
      (frames - 1) / model.vaeFrames() + 1, height / model.vaePixels(), width / model.vaePixels()
    };
  }

  public Sequence sequence() {
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
  public double products() {
    return forward().products() * forwards() / PETA;
  }

  /** PFLOP of dense self-attention. */
  public double attention() {
    return forward().attention() * forwards() / PETA;
  }

  public double dense() {
    return products() + attention();
  }

  /** PFLOP with self-attention of that density. */
  public double sparse(double density) {
    return products() + density * attention();
  }

  /** The attention density that would save as much as the paper's figures say was saved. */
  public double paperDensity() {
    return 1 - (paper.dense() - paper.sparse()) / attention();
  }

  public long weightBytes(ElementType type) {
    return model.networks() * geometry().parameters() * type.bytes();
  }

  public long activationBytes(ElementType type) {
    return geometry().activationBytes(type, sequence(), model.text(), model.image());
  }

  /** Seconds of the run, everything but products and self-attention left out. */
  public double seconds(Speeds speeds, double density) {
    double productSeconds = Double.isNaN(speeds.products()) ? 0 : products() / speeds.products();
    return PETA * (productSeconds + density * attention() / speeds.attention());
  }

  /** A table's density by step and layer. */
  public double[][] densities(
      Backend backend, DispatchTable table, Schedule schedule, ElementType type) {
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

  public static double mean(double[][] densities) {
    return Arrays.stream(densities).flatMapToDouble(Arrays::stream).average().orElseThrow();
  }
}

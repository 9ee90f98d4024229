package io.github.sparsevdit.pipeline;

import io.github.sparsevdit.NotFiniteException;
import io.github.sparsevdit.model.Conditioning;
import io.github.sparsevdit.model.VideoTransformer;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.util.Locale;

/** Stops a run at the first result that is no finite number, and says what most likely made it. */
final class FiniteRun {
  /**
   * Norms add up the squares of thousands of sums of thousands of inputs. Past float's range their
   * factor is 0, and all that is normalised vanishes without a NaN; no encoder gives such values.
   */
  private static final float LARGEST = 1e15f;

  private final VideoTransformer transformer;
  private final int steps;

  FiniteRun(VideoTransformer transformer, int steps) {
    this.transformer = transformer;
    this.steps = steps;
  }

  /** Refuses latents and conditioning (either may be null) to begin or go on with. */
  void requireBegin(float[] latents, int step, Conditioning prompt, Conditioning negative) {
    String before = "before step %d of %d: ".formatted(step + 1, steps);
    int at = firstNotFinite(latents);
    if (at >= 0) {
      throw new NotFiniteException(
          before
              + "the latents hold %s at element %d: the noise or the state given is damaged"
                  .formatted(latents[at], at));
    }
    requireEmbedding(before, "the prompt's ", prompt);
    requireEmbedding(before, "the negative prompt's ", negative);
  }

  /** Refuses what the network said of latents that are finite. */
  void requireOutput(float[] output, int step, int branch, double timestep) {
    int at = firstNotFinite(output);
    if (at >= 0) {
      throw new NotFiniteException(
          "%s, %s prompt: %s gave %s at element %d of its output. %s; the latents are as they were before this step"
              .formatted(
                  where(step, timestep),
                  branch == 0 ? "the" : "the negative",
                  network(timestep),
                  output[at],
                  at,
                  cause(timestep)));
    }
  }

  /** Refuses what guidance and the scheduler made of finite outputs. */
  void requireSample(float[] sample, int step, double timestep, Scheduler scheduler, double scale) {
    int at = firstNotFinite(sample);
    if (at >= 0) {
      throw new NotFiniteException(
          "%s: the scheduler's step (%s, guidance %s) gave %s at element %d from outputs of %s that are finite. Likely cause: a guidance scale, a shift or a checkpoint's outputs so large that they pass float's range; the latents are as they were before this step"
              .formatted(
                  where(step, timestep),
                  scheduler.getClass().getSimpleName(),
                  scale,
                  sample[at],
                  at,
                  network(timestep)));
    }
  }

  private String where(int step, double timestep) {
    return String.format(Locale.ROOT, "step %d of %d (timestep %.6g)", step + 1, steps, timestep);
  }

  private String network(double timestep) {
    String name = transformer.shape().name();
    if (transformer.boundary() == 0) {
      return "the network " + name;
    }
    return timestep >= transformer.boundary()
        ? "the first network of " + name + " (transformer/)"
        : "the second network of " + name + " (transformer_2/)";
  }

  /** What is damaged, where it can be seen; else what is left. */
  private String cause(double timestep) {
    String weight = transformer.weightNotFinite(timestep);
    if (weight != null) {
      return "Cause: the weight " + weight + " holds NaN or an infinity: the checkpoint is damaged";
    }
    return "Likely cause: values inside the network pass the range of "
        + transformer.type()
        + (transformer.type() == ElementType.FP32 ? "" : " (--type fp32 has more digits)")
        + ", since all its weights and the prompt's embeddings are finite";
  }

  private void requireEmbedding(String before, String whose, Conditioning c) {
    if (c == null) {
      return;
    }
    int valid = c.textValid() < 0 ? c.textTokens() : c.textValid();
    Tensor text = valid == 0 ? null : c.text().slice(0, 0, valid); // the rest may hold anything
    for (Conditioning.Part part : Conditioning.Part.values()) {
      Tensor tensor = part == Conditioning.Part.TEXT ? text : c.part(part);
      float[] values = tensor == null ? new float[0] : tensor.toFloats();
      for (int at = 0; at < values.length; at++) {
        if (!(Math.abs(values[at]) < LARGEST)) {
          throw new NotFiniteException(
              "%s%s%s holds %s at element %d, of which %s makes no numbers: encode it anew"
                  .formatted(
                      before, whose, part.title(), values[at], at, transformer.shape().name()));
        }
      }
    }
  }

  private static int firstNotFinite(float[] values) {
    for (int i = 0; i < values.length; i++) {
      if (!Float.isFinite(values[i])) {
        return i;
      }
    }
    return -1;
  }
}

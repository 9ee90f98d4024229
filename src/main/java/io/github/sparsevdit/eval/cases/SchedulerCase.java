package io.github.sparsevdit.eval.cases;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.UnsupportedException;
import io.github.sparsevdit.pipeline.Scheduler;
import io.github.sparsevdit.pipeline.Schedulers;
import io.github.sparsevdit.tensor.Safetensors;
import io.github.sparsevdit.tensor.TensorSource;
import java.nio.file.Path;
import java.util.Map;

/**
 * A scheduler's whole trajectory: {@code x.<i>} before step i, {@code model.<i>} what the model
 * said, {@code x.<n>} the end.
 */
record SchedulerCase(Path path) implements ReferenceCase {
  private static final double BOUND = 2e-6;
  private static final Map<String, String> CLASS_OF_PREFIX =
      Map.of(
          "unipc", "UniPCMultistepScheduler",
          "flow-match-euler", "FlowMatchEulerDiscreteScheduler",
          "cogvideox-ddim", "CogVideoXDDIMScheduler",
          "cogvideox-dpm", "CogVideoXDPMScheduler");

  @Override
  public String name() {
    return ReferenceCases.nameOf(path);
  }

  @Override
  public String family() {
    return "schedulers";
  }

  @Override
  public CaseResult run(Backend backend) {
    try (TensorSource tensors = Safetensors.open(path)) {
      int steps = Integer.parseInt(tensors.metadata().get("steps"));
      Scheduler scheduler =
          Schedulers.create(className(), tensors.metadata().get("config"), steps, null);
      float[] timesteps = new float[steps];
      for (int i = 0; i < steps; i++) {
        timesteps[i] = scheduler.schedule().timesteps().get(i).floatValue();
      }
      Comparison comparison = new Comparison();
      comparison.add("timesteps", timesteps, tensors.tensor("timesteps").toFloats());
      float[] sample = tensors.tensor("x.0").toFloats();
      for (int i = 0; i < steps; i++) {
        scheduler.step(i, tensors.tensor("model." + i).toFloats(), sample);
        String after = "x." + (i + 1);
        comparison.add(after, sample, tensors.tensor(after).toFloats());
      }
      return comparison.result(BOUND);
    } catch (UnsupportedException e) {
      return CaseResult.skipped(e.getMessage());
    }
  }

  /** The file's name says which scheduler it is of. */
  private String className() {
    return CLASS_OF_PREFIX.entrySet().stream()
        .filter(entry -> name().startsWith(entry.getKey()))
        .map(Map.Entry::getValue)
        .findFirst()
        .orElseThrow(() -> new UnsupportedException(name() + " names no scheduler that is known"));
  }
}

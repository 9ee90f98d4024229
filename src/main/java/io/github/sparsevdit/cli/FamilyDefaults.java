package io.github.sparsevdit.cli;

import io.github.sparsevdit.model.Scheduler;
import io.github.sparsevdit.model.Schedulers;

/** What the published pipelines use, for a transformer that comes without a pipeline. */
final class FamilyDefaults {
  private FamilyDefaults() {}

  /** The scheduler of the family that {@code className}, a transformer's, belongs to. */
  static Scheduler scheduler(String className, int steps, long seed) {
    return switch (className) {
      case "HunyuanVideoTransformer3DModel" ->
          Schedulers.create("FlowMatchEulerDiscreteScheduler", "{\"shift\": 7.0}", steps, seed);
      case "CogVideoXTransformer3DModel" ->
          Schedulers.create("CogVideoXDDIMScheduler", Schedulers.COGVIDEOX, steps, seed);
      default -> Schedulers.create("UniPCMultistepScheduler", Schedulers.wan(5), steps, seed);
    };
  }

  /** The guidance scale. */
  static double guidance(String className) {
    return switch (className) {
      case "HunyuanVideoTransformer3DModel", "CogVideoXTransformer3DModel" -> 6;
      default -> 5;
    };
  }

  /** Whether its latents are [frames, channels, height, width] and not channels first. */
  static boolean framesFirst(String className) {
    return className.equals("CogVideoXTransformer3DModel");
  }
}

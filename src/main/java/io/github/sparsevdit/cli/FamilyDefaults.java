package io.github.sparsevdit.cli;

import io.github.sparsevdit.model.RunSteps;
import io.github.sparsevdit.model.Scheduler;
import io.github.sparsevdit.model.Schedulers;

/** What the published pipelines use, for a transformer that comes without a pipeline. */
final class FamilyDefaults {
  private FamilyDefaults() {}

  /** The scheduler of the family that {@code className}, a transformer's, belongs to. */
  static Scheduler scheduler(String className, RunSteps steps, long seed) {
    String scheduler;
    String config;
    switch (className) {
      case "HunyuanVideoTransformer3DModel" -> {
        scheduler = "FlowMatchEulerDiscreteScheduler";
        config = "{\"shift\": 7.0}";
      }
      case "CogVideoXTransformer3DModel" -> {
        scheduler = "CogVideoXDDIMScheduler";
        config = Schedulers.COGVIDEOX;
      }
      default -> {
        scheduler = "UniPCMultistepScheduler";
        config = Schedulers.wan(5);
      }
    }
    return Schedulers.create(scheduler, config, className, steps, seed);
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

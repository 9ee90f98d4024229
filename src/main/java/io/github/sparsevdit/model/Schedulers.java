package io.github.sparsevdit.model;

import io.github.sparsevdit.UnsupportedException;
import java.nio.file.Path;
import java.util.Random;

/** Makes schedulers from diffusers' {@code scheduler_config.json}. */
public final class Schedulers {
  private Schedulers() {}

  /**
   * The scheduler a configuration names in {@code _class_name}.
   *
   * @param config a scheduler_config.json
   * @param steps of a run
   * @param seed of the random term, where a scheduler has one
   */
  public static Scheduler read(Path config, int steps, long seed) {
    ConfigFile file = ConfigFile.read(config);
    return create(file.text("_class_name"), file, steps, seed);
  }

  /**
   * The same from the configuration's text.
   *
   * @param className its {@code _class_name}
   * @param seed of the random term; null leaves that out
   */
  public static Scheduler create(String className, String json, int steps, Long seed) {
    return create(className, ConfigFile.parse(json, className), steps, seed);
  }

  private static Scheduler create(String className, ConfigFile config, int steps, Long seed) {
    int train = config.integer("num_train_timesteps", 1000);
    switch (className) {
      case "UniPCMultistepScheduler" -> {
        config.expect("prediction_type", "flow_prediction");
        config.expect("use_flow_sigmas", "true");
        config.expect("predict_x0", "true");
        config.expect("solver_type", "bh2");
        config.expect("lower_order_final", "true");
        config.expect("thresholding", "false");
        config.expect("use_dynamic_shifting", "false");
        config.expect("final_sigmas_type", "zero");
        return new UniPc(
            steps, config.number("flow_shift", 1), config.integer("solver_order", 2), train);
      }
      case "FlowMatchEulerDiscreteScheduler" -> {
        config.expect("use_dynamic_shifting", "false");
        config.expect("invert_sigmas", "false");
        config.expect("use_karras_sigmas", "false");
        config.expect("use_exponential_sigmas", "false");
        config.expect("use_beta_sigmas", "false");
        config.expect("stochastic_sampling", "false");
        return new FlowMatchEuler(steps, config.number("shift", 1), train);
      }
      case "CogVideoXDDIMScheduler", "CogVideoXDPMScheduler" -> {
        config.expect("beta_schedule", "scaled_linear");
        config.expect("prediction_type", "v_prediction");
        config.expect("timestep_spacing", "trailing");
        config.expect("rescale_betas_zero_snr", "true");
        config.expect("set_alpha_to_one", "true");
        config.expect("clip_sample", "false");
        double start = config.number("beta_start", 0.00085);
        double end = config.number("beta_end", 0.012);
        double snr = config.number("snr_shift_scale", 1);
        return className.equals("CogVideoXDDIMScheduler")
            ? new CogVideoXDdim(steps, train, start, end, snr)
            : new CogVideoXDpm(
                steps, train, start, end, snr, seed == null ? null : () -> new Random(seed));
      }
      default ->
          throw new UnsupportedException(
              config.where()
                  + ": scheduler "
                  + className
                  + " is not supported; UniPCMultistepScheduler, FlowMatchEulerDiscreteScheduler,"
                  + " CogVideoXDDIMScheduler and CogVideoXDPMScheduler are");
    }
  }
}

package io.github.sparsevdit.pipeline;

import io.github.sparsevdit.UnsupportedException;
import io.github.sparsevdit.model.families.Families;
import io.github.sparsevdit.model.parts.ConfigFile;
import io.github.sparsevdit.model.parts.Family;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * Makes schedulers from diffusers' {@code scheduler_config.json}. Every entry is followed, or
 * refused by file, name and value, except those that change nothing ({@code settings.json}, each
 * with its reason). An absent entry means diffusers' default.
 */
public final class Schedulers {
  private static final List<String> ALL =
      List.of(
          "UniPCMultistepScheduler",
          "FlowMatchEulerDiscreteScheduler",
          "CogVideoXDDIMScheduler",
          "CogVideoXDPMScheduler");

  private Schedulers() {}

  /**
   * The scheduler a configuration names in {@code _class_name}.
   *
   * @param config a scheduler_config.json
   * @param steps of a run
   * @param seed of the random term, where a scheduler has one; null leaves that out
   */
  public static Scheduler read(Path config, int steps, long seed) {
    return read(config, null, RunSteps.of(steps), seed);
  }

  /**
   * The same as the pipeline of a transformer runs it.
   *
   * @param transformer its class: some pipelines give σ, others a number of steps; null for a
   *     scheduler's own family
   */
  public static Scheduler read(Path config, String transformer, RunSteps steps, Long seed) {
    ConfigFile file = ConfigFile.read(config);
    return create(file.text("_class_name"), file, family(transformer), steps, seed);
  }

  /**
   * The same from the configuration's text.
   *
   * @param className its {@code _class_name}
   * @param seed of the random term; null leaves that out
   */
  public static Scheduler create(String className, String json, int steps, Long seed) {
    return create(className, json, null, RunSteps.of(steps), seed);
  }

  /** The same as the pipeline of a transformer of that class runs it; see {@link #read}. */
  public static Scheduler create(
      String className, String json, String transformer, RunSteps steps, Long seed) {
    return create(className, ConfigFile.parse(json, className), family(transformer), steps, seed);
  }

  /**
   * What the published pipelines of a denoiser's class run with.
   *
   * @param transformer the class
   */
  public static Scheduler usual(String transformer, RunSteps steps, Long seed) {
    Family family = Families.of(transformer);
    String className = family.defaults().scheduler();
    ConfigFile config = ConfigFile.parse(family.defaults().schedulerConfig(), className);
    return create(className, config, family, steps, seed);
  }

  private static Family family(String transformer) {
    return transformer == null ? null : Families.of(transformer);
  }

  private static Scheduler create(
      String className, ConfigFile config, Family family, RunSteps steps, Long seed) {
    requireDriven(className, config, family);
    Scheduler scheduler =
        switch (className) {
          case "UniPCMultistepScheduler" -> uniPc(config, family, steps);
          case "FlowMatchEulerDiscreteScheduler" -> flowMatchEuler(config, family, steps);
          case "CogVideoXDDIMScheduler" -> {
            requireCounted(className, config, steps);
            yield new CogVideoXDdim(cogVideoX(config, steps.count()));
          }
          case "CogVideoXDPMScheduler" -> {
            requireCounted(className, config, steps);
            yield new CogVideoXDpm(
                cogVideoX(config, steps.count()), seed == null ? null : () -> new Random(seed));
          }
          default ->
              throw new UnsupportedException(
                  config.where()
                      + ": scheduler "
                      + className
                      + " is not supported; UniPCMultistepScheduler, FlowMatchEulerDiscreteScheduler,"
                      + " CogVideoXDDIMScheduler and CogVideoXDPMScheduler are");
        };
    config.requireAllKnown(className);
    return scheduler;
  }

  /** A pipeline gives its scheduler what not all of them take. */
  private static void requireDriven(String className, ConfigFile config, Family family) {
    if (family != null && family.otherSchedulers().contains(className)) {
      throw new UnsupportedException(
          "%s: %s's pipeline cannot drive %s; take %s"
              .formatted(
                  config.where(),
                  family.name(),
                  className,
                  ALL.stream()
                      .filter(name -> !family.otherSchedulers().contains(name))
                      .collect(Collectors.joining(" or "))));
    }
  }

  /** CogVideoX's schedulers take a number of steps and nothing else. */
  private static void requireCounted(String className, ConfigFile config, RunSteps steps) {
    if (steps.given() || steps.shift() != null) {
      throw new IllegalArgumentException(
          "%s: %s takes a number of steps; %s"
              .formatted(
                  config.where(),
                  className,
                  steps.given()
                      ? "it has no sigmas or timesteps of one's own"
                      : "it has no flow shift"));
    }
  }

  /** σ before the shift as a pipeline gives them; null where the scheduler spreads them. */
  private static double[] sigmas(ConfigFile config, boolean givesSigmas, RunSteps steps) {
    double[] given = steps.sigmas(trainTimesteps(config));
    if (given != null || !givesSigmas) {
      return given;
    }
    double[] spread = new double[steps.count()];
    Arrays.setAll(spread, i -> i * (-1.0 / spread.length) + 1); // as linspace rounds
    return spread;
  }

  private static double shift(ConfigFile config, String key, RunSteps steps) {
    double own = config.positive(key, 1);
    return steps.shift() == null ? own : steps.shift();
  }

  private static UniPc uniPc(ConfigFile config, Family family, RunSteps steps) {
    config.require("prediction_type", "flow_prediction", "epsilon");
    config.require("use_flow_sigmas", "true", "false");
    // These three go before flow sigmas in diffusers.
    config.require("use_karras_sigmas", "false", "false");
    config.require("use_exponential_sigmas", "false", "false");
    config.require("use_beta_sigmas", "false", "false");
    config.require("predict_x0", "true", "true");
    // With bh1, and without lower orders at the end, diffusers' own last step to sigma 0 is NaN.
    if (!Set.of("bh2", "midpoint", "heun", "logrho").contains(config.text("solver_type", "bh2"))) {
      throw config.wrong("solver_type", "bh2");
    }
    config.require("lower_order_final", "true", "true");
    config.require("thresholding", "false", "false");
    config.require("use_dynamic_shifting", "false", "false");
    if (config.has("solver_p")) {
      throw config.wrong("solver_p", "null: no other solver is supported beside UniC");
    }
    int order = config.integer("solver_order", 2);
    if (order < 1 || order > 2) {
      throw config.wrong("solver_order", "1 or 2");
    }
    String end = config.oneOf("final_sigmas_type", "zero", "zero", "sigma_min");
    double[] given = sigmas(config, family != null && family.givesSigmas(), steps);
    int train = trainTimesteps(config);
    return new UniPc(
        given == null ? UniPc.spread(steps.count(), train) : given,
        shift(config, "flow_shift", steps),
        order,
        train,
        terminal(config, steps.count()),
        end.equals("sigma_min"),
        config.integers("disable_corrector"));
  }

  private static FlowMatchEuler flowMatchEuler(ConfigFile config, Family family, RunSteps steps) {
    config.require("use_dynamic_shifting", "false", "false");
    config.require("invert_sigmas", "false", "false");
    config.require("use_beta_sigmas", "false", "false");
    config.require("stochastic_sampling", "false", "false");
    boolean karras = config.flag("use_karras_sigmas", false);
    boolean exponential = config.flag("use_exponential_sigmas", false);
    if (karras && exponential) {
      throw config.wrong("use_exponential_sigmas", "false beside use_karras_sigmas");
    }
    double shift = shift(config, "shift", steps);
    int train = trainTimesteps(config);
    double[] given = sigmas(config, family == null || family.givesSigmas(), steps);
    return new FlowMatchEuler(
        given == null
            ? FlowMatchEuler.spread(steps.count(), shift, train)
            : FlowMatchEuler.rounded(given),
        shift,
        train,
        terminal(config, steps.count()),
        karras
            ? FlowMatchEuler.Spacing.KARRAS
            : exponential ? FlowMatchEuler.Spacing.EXPONENTIAL : FlowMatchEuler.Spacing.SHIFTED);
  }

  private static CogVideoXSchedule cogVideoX(ConfigFile config, int steps) {
    String betas = config.oneOf("beta_schedule", "scaled_linear", "scaled_linear", "linear");
    if (config.has("trained_betas")) {
      throw config.wrong("trained_betas", "null");
    }
    int train = trainTimesteps(config);
    if (steps > train) {
      throw new IllegalArgumentException(
          "%s: %d steps; num_train_timesteps allows at most %d"
              .formatted(config.where(), steps, train));
    }
    String spacing = config.oneOf("timestep_spacing", "leading", "leading", "linspace", "trailing");
    int offset = config.integer("steps_offset", 0);
    if (spacing.equals("leading") && (steps - 1L) * (train / steps) + offset >= train) {
      throw config.wrong("steps_offset", "an offset that stays below num_train_timesteps " + train);
    }
    double start = config.positive("beta_start", 0.00085);
    double end = config.positive("beta_end", 0.012);
    if (start >= 1 || end >= 1) {
      throw config.wrong(start >= 1 ? "beta_start" : "beta_end", "a number below 1");
    }
    CogVideoXSchedule levels =
        new CogVideoXSchedule(
            steps,
            train,
            betas.equals("linear"),
            start,
            end,
            config.positive("snr_shift_scale", 3),
            config.flag("rescale_betas_zero_snr", false),
            config.flag("set_alpha_to_one", true),
            spacing,
            offset,
            config.oneOf("prediction_type", "epsilon", "epsilon", "sample", "v_prediction"));
    if (levels.prediction().equals("epsilon") && levels.alpha(0) == 0) {
      throw config.wrong(
          "prediction_type",
          "sample or v_prediction, where the first step is pure noise (rescale_betas_zero_snr)");
    }
    return levels;
  }

  private static int trainTimesteps(ConfigFile config) {
    int train = config.integer("num_train_timesteps", 1000);
    if (train < 2 || train > 1000) {
      throw config.wrong("num_train_timesteps", "2 to 1000");
    }
    return train;
  }

  /** What the last sigma is stretched to; 0 for none, as diffusers takes it. */
  private static double terminal(ConfigFile config, int steps) {
    double terminal = config.number("shift_terminal", 0);
    if (!(terminal >= 0 && terminal < 1)) {
      throw config.wrong("shift_terminal", "null, or a number from 0 to below 1");
    }
    if (terminal > 0 && steps == 1) {
      throw config.wrong("shift_terminal", "null for a run of one step, which has no last sigma");
    }
    return terminal;
  }
}

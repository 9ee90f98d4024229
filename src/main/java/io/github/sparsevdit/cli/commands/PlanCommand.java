package io.github.sparsevdit.cli.commands;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.cli.report.PlanReport;
import io.github.sparsevdit.cli.terminal.CommandFailure;
import io.github.sparsevdit.cli.terminal.Console;
import io.github.sparsevdit.cli.terminal.Json;
import io.github.sparsevdit.estimate.ModelProfile;
import io.github.sparsevdit.estimate.PlannedFolder;
import io.github.sparsevdit.estimate.PlannedRun;
import io.github.sparsevdit.estimate.Speeds;
import io.github.sparsevdit.estimate.VideoSizes;
import io.github.sparsevdit.pattern.Schedule;
import io.github.sparsevdit.pipeline.RunSteps;
import io.github.sparsevdit.pipeline.Scheduler;
import io.github.sparsevdit.pipeline.Schedulers;
import io.github.sparsevdit.table.DispatchTable;
import io.github.sparsevdit.tensor.ElementType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code svdit plan}. */
@Command(
    name = "plan",
    description = {
      "Says what a run takes before there is one: tokens, PFLOP, memory, time.",
      "",
      "Knows the published models by name (without MODEL it lists them) and reads any checkpoint's"
          + " config.json; no weights are needed. PFLOP count 2 for each multiply-add of the"
          + " denoiser. Time is an estimate from a second of measuring on this backend: matrix"
          + " products and self-attention alone."
    },
    footerHeading = "%nExamples:%n",
    footer = {
      "  svdit plan                                     the published models",
      "  svdit plan hunyuanvideo --density 0.33         its usual run, dense and sparse",
      "  svdit plan wan2.1-t2v-14b --size 480x832 --frames 49 --table table.json --rescale",
      "  svdit plan my-checkpoint --size 480x832 --frames 81 --set num_layers=20"
    })
public final class PlanCommand implements Callable<Integer> {
  @Parameters(
      arity = "0..1",
      paramLabel = "MODEL",
      description = "A published model's name, a checkpoint's folder, or a config.json.")
  String model;

  @Option(
      names = "--size",
      paramLabel = "HxW",
      description = "Height and width of the video in pixels (default: the model's).")
  String size;

  @Option(names = "--frames", paramLabel = "N", description = "Frames of the video.")
  Integer frames;

  @Option(names = "--steps", paramLabel = "N", description = "Denoising steps.")
  Integer steps;

  @Option(
      names = "--passes",
      paramLabel = "N",
      description = "Forward passes a step: 2 with classifier-free guidance, else 1.")
  Integer passes;

  @Option(
      names = "--set",
      paramLabel = "KEY=VALUE",
      description = "Replace an entry of config.json, for a geometry of your own.")
  Map<String, String> entries = Map.of();

  @Option(
      names = "--table",
      paramLabel = "FILE",
      description = "Count self-attention as this dispatch table has it.")
  Path table;

  @Option(names = "--rescale", description = "Carry the table over to this size.")
  boolean rescale;

  @Option(
      names = "--density",
      paramLabel = "D",
      description = "Count self-attention at this density, in every step and layer.")
  Double density;

  @Option(
      names = "--type",
      paramLabel = "TYPE",
      defaultValue = "bf16",
      description = "What is computed in, bf16 or fp32 (default: bf16).")
  ElementType type;

  @Option(names = "--no-time", description = "Measure nothing and estimate no time.")
  boolean noTime;

  @Option(names = "--json", description = "Print one JSON object.")
  boolean json;

  @Mixin BackendOptions backendOptions;
  @Spec CommandSpec spec;
  private final Console console;

  public PlanCommand(Console console) {
    this.console = console;
  }

  @Override
  public Integer call() throws IOException {
    require(table == null || density == null, "--table and --density exclude each other");
    require(
        density == null || density >= 0 && density <= 1,
        "--density " + density + "; expected 0 to 1");
    require(steps == null || steps > 0, "--steps " + steps + "; expected at least 1");
    require(frames == null || frames > 0, "--frames " + frames + "; expected at least 1");
    require(
        type.tensorType() == type,
        "--type " + type + ": no weights are of that type; expected bf16 or fp32");
    require(passes == null || passes > 0, "--passes " + passes + "; expected at least 1");
    if (model == null) {
      require(size == null && frames == null && table == null, "these options need a MODEL");
      PlanReport.list(console, json, ModelProfile.all(), type);
      return 0;
    }
    Planned planned = planned();
    PlannedRun run = run(planned);
    try (Backend backend = table == null && noTime ? null : backendOptions.open()) {
      Speeds speeds =
          noTime ? null : Speeds.measure(backend, type, run.shape().headDim(), width(run));
      double[][] densities = table == null ? uniform(run) : densities(backend, run);
      PlanReport report = new PlanReport(run, type, densities, speeds, backend, planned.assumed());
      if (json) {
        Json.print(console.out(), report.json());
      } else {
        report.print(console.out());
      }
    }
    return 0;
  }

  private void require(boolean held, String message) {
    if (!held) {
      throw new ParameterException(spec.commandLine(), message);
    }
  }

  private static int width(PlannedRun run) {
    return run.shape().heads() * run.shape().headDim();
  }

  /**
   * What is planned.
   *
   * @param assumed what neither the command nor the model says
   */
  private record Planned(ModelProfile model, List<String> assumed) {}

  private Planned planned() throws IOException {
    Path path = Path.of(model);
    List<String> assumed = new ArrayList<>();
    ModelProfile profile =
        Files.exists(path) ? PlannedFolder.read(path, assumed) : ModelProfile.named(model);
    return new Planned(entries.isEmpty() ? profile : profile.with(entries), assumed);
  }

  private PlannedRun run(Planned planned) {
    ModelProfile profile = planned.model();
    ModelProfile.Run usual = profile.runs().isEmpty() ? null : profile.runs().getFirst();
    if (usual == null && (size == null || frames == null)) {
      throw new CommandFailure(
          profile.title() + " says nothing of a video's size; give --size HxW and --frames N");
    }
    int[] pixels = size == null ? new int[] {usual.height(), usual.width()} : pixels(profile);
    if (frames != null) {
      String refusal = VideoSizes.refuseFrames(frames, profile.vaeFrames());
      require(refusal == null, "--frames " + refusal);
    }
    boolean one = profile.geometry().embedsGuidance();
    PlannedRun run =
        new PlannedRun(
            profile,
            pixels[0],
            pixels[1],
            frames == null ? usual.frames() : frames,
            steps != null ? steps : usual == null ? 50 : usual.steps(),
            passes != null ? passes : one ? 1 : usual == null ? 2 : usual.passes(),
            null);
    List<String> assumed = planned.assumed();
    if (size == null) {
      assumed.add("--size %dx%d, of its usual run".formatted(run.height(), run.width()));
    }
    if (frames == null) {
      assumed.add("--frames %d, of its usual run".formatted(run.frames()));
    }
    if (steps == null) {
      assumed.add("--steps %d%s".formatted(run.steps(), usual == null ? "" : ", of its usual run"));
    }
    if (passes == null) {
      assumed.add(
          one
              ? "--passes 1: the guidance scale is embedded"
              : "--passes %d: %s classifier-free guidance"
                  .formatted(run.passes(), run.passes() == 1 ? "no" : "with"));
    }
    assumed.add(
        "%d tokens of a prompt%s"
            .formatted(
                profile.text(),
                profile.image() == 0 ? "" : " and " + profile.image() + " of an image's features"));
    // The paper's figures are for its own runs only.
    for (ModelProfile.Run known :
        entries.isEmpty() ? profile.runs() : List.<ModelProfile.Run>of()) {
      PlannedRun published = PlannedRun.of(profile, known);
      if (published.withoutPaper().equals(run)) {
        return published;
      }
    }
    return run;
  }

  private int[] pixels(ModelProfile profile) {
    require(
        size.matches("[1-9]\\d{0,5}x[1-9]\\d{0,5}"),
        "--size " + size + " is no size; write HEIGHTxWIDTH, as in 720x1280");
    int[] pixels = Arrays.stream(size.split("x")).mapToInt(Integer::parseInt).toArray();
    int[] patch = profile.geometry().patch();
    String refusal =
        VideoSizes.refuseSize(
            pixels, profile.vaePixels() * patch[1], profile.vaePixels() * patch[2]);
    require(refusal == null, "--size " + size + refusal);
    return pixels;
  }

  /** Null where nothing says how sparse it is. */
  private double[][] uniform(PlannedRun run) {
    if (density == null) {
      return null;
    }
    double[][] densities = new double[run.steps()][run.shape().layers()];
    for (double[] layers : densities) {
      Arrays.fill(layers, density);
    }
    return densities;
  }

  private double[][] densities(Backend backend, PlannedRun run) {
    DispatchTable read = DispatchTable.read(table);
    DispatchTable fitting = TableFit.of(table, read, run.shape(), run.sequence(), rescale);
    Schedule schedule = scheduler(run).schedule();
    return run.densities(backend, fitting, schedule, type);
  }

  /** Which phase a step belongs to depends on its timestep. */
  private Scheduler scheduler(PlannedRun run) {
    String family = run.geometry().className();
    RunSteps counted = RunSteps.of(run.steps());
    Path own = Path.of(model).resolve("scheduler").resolve("scheduler_config.json");
    return Files.exists(own)
        ? Schedulers.read(own, family, counted, 0L)
        : Schedulers.usual(family, counted, 0L);
  }
}

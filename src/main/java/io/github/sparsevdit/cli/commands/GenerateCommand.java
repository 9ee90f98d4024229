package io.github.sparsevdit.cli.commands;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.github.sparsevdit.Backend;
import io.github.sparsevdit.cli.report.Clips;
import io.github.sparsevdit.cli.report.Comparison;
import io.github.sparsevdit.cli.terminal.CommandFailure;
import io.github.sparsevdit.cli.terminal.Console;
import io.github.sparsevdit.cli.terminal.Json;
import io.github.sparsevdit.cli.terminal.ProgressDisplay;
import io.github.sparsevdit.cli.terminal.RunProgress;
import io.github.sparsevdit.cli.terminal.StopOnInterrupt;
import io.github.sparsevdit.internal.media.Clip;
import io.github.sparsevdit.pattern.Policy;
import io.github.sparsevdit.pipeline.Generated;
import io.github.sparsevdit.table.DispatchTable;
import io.github.sparsevdit.tensor.ElementType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.concurrent.CancellationException;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code svdit generate}. */
@Command(
    name = "generate",
    description = {
      "Generates a video: densely, with a dispatch table, or both from the same noise.",
      "",
      "The folder is a pipeline's in diffusers' layout, as it is downloaded: its text encoder reads"
          + " the prompt, and its VAE makes the video. Without a text encoder a prompt is the name of"
          + " an embedding; without a VAE the latents are written as safetensors."
    },
    footerHeading = "%nExamples:%n",
    footer = {
      "  svdit generate Wan2.1-T2V-1.3B-Diffusers --prompt 'a fox in the snow' \\",
      "      --table table.json --out fox.mp4",
      "  svdit generate Wan2.1-I2V-14B-480P-Diffusers --image fox.jpg --prompt 'it runs' --out fox.mp4",
      "  svdit generate wan.safetensors --base Wan2.1-T2V-14B-Diffusers --lora style.safetensors:0.8 \\",
      "      --prompt 'a fox in the snow'",
      "  svdit generate calibration/tiny-wan --prompt horse --out out/horse",
      "  svdit generate calibration/tiny-wan --prompt horse --table table.json --compare \\",
      "      --out out/horse         out/horse-dense.*, -sparse.*, -both.*",
      "  svdit generate wan-14b --prompt horse --table table.json --resume run.state",
      "  svdit generate wan-14b --prompt horse --attention-type e4m3      on a Hopper GPU"
    })
public final class GenerateCommand implements Callable<Integer> {
  @Parameters(
      paramLabel = "CHECKPOINT",
      description =
          "A pipeline's or a transformer's folder, OWNER/NAME of one in the Hugging Face cache, or a"
              + " single file of weights.")
  Path folder;

  @Option(
      names = "--prompt",
      paramLabel = "TEXT",
      required = true,
      description = "What the video shows; without a text encoder, the name of an embedding.")
  String prompt;

  @Option(names = "--table", paramLabel = "FILE", description = "Run sparsely, as this table says.")
  Path table;

  @Option(
      names = "--rescale",
      description = "Carry the table over from the size it was searched on to this one.")
  boolean rescale;

  @Option(
      names = "--any-checkpoint",
      description = "Run even if the table was searched on another checkpoint.")
  boolean anyCheckpoint;

  @Option(
      names = "--compare",
      description = "Also run densely from the same noise, and say how near the two are.")
  boolean compare;

  @Option(
      names = "--time-attention",
      description =
          "Also report the time of self-attention on a GPU, where such a run waits at every layer and"
              + " goes without CUDA graphs. On the CPU it is always reported.")
  boolean timeAttention;

  @Option(
      names = {"-o", "--out"},
      paramLabel = "FILE",
      description =
          "Where the video goes, as .mp4 or .gif; without an ending, both (default: after the"
              + " prompt).")
  Path out;

  @Option(
      names = "--frames",
      paramLabel = "FOLDER",
      description = "Also write the frames there, as PNG.")
  Path frames;

  @Option(
      names = "--resume",
      paramLabel = "FILE",
      description =
          "Save the run to FILE after each step, and resume from it if it exists. It is removed once"
              + " the video is written.")
  Path resume;

  @Option(names = "--json", description = "Print one JSON object.")
  boolean json;

  @Mixin AttentionTypeOption attentionType;

  @ArgGroup(validate = false, heading = "%nHow the denoiser runs:%n")
  RunOptions runs = new RunOptions();

  @Mixin BackendOptions backendOptions;
  @Spec CommandSpec spec;
  private final Console console;

  public GenerateCommand(Console console) {
    this.console = console;
  }

  @Override
  public Integer call() throws IOException {
    if (compare && table == null) {
      throw new ParameterException(
          spec.commandLine(), "--compare needs a --table to compare with the dense run");
    }
    if (anyCheckpoint && table == null) {
      throw new ParameterException(
          spec.commandLine(), "--any-checkpoint is about a --table, and there is none");
    }
    DispatchTable read = table == null ? null : DispatchTable.read(table);
    ElementType attention = attentionType.of(runs.type);
    try (Backend backend = backendOptions.open();
        Checkpoint checkpoint =
            Checkpoint.open(folder, backend, runs, attention, anyCheckpoint, List.of(prompt))) {
      Policy policy = policy(checkpoint, read);
      requireDecoder(checkpoint);
      console.err().println("memory: " + checkpoint.memory(policy));
      if (!checkpoint.stageMemory().isEmpty()) {
        console.err().println("memory of other stages: " + checkpoint.stageMemory());
      }
      List<Path> files = new ArrayList<>();
      Generated dense = null;
      if (compare) {
        dense = run(checkpoint, "dense", Policy.dense(checkpoint.shape(), policy.block()));
        files.addAll(write(checkpoint, stem("-dense"), dense));
      }
      Generated made = run(checkpoint, table == null ? "dense" : "sparse", policy);
      files.addAll(write(checkpoint, stem(compare ? "-sparse" : ""), made));
      if (compare && checkpoint.decodes()) {
        Clip both = Clips.beside(List.of(Clips.of(dense), Clips.of(made)));
        files.addAll(Clips.write(stem("-both"), both));
      }
      report(checkpoint, dense, made, files);
    }
    removeKept();
    return 0;
  }

  /** Without a VAE there is nothing to look at. */
  private void requireDecoder(Checkpoint checkpoint) {
    if (checkpoint.decodes()) {
      return;
    }
    if (frames != null || !ending().isEmpty()) {
      throw new CommandFailure(
          "%s needs a VAE with weights (vae/*.safetensors), which %s lacks; without one the latents are written to %s.safetensors"
              .formatted(
                  frames != null ? "--frames" : "--out " + out,
                  folder,
                  PromptList.fileName(prompt)));
    }
    console.err().println("there is no VAE with weights (vae/*.safetensors): latents are written");
  }

  private Policy policy(Checkpoint checkpoint, DispatchTable read) {
    if (read == null) {
      return Policy.dense(checkpoint.shape(), 128);
    }
    DispatchTable fitting =
        TableFit.of(table, read, checkpoint.shape(), checkpoint.sequence(), rescale);
    checkpoint.requireCheckpoint(fitting); // before a dense run
    return fitting;
  }

  private Generated run(Checkpoint checkpoint, String what, Policy policy) {
    Path file = kept(what);
    String elsewhere = file == null ? null : checkpoint.begunElsewhere(file);
    if (elsewhere != null) {
      console
          .err()
          .printf(
              "%s was begun on another processor, %s: the last bits may differ from a run on one of them%n",
              file, elsewhere);
    }
    int steps = checkpoint.schedule().steps();
    RunProgress progress =
        new RunProgress(steps, checkpoint.branches(), checkpoint.shape().layers());
    try (StopOnInterrupt stop = new StopOnInterrupt(progress::cancel);
        ProgressDisplay display = new ProgressDisplay(console, what, progress.blocks())) {
      progress.showOn(display);
      return checkpoint.generate(prompt, runs.seed, policy, progress, file, timeAttention);
    } catch (CancellationException e) {
      throw new CommandFailure(
          "stopped %s; %s"
              .formatted(
                  progress.where(),
                  file == null
                      ? "with --resume FILE it could resume from there"
                      : "the same command goes on from there"));
    }
  }

  /** Where a run is kept; two that are compared have a file each. */
  private Path kept(String what) {
    return resume == null || !compare
        ? resume
        : resume.resolveSibling(resume.getFileName() + "-" + what);
  }

  private void removeKept() throws IOException {
    if (resume != null) {
      for (String what : new String[] {"dense", "sparse"}) {
        Files.deleteIfExists(kept(what));
      }
    }
  }

  private Path stem(String suffix) {
    Path stem = out == null ? Path.of(PromptList.fileName(prompt)) : out;
    String name = stem.getFileName().toString();
    String ending = ending();
    String plain = name.substring(0, name.length() - ending.length());
    return stem.resolveSibling(plain + suffix + ending);
  }

  /** ".mp4" or ".gif" where one of them alone is asked for; else nothing. */
  private String ending() {
    String name = out == null ? "" : out.getFileName().toString().toLowerCase(Locale.ROOT);
    return name.endsWith(".mp4") || name.endsWith(".gif") ? name.substring(name.length() - 4) : "";
  }

  private List<Path> write(Checkpoint checkpoint, Path stem, Generated made) throws IOException {
    if (!checkpoint.decodes()) {
      return Clips.writeLatents(stem, made);
    }
    List<Path> files = new ArrayList<>(Clips.write(stem, Clips.of(made)));
    if (frames != null) {
      files.addAll(Clips.writeFrames(frames, stem.getFileName().toString(), Clips.of(made)));
    }
    return files;
  }

  private void report(Checkpoint checkpoint, Generated dense, Generated made, List<Path> files) {
    ObjectNode report = Json.object();
    report.put("prompt", prompt);
    report.put("seed", runs.seed);
    report.put("attentionType", AttentionTypeOption.name(checkpoint.attentionType()));
    report.put("density", rounded(made.density(), 4));
    report.put("seconds", rounded(made.seconds(), 3));
    boolean timed = !Double.isNaN(made.attentionSeconds());
    if (timed) {
      report.put("attentionSeconds", rounded(made.attentionSeconds(), 3));
    }
    if (dense != null) {
      Comparison comparison = Comparison.of(dense, made);
      report.put("denseSeconds", rounded(dense.seconds(), 3));
      if (timed) {
        report.put("denseAttentionSeconds", rounded(dense.attentionSeconds(), 3));
        double speedup = dense.attentionSeconds() / made.attentionSeconds();
        report.put("attentionSpeedup", rounded(speedup, 2));
      }
      report.put("relativeDifference", rounded(comparison.relative(), 4));
      if (!Double.isNaN(comparison.psnr())) {
        report.put("psnr", rounded(comparison.psnr(), 2));
      }
      if (!Double.isNaN(comparison.ssim())) {
        report.put("ssim", rounded(comparison.ssim(), 4));
      }
    }
    files.forEach(file -> report.withArray("files").add(file.toString()));
    if (json) {
      Json.print(console.out(), report);
    } else {
      for (var entry : report.properties()) {
        if (entry.getValue().isArray()) {
          entry.getValue().forEach(file -> console.out().println("wrote " + file.asText()));
        } else {
          console.out().printf("%-22s %s%n", entry.getKey(), entry.getValue().asText());
        }
      }
    }
  }

  private static double rounded(double value, int digits) {
    return Double.isFinite(value)
        ? Double.parseDouble(String.format(Locale.ROOT, "%." + digits + "f", value))
        : value;
  }
}

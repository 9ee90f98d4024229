package io.github.sparsevdit.cli.commands;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.CpuOptions;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** Where a command computes. */
final class BackendOptions {
  /** The choices of --backend. */
  enum Choice {
    BEST,
    CPU,
    CUDA
  }

  @Option(
      names = "--backend",
      paramLabel = "best|cpu|cuda",
      defaultValue = "best",
      description =
          "Where to compute; best is CUDA where it is there, else the CPU (default: best).")
  Choice choice;

  @Option(
      names = "--device",
      paramLabel = "N",
      defaultValue = "0",
      description = "Which CUDA device (default: 0).")
  int device;

  @Option(
      names = "--threads",
      paramLabel = "N",
      description = "CPU threads (default: as many as this process may use).")
  int threads;

  @Option(
      names = "--tier",
      paramLabel = "TIER",
      description =
          "CPU instructions: portable, avx2, avx512, avx512_bf16 (default: the best there are).")
  CpuOptions.Tier tier = CpuOptions.Tier.AUTO;

  @Spec(Spec.Target.MIXEE)
  CommandSpec spec;

  /** Opens the backend asked for; the caller closes it. */
  Backend open() {
    boolean cpuOptions = threads != 0 || tier != CpuOptions.Tier.AUTO;
    if (choice == Choice.CUDA) {
      if (cpuOptions) {
        throw new ParameterException(
            spec.commandLine(), "--threads and --tier are for the CPU, but --backend is cuda");
      }
      return Backend.cuda(device);
    }
    return choice == Choice.CPU || cpuOptions
        ? Backend.cpu(new CpuOptions(threads, tier))
        : Backend.best();
  }
}

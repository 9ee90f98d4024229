package io.github.sparsevdit.cli.commands;

import io.github.sparsevdit.cli.terminal.CommandFailure;
import io.github.sparsevdit.tensor.ElementType;
import java.util.Locale;
import picocli.CommandLine.Option;

/** What self-attention is computed in, where that may differ from all else. */
final class AttentionTypeOption {
  @Option(
      names = "--attention-type",
      paramLabel = "TYPE",
      description =
          "What self-attention is computed in, dense and sparse: e4m3 has a bf16 denoiser's q, k"
              + " and v rounded to 8 bits, for Hopper GPUs (default: as --type).")
  ElementType given;

  /** For a denoiser that computes in {@code type}. */
  ElementType of(ElementType type) {
    if (given == null) {
      return type;
    }
    if (given.tensorType() != type) {
      throw new CommandFailure(
          "--attention-type %s takes a denoiser in %s; --type is %s"
              .formatted(name(given), name(given.tensorType()), name(type)));
    }
    return given;
  }

  /** As it is written on the command line. */
  static String name(ElementType type) {
    return type.name().toLowerCase(Locale.ROOT);
  }
}

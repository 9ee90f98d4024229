package io.github.sparsevdit.eval.cases;

import io.github.sparsevdit.internal.io.Json;
import io.github.sparsevdit.tensor.Safetensors;
import io.github.sparsevdit.tensor.TensorSource;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * Cases computed by diffusers and transformers: tokenizers ({@code cases.json}), encoders,
 * denoisers in other layouts ({@code layouts}), a checkpoint's folder with a {@code
 * case.safetensors}, and files whose metadata tell of a pipeline (a run, whose checkpoint lies in
 * {@code ../denoisers}) or of a scheduler's steps.
 */
final class ModelCases implements CaseFamily {
  private static final Set<String> LAYOUTS = Set.of("plain", "file", "fp8", "lora");

  /** What a case file says of itself; null where nothing. */
  private static Json description(Path file) {
    try (TensorSource tensors = Safetensors.open(file)) {
      String description = tensors.metadata().get("case");
      return description == null ? null : Json.parse(file + ": case", description, 8);
    }
  }

  @Override
  public Optional<ReferenceCase> open(Path path) {
    if (Files.isRegularFile(path.resolve(TokenizerCase.CASES))
        || path.endsWith(TokenizerCase.CLEANING)) {
      return Optional.of(new TokenizerCase(path));
    }
    Path own = path.resolve(LayoutCase.CASE);
    if (Files.isRegularFile(own)) {
      Json description = description(own);
      if (description != null && LAYOUTS.contains(description.text("kind", ""))) {
        return Optional.of(new LayoutCase(path, description));
      }
      if (description != null && EncoderCase.is(description)) {
        return Optional.of(new EncoderCase(path, description));
      }
    }
    if (Files.exists(path.resolve("config.json"))
        && Files.exists(path.resolve("case.safetensors"))) {
      return Optional.of(new DenoiserCase(path));
    }
    if (!Files.isRegularFile(path) || !path.toString().endsWith(".safetensors")) {
      return Optional.empty();
    }
    Map<String, String> metadata;
    try (TensorSource tensors = Safetensors.open(path)) {
      metadata = tensors.metadata();
      if (tensors.names().equals(Fp8ValuesCase.TENSORS)) {
        return Optional.of(new Fp8ValuesCase(path));
      }
    } catch (IllegalArgumentException notReadable) {
      return Optional.empty();
    }
    if (metadata.containsKey("pipeline")) {
      return Optional.of(new RunCase(path, path.resolve("../../denoisers").normalize()));
    }
    if (metadata.containsKey("config") && metadata.containsKey("steps")) {
      return Optional.of(new SchedulerCase(path));
    }
    return Optional.empty();
  }
}

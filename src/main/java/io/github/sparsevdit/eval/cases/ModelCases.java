package io.github.sparsevdit.eval.cases;

import io.github.sparsevdit.tensor.Safetensors;
import io.github.sparsevdit.tensor.TensorSource;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;

/**
 * Cases computed by diffusers: a checkpoint's folder with a {@code case.safetensors}, and files
 * whose metadata tell of a pipeline (a run, whose checkpoint lies in {@code ../denoisers}) or of a
 * scheduler's steps.
 */
final class ModelCases implements CaseFamily {
  @Override
  public Optional<ReferenceCase> open(Path path) {
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

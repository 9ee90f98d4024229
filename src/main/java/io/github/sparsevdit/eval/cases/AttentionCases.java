package io.github.sparsevdit.eval.cases;

import io.github.sparsevdit.internal.io.Json;
import io.github.sparsevdit.tensor.Safetensors;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/**
 * Attention cases: safetensors files with q, k, v, out and lse, and a description in the metadata.
 */
final class AttentionCases implements CaseFamily {
  private static final List<String> TENSORS = List.of("q", "k", "v", "out", "lse");

  @Override
  public Optional<ReferenceCase> open(Path path) {
    if (!path.toString().endsWith(".safetensors") || !Files.isRegularFile(path)) {
      return Optional.empty();
    }
    try (Safetensors file = Safetensors.open(path)) {
      String description = file.metadata().get("case");
      if (description == null || !file.names().containsAll(TENSORS)) {
        return Optional.empty();
      }
      return Optional.of(
          new AttentionCase(
              path,
              AttentionCase.Description.of(Json.parse(path.toString(), description, 8), file)));
    }
  }
}

package io.github.sparsevdit.eval.cases;

import io.github.sparsevdit.internal.io.Json;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/** A VAE's folder with a {@code case.safetensors}: what diffusers decoded and encoded with it. */
final class VaeCases implements CaseFamily {
  @Override
  public Optional<ReferenceCase> open(Path path) {
    Path config = path.resolve("config.json");
    if (!Files.exists(config) || !Files.exists(path.resolve("case.safetensors"))) {
      return Optional.empty();
    }
    return Json.read(config).text("_class_name", "").startsWith("Autoencoder")
        ? Optional.of(new VaeCase(path))
        : Optional.empty();
  }
}

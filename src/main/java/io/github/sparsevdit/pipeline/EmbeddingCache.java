package io.github.sparsevdit.pipeline;

import io.github.sparsevdit.internal.io.Sha256;
import io.github.sparsevdit.model.Conditioning;
import io.github.sparsevdit.model.Conditioning.Part;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Safetensors;
import io.github.sparsevdit.tensor.Tensor;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Stream;

/**
 * Encoded texts in a folder, a file for each, which outlive the program. A file's name is a digest
 * of the text, of what it is computed in, and of the encoders' and tokenizers' files: their names,
 * sizes and times of change. Several programs may share the folder: a file appears whole or not at
 * all.
 */
final class EmbeddingCache {
  private static final String VALID = "valid";

  private final Path folder;
  private final String encoders;

  /**
   * @param folder of the cache
   * @param parts the pipeline's folders that an embedding depends on
   * @param type that encoders compute in
   * @param tokens of a text
   */
  EmbeddingCache(Path folder, List<Path> parts, ElementType type, int tokens) {
    this.folder = folder;
    Sha256 digest = new Sha256().update(type + " " + tokens + "\n");
    for (Path part : parts) {
      describe(part, digest);
    }
    encoders = digest.hex();
  }

  private static void describe(Path part, Sha256 digest) {
    if (!Files.isDirectory(part)) {
      return;
    }
    try (Stream<Path> files = Files.list(part)) {
      for (Path file : files.filter(Files::isRegularFile).sorted().toList()) {
        digest.update(
            "%s/%s %d %s\n"
                .formatted(
                    part.getFileName(),
                    file.getFileName(),
                    Files.size(file),
                    Files.getLastModifiedTime(file)));
      }
    } catch (IOException e) {
      throw new UncheckedIOException("cannot list " + part + ": " + e, e);
    }
  }

  private Path file(String text) {
    return folder.resolve(new Sha256().update(encoders + "\n").update(text).hex() + ".safetensors");
  }

  /**
   * An encoded text.
   *
   * @param stored makes a tensor of values that lives as long as the encoder
   * @return null where it is not in the folder
   */
  Conditioning read(String text, Function<Tensor, Tensor> stored) {
    Path file = file(text);
    if (!Files.exists(file)) {
      return null;
    }
    try (Safetensors tensors = Safetensors.open(file)) {
      Conditioning conditioning =
          Conditioning.text(stored.apply(tensors.tensor(Part.TEXT.label())));
      if (tensors.has(Part.POOLED.label())) {
        conditioning =
            conditioning.with(Part.POOLED, stored.apply(tensors.tensor(Part.POOLED.label())));
      }
      return conditioning.withTextValid(Integer.parseInt(tensors.metadata().get(VALID)));
    } catch (IllegalArgumentException damaged) {
      throw new IllegalArgumentException(
          "the embedding %s is damaged: %s; delete it".formatted(file, damaged.getMessage()),
          damaged);
    }
  }

  /** Stores an encoded text. */
  void write(String text, Conditioning conditioning) {
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    tensors.put(Part.TEXT.label(), conditioning.text());
    if (conditioning.pooled() != null) {
      tensors.put(Part.POOLED.label(), conditioning.pooled());
    }
    try {
      Files.createDirectories(folder);
    } catch (IOException e) {
      throw new UncheckedIOException("cannot make " + folder + ": " + e, e);
    }
    Safetensors.write(
        file(text), tensors, Map.of(VALID, Integer.toString(conditioning.textValid())));
  }
}

package io.github.sparsevdit.tensor;

import io.github.sparsevdit.internal.io.GitLfs;
import io.github.sparsevdit.internal.io.Json;
import io.github.sparsevdit.internal.io.OtherWeights;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** How models lie in folders and shards. */
final class SafetensorsLayout {
  private static final String DIFFUSERS = "diffusion_pytorch_model";
  private static final String TRANSFORMERS = "model";

  // Names as diffusers writes them: model.safetensors, model.VARIANT.safetensors, shards of either
  // with the variant before or behind their number, and model.safetensors.index[.VARIANT].json.
  private static final String OF_VARIANT = "(\\.(?<variant>[^.]+))?";
  private static final Pattern INDEX =
      Pattern.compile("(?<model>.+?)\\.safetensors\\.index" + OF_VARIANT + "\\.json");
  private static final Pattern SINGLE =
      Pattern.compile("(?<model>.+?)" + OF_VARIANT + "\\.safetensors");
  private static final Pattern SHARD =
      Pattern.compile(".+-\\d{5}-of-\\d{5}(\\.[^.]+)?\\.safetensors");
  private static final long MAX_INDEX_BYTES = 100_000_000;

  private SafetensorsLayout() {}

  static boolean isIndex(Path file) {
    return INDEX.matcher(file.getFileName().toString()).matches();
  }

  /**
   * The file to open for path: itself, or what a folder holds.
   *
   * @param variant as in {@link Safetensors#open(Path, String)}
   */
  static Path resolve(Path path, String variant) {
    if (!Files.isDirectory(path)) {
      return path;
    }
    List<Path> files = list(path);
    Map<String, Path> models = new TreeMap<>(); // the index goes before a file of the same variant
    for (Pattern form : List.of(SINGLE, INDEX)) {
      for (Path file : files) {
        Matcher name = form.matcher(file.getFileName().toString());
        if (name.matches() && !SHARD.matcher(file.getFileName().toString()).matches()) {
          String kind = name.group("variant") == null ? "" : name.group("variant");
          models.put(name.group("model") + (kind.isEmpty() ? "" : " " + kind), file);
        }
      }
    }
    for (String model : List.of(DIFFUSERS, TRANSFORMERS)) {
      String wanted = model + (variant == null ? "" : " " + variant);
      if (models.containsKey(wanted)) {
        return models.get(wanted);
      }
    }
    Map<String, Path> found = new TreeMap<>(models);
    if (variant != null) {
      found.keySet().removeIf(name -> !name.endsWith(" " + variant));
    } else if (models.size() > 1) {
      found.keySet().removeIf(name -> !name.startsWith(DIFFUSERS + " "));
    }
    if (found.size() == 1) {
      return found.values().iterator().next();
    }
    throw new IllegalArgumentException(refusal(path, variant, models, files));
  }

  private static String refusal(
      Path path, String variant, Map<String, Path> models, List<Path> files) {
    if (models.isEmpty()) {
      boolean shards =
          files.stream().anyMatch(f -> SHARD.matcher(f.getFileName().toString()).matches());
      List<String> pickled =
          files.stream()
              .map(file -> file.getFileName().toString())
              .filter(OtherWeights::matches)
              .toList();
      if (!shards && !pickled.isEmpty()) {
        return "%s holds no *.safetensors, only %s, which is not read; download the model's safetensors, or convert it"
            .formatted(path, pickled.getFirst());
      }
      return shards
          ? "%s has shards of a model and no index; download its %s.safetensors.index.json"
              .formatted(path, DIFFUSERS)
          : "%s holds no *.safetensors; expected %s.safetensors or its index, or one other"
              .formatted(path, DIFFUSERS);
    }
    List<String> variants =
        models.keySet().stream()
            .filter(name -> name.startsWith(DIFFUSERS + " "))
            .map(name -> name.substring(DIFFUSERS.length() + 1))
            .toList();
    if (variant != null) {
      return "%s has no variant \"%s\"; there are %s"
          .formatted(
              path,
              variant,
              variants.isEmpty()
                  ? "none, only " + names(models)
                  : String.join(", ", variants) + " among " + names(models));
    }
    return "%s holds %d models, %s; %s"
        .formatted(
            path,
            models.size(),
            names(models),
            variants.size() > 1
                ? "choose one of the variants " + String.join(", ", variants)
                : "expected %s.safetensors or its index, or one other".formatted(DIFFUSERS));
  }

  private static List<String> names(Map<String, Path> models) {
    return models.values().stream().map(file -> file.getFileName().toString()).toList();
  }

  /** Opens the shards an index names; the result is each tensor's shard. */
  static Map<String, SafetensorsFile> openShards(Path index, Arena arena) {
    Map<String, SafetensorsFile> shards = new HashMap<>();
    Map<String, SafetensorsFile> fileOf = new LinkedHashMap<>();
    Json root = Json.parse(index.toString(), read(index), 8);
    root.field("weight_map")
        .fields()
        .forEach(
            (tensor, value) -> {
              String name = value.text();
              if (name.isEmpty()
                  || !Path.of(name).equals(Path.of(name).getFileName())
                  || name.equals("..")) {
                throw value.expected("the name of a file beside the index");
              }
              Path file = index.resolveSibling(name);
              if (!shards.containsKey(name) && !Files.exists(file)) {
                throw value.expected("a file that is there: download " + file);
              }
              SafetensorsFile shard =
                  shards.computeIfAbsent(name, unused -> SafetensorsFile.open(file, arena));
              if (!shard.header().entries().containsKey(tensor)) {
                throw value.expected("a file that holds this tensor");
              }
              fileOf.put(tensor, shard);
            });
    return fileOf;
  }

  private static String read(Path index) {
    try {
      if (Files.size(index) > MAX_INDEX_BYTES) {
        throw new IllegalArgumentException(
            index + " has " + Files.size(index) + " bytes, expected at most " + MAX_INDEX_BYTES);
      }
      GitLfs.requireContent(index);
      return Files.readString(index);
    } catch (IOException e) {
      throw new UncheckedIOException("cannot read " + index + ": " + e, e);
    }
  }

  private static List<Path> list(Path folder) {
    try (Stream<Path> files = Files.list(folder)) {
      // A Hugging Face cache has links, whose file may be gone.
      return files.filter(Files::exists).sorted().toList();
    } catch (IOException e) {
      throw new UncheckedIOException("cannot list " + folder + ": " + e, e);
    }
  }
}

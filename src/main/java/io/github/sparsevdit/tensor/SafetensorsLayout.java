package io.github.sparsevdit.tensor;

import io.github.sparsevdit.internal.Json;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/** How models lie in folders and shards. */
final class SafetensorsLayout {
  private static final String INDEX = ".index.json";
  private static final String SINGLE = ".safetensors";
  private static final String DIFFUSERS = "diffusion_pytorch_model.safetensors";
  private static final long MAX_INDEX_BYTES = 100_000_000;

  private SafetensorsLayout() {}

  static boolean isIndex(Path file) {
    return file.getFileName().toString().endsWith(INDEX);
  }

  /** The file to open for path: itself, or what a folder holds. */
  static Path resolve(Path path) {
    if (!Files.isDirectory(path)) {
      return path;
    }
    for (String name : List.of(DIFFUSERS + INDEX, DIFFUSERS)) {
      if (Files.exists(path.resolve(name))) {
        return path.resolve(name);
      }
    }
    List<Path> indices = list(path, INDEX);
    List<Path> found = indices.isEmpty() ? list(path, SINGLE) : indices;
    if (found.size() != 1) {
      throw new IllegalArgumentException(
          path
              + " holds "
              + (found.isEmpty() ? "no *" + SINGLE : found.size() + " models, " + found)
              + ", expected "
              + DIFFUSERS
              + " or its index, or one other");
    }
    return found.get(0);
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
              SafetensorsFile shard =
                  shards.computeIfAbsent(
                      name, unused -> SafetensorsFile.open(index.resolveSibling(name), arena));
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
      return Files.readString(index);
    } catch (IOException e) {
      throw new UncheckedIOException("cannot read " + index + ": " + e, e);
    }
  }

  private static List<Path> list(Path folder, String suffix) {
    try (Stream<Path> files = Files.list(folder)) {
      return files.filter(file -> file.getFileName().toString().endsWith(suffix)).sorted().toList();
    } catch (IOException e) {
      throw new UncheckedIOException("cannot list " + folder + ": " + e, e);
    }
  }
}

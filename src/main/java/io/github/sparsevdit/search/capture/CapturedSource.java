package io.github.sparsevdit.search.capture;

import io.github.sparsevdit.internal.io.Sha256;
import io.github.sparsevdit.pattern.ModelShape;
import io.github.sparsevdit.pattern.Schedule;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Safetensors;
import io.github.sparsevdit.tensor.Tensor;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;

/**
 * Calibration points from files. A capture is a folder of
 *
 * <ul>
 *   <li>{@code capture.json}: {@code {"format": "sparse-vdit/capture", "version": 1, "model":
 *       {"name", "layers", "heads", "headDim"}, "sequence": {"frames", "height", "width", "text",
 *       "textFirst"}, "type": "bf16" | "fp16" | "fp32", "layout": "BHSD" | "BSHD", "samples",
 *       "branches", "timesteps": [of every step, descending]}};
 *   <li>any number of {@code *.safetensors}, at any depth, one point or many in each. A point's
 *       three tensors {@code <sample>.<step>.<layer>.<branch>.q}, {@code .k} and {@code .v} lie in
 *       one file, of the manifest's type and layout, after position embedding and normalisation.
 *       The file's metadata {@code <sample>.<step>.<layer>.<branch>.textValid}, numbers separated
 *       by commas, gives the valid text tokens per batch row where not all are;
 *   <li>Where not all was captured, the manifest has {@code "heads": [ascending]}, and tensors hold
 *       those alone; {@code "queries": {"block", "blocks": [ascending]}}, and q holds the rows of
 *       those video query blocks alone, in frame-major and in token-major order, and of all text,
 *       ascending.
 *   <li>The manifest may name the checkpoint, {@code "checkpointSha256"}, as {@link
 *       CalibrationSource#checkpointSha256} gives it: a table searched on the capture is then for
 *       runs of that one.
 *   <li>in any of them, optionally, {@code outProjection.<layer>}: the layer's output projection
 *       [d, H·D] as stored in a checkpoint, of any type.
 *   <li>Where networks take turns (Wan2.2), the manifest's {@code "networkStarts"} are the steps at
 *       which the later ones take over, and their output projections are called {@code
 *       outProjection.<layer>.<network>}, network from 1.
 * </ul>
 *
 * <p>All of it is checked when it is opened, but for the values. Points come in order of sample,
 * step, layer, branch; any may be missing. Files are memory-mapped while their points are visited;
 * they must not be changed meanwhile.
 */
public final class CapturedSource implements CalibrationSource {
  private final CaptureManifest manifest;
  private final Path folder;
  private final Map<Key, Path> files = new TreeMap<>();
  private final Map<String, Path> projections = new HashMap<>(); // by name
  private final Map<Path, Safetensors> openProjections = new HashMap<>();
  private final Map<String, Tensor> usedProjections = new HashMap<>(); // by name
  private final Arena arena = Arena.ofAuto();
  private final List<Path> shards;
  private String sha256; // null until it is asked for

  private CapturedSource(Path folder) {
    this.folder = folder;
    this.manifest = CaptureManifest.read(folder);
    this.shards = shards(folder);
    for (Path shard : shards) {
      try (Safetensors tensors = Safetensors.open(shard)) {
        index(shard, tensors);
      } catch (IllegalArgumentException e) {
        throw new IllegalArgumentException(shard + ": " + e.getMessage(), e);
      }
    }
    if (files.isEmpty()) {
      throw new IllegalArgumentException("the capture " + folder + " contains no points");
    }
  }

  /**
   * Opens a capture and checks it.
   *
   * @throws IllegalArgumentException if anything in it does not fit; the message names the file
   */
  public static CapturedSource open(Path folder) {
    return new CapturedSource(folder);
  }

  @Override
  public ModelShape model() {
    return manifest.part().of(manifest.model());
  }

  @Override
  public Sequence sequence() {
    return manifest.sequence();
  }

  @Override
  public ElementType type() {
    return manifest.type();
  }

  @Override
  public Schedule schedule() {
    return manifest.schedule();
  }

  @Override
  public List<Integer> networkStarts() {
    return manifest.networkStarts();
  }

  @Override
  public int samples() {
    return manifest.samples();
  }

  @Override
  public List<Integer> steps() {
    return files.keySet().stream().map(Key::step).distinct().sorted().toList();
  }

  @Override
  public boolean hasLayer(int layer) {
    return files.keySet().stream().anyMatch(key -> key.layer() == layer);
  }

  @Override
  public QueryBlocks queryBlocks() {
    return manifest.part().queries();
  }

  @Override
  public String checkpointSha256() {
    return manifest.checkpointSha256();
  }

  @Override
  public ModelShape wholeModel() {
    return manifest.model();
  }

  @Override
  public List<Integer> heads() {
    return manifest.part().heads();
  }

  @Override
  public long points() {
    return files.size();
  }

  /** Of the manifest, and of each file's name and bytes. */
  @Override
  public synchronized String sha256() {
    if (sha256 == null) {
      sha256 = hash();
    }
    return sha256;
  }

  @Override
  public void visit(Visitor visitor) {
    Path open = null;
    Safetensors tensors = null;
    try {
      for (Map.Entry<Key, Path> entry : files.entrySet()) {
        Key key = entry.getKey();
        if (!visitor.wants(key)) {
          continue;
        }
        if (!entry.getValue().equals(open)) {
          if (tensors != null) {
            tensors.close();
          }
          tensors = Safetensors.open(entry.getValue());
          open = entry.getValue();
        }
        String name = CaptureManifest.name(key);
        try (Arena arena = Arena.ofShared()) {
          Tensor q = heads(tensors.tensor(name + ".q"));
          visitor.accept(
              new Point(
                  key,
                  manifest.schedule().timesteps().get(key.step()),
                  manifest.part().spread(q, sequence(), arena),
                  heads(tensors.tensor(name + ".k")),
                  heads(tensors.tensor(name + ".v")),
                  projection(key),
                  textValid(tensors, name)));
        }
      }
    } finally {
      if (tensors != null) {
        tensors.close();
      }
    }
  }

  @Override
  public void close() {
    openProjections.values().forEach(Safetensors::close);
    openProjections.clear();
    usedProjections.clear();
  }

  private Tensor heads(Tensor stored) {
    return manifest.tokensFirst() ? stored.transpose(1, 2) : stored;
  }

  private Tensor projection(Key key) {
    String name = CaptureManifest.projection(key.layer(), manifest.network(key.step()));
    Path file = projections.get(name);
    if (file == null) {
      return null;
    }
    return usedProjections.computeIfAbsent(
        name,
        n -> {
          Tensor stored = openProjections.computeIfAbsent(file, Safetensors::open).tensor(n);
          return manifest.part().columns(stored, manifest.model().headDim(), arena);
        });
  }

  private int[] textValid(Safetensors tensors, String name) {
    String counts = tensors.metadata().get(name + ".textValid");
    if (counts == null) {
      return null;
    }
    try {
      return Arrays.stream(counts.split(",", -1))
          .map(String::strip)
          .mapToInt(Integer::parseInt)
          .toArray();
    } catch (NumberFormatException e) {
      throw new IllegalArgumentException(
          "%s.textValid \"%s\"; expected numbers separated by commas".formatted(name, counts), e);
    }
  }

  private void index(Path shard, Safetensors tensors) {
    for (String name : tensors.names()) {
      if (name.startsWith("outProjection.")) {
        indexProjection(shard, tensors, name);
      } else if (name.endsWith(".q")) {
        indexPoint(shard, tensors, name.substring(0, name.length() - 2));
      } else if (!name.endsWith(".k") && !name.endsWith(".v")
          || !tensors.has(name.substring(0, name.length() - 1) + "q")) {
        throw new IllegalArgumentException(
            "tensor \"%s\" is no part of a point in this file and no output projection"
                .formatted(name));
      }
    }
  }

  private void indexProjection(Path shard, Safetensors tensors, String name) {
    Tensor weight = tensors.tensor(name);
    if (!manifest.knowsProjection(name)) {
      throw new IllegalArgumentException(
          "tensor \"%s\"; the model has %d layers and %d networks"
              .formatted(name, model().layers(), manifest.networkStarts().size() + 1));
    }
    long width = (long) manifest.model().heads() * manifest.model().headDim();
    if (weight.rank() != 2 || weight.size(1) != width) {
      throw new IllegalArgumentException(
          "tensor \"%s\" is %s; expected [d, %d]".formatted(name, weight, width));
    }
    Path other = projections.put(name, shard);
    if (other != null) {
      throw new IllegalArgumentException("tensor \"%s\" is in %s too".formatted(name, other));
    }
  }

  private void indexPoint(Path shard, Safetensors tensors, String name) {
    Key key = manifest.key(name);
    long batch = -1;
    int[] captured = manifest.part().rows(sequence());
    for (String part : List.of("q", "k", "v")) {
      if (!tensors.has(name + "." + part)) {
        throw new IllegalArgumentException("tensor \"%s.%s\" is missing".formatted(name, part));
      }
      Tensor tensor = tensors.tensor(name + "." + part);
      boolean fits = tensor.rank() == 4 && tensor.type() == type();
      if (fits) {
        Tensor heads = heads(tensor);
        batch = batch < 0 ? heads.size(0) : batch;
        int rows = captured != null && part.equals("q") ? captured.length : sequence().tokens();
        fits =
            heads.size(0) == batch
                && batch >= 1
                && heads.size(1) == model().heads()
                && heads.size(2) == rows
                && heads.size(3) == model().headDim();
      }
      if (!fits) {
        throw new IllegalArgumentException(
            "tensor \"%s.%s\" is %s; expected %s of %d heads, %d tokens (%d rows of q) and head dim %d in layout %s, and one batch size"
                .formatted(
                    name,
                    part,
                    tensor,
                    type(),
                    model().heads(),
                    sequence().tokens(),
                    captured == null ? sequence().tokens() : captured.length,
                    model().headDim(),
                    manifest.tokensFirst() ? "BSHD" : "BHSD"));
      }
    }
    int[] valid = textValid(tensors, name);
    if (valid != null
        && (valid.length != batch
            || Arrays.stream(valid).anyMatch(count -> count < 0 || count > sequence().text()))) {
      throw new IllegalArgumentException(
          "%s.textValid %s; expected %d counts in [0, %d]"
              .formatted(name, Arrays.toString(valid), batch, sequence().text()));
    }
    Path other = files.put(key, shard);
    if (other != null) {
      throw new IllegalArgumentException("point %s is in %s too".formatted(name, other));
    }
  }

  private static List<Path> shards(Path folder) {
    try (Stream<Path> found = Files.walk(folder)) {
      return found.filter(path -> path.toString().endsWith(".safetensors")).sorted().toList();
    } catch (IOException e) {
      throw new UncheckedIOException("cannot list the capture " + folder, e);
    }
  }

  /** Of the manifest and of every byte of every file: a capture is read more than once anyway. */
  private String hash() {
    Sha256 digest = new Sha256();
    try {
      digest.update(folder.resolve(CaptureManifest.FILE));
    } catch (IOException e) {
      throw new UncheckedIOException("cannot read the capture " + folder, e);
    }
    shards.parallelStream().map(this::hash).toList().forEach(digest::update);
    return digest.hex();
  }

  private byte[] hash(Path shard) {
    try {
      return new Sha256().update(folder.relativize(shard).toString()).update(shard).bytes();
    } catch (IOException e) {
      throw new UncheckedIOException("cannot read the capture's " + shard, e);
    }
  }
}

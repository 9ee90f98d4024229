package io.github.sparsevdit.search.capture;

import io.github.sparsevdit.search.capture.CalibrationSource.Key;
import io.github.sparsevdit.search.capture.CalibrationSource.Point;
import io.github.sparsevdit.tensor.Safetensors;
import io.github.sparsevdit.tensor.Tensor;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.function.Predicate;
import java.util.stream.Collectors;

/**
 * Writes a source's points as files that {@link CapturedSource} reads: one file per point, each
 * moved into place when it is whole, and one per output projection. A capture that was interrupted
 * goes on where it stopped: points whose files are there are not asked for again. Hand it to {@link
 * CalibrationSource#visit}.
 */
public final class CaptureWriter implements CalibrationSource.Visitor {
  private final Path folder;
  private final CaptureManifest manifest;
  private final Predicate<Key> wanted;
  private final CalibrationSource.QueryBlocks queries;

  private CaptureWriter(
      Path folder,
      CaptureManifest manifest,
      Predicate<Key> wanted,
      CalibrationSource.QueryBlocks queries) {
    this.folder = folder;
    this.manifest = manifest;
    this.wanted = wanted;
    this.queries = queries;
  }

  /**
   * Begins a capture, or goes on with one.
   *
   * @param folder made if need be
   * @param source what will be visited
   * @param branches guidance branches of the source
   * @param wanted which points to keep
   * @throws IllegalArgumentException if the folder contains a capture of another source
   */
  public static CaptureWriter begin(
      Path folder, CalibrationSource source, int branches, Predicate<Key> wanted) {
    CaptureManifest manifest =
        new CaptureManifest(
            source.model(),
            source.sequence(),
            source.type(),
            source.schedule(),
            source.samples(),
            branches,
            source.networkStarts(),
            false,
            CapturedPart.WHOLE,
            source.checkpointSha256(),
            source.sha256());
    if (Files.exists(folder.resolve(CaptureManifest.FILE))) {
      CaptureManifest there = CaptureManifest.read(folder);
      if (!there.equals(manifest)) {
        throw new IllegalArgumentException(
            "%s holds the capture of another source: %s; this one is %s"
                .formatted(folder, there, manifest));
      }
    } else {
      manifest.write(folder);
    }
    return new CaptureWriter(folder, manifest, wanted, source.queryBlocks());
  }

  /** Bytes that Q, K and V of that many points take, of one batch row each. */
  public static long bytes(CalibrationSource source, long points) {
    long elements =
        (long) source.model().heads() * source.sequence().tokens() * source.model().headDim();
    return Math.multiplyExact(points, 3 * elements * source.type().bytes());
  }

  @Override
  public boolean wants(Key key) {
    return wanted.test(key) && !Files.exists(file(key));
  }

  /**
   * Writes a point.
   *
   * @throws io.github.sparsevdit.NotFiniteException if its Q, K or V hold NaN or infinities: they
   *     are not written, and the points before stay
   */
  @Override
  public void accept(Point point) {
    FinitePoint.require(
        point,
        manifest.sequence(),
        queries == null ? 1 : queries.block(),
        queries == null ? null : queries.blocks().stream().mapToInt(Integer::intValue).toArray(),
        manifest.networkStarts());
    int layer = point.key().layer();
    int network = manifest.network(point.key().step());
    Path projection =
        folder
            .resolve("projections")
            .resolve(
                String.format(
                    Locale.ROOT,
                    "layer-%03d%s.safetensors",
                    layer,
                    network == 0 ? "" : "-network-" + network));
    if (point.outProjection() != null && !Files.exists(projection)) {
      write(
          projection,
          Map.of(CaptureManifest.projection(layer, network), point.outProjection()),
          Map.of());
    }
    String name = CaptureManifest.name(point.key());
    Map<String, Tensor> tensors = new HashMap<>();
    tensors.put(name + ".q", point.q());
    tensors.put(name + ".k", point.k());
    tensors.put(name + ".v", point.v());
    Map<String, String> metadata =
        point.textValid() == null
            ? Map.of()
            : Map.of(
                name + ".textValid",
                Arrays.stream(point.textValid())
                    .mapToObj(Integer::toString)
                    .collect(Collectors.joining(",")));
    write(file(point.key()), tensors, metadata);
  }

  private Path file(Key key) {
    return folder
        .resolve(String.format(Locale.ROOT, "sample-%03d", key.sample()))
        .resolve(String.format(Locale.ROOT, "step-%03d", key.step()))
        .resolve(
            String.format(
                Locale.ROOT, "layer-%03d-branch-%d.safetensors", key.layer(), key.branch()));
  }

  private static void write(Path file, Map<String, Tensor> tensors, Map<String, String> metadata) {
    try {
      Files.createDirectories(file.getParent());
    } catch (java.io.IOException e) {
      throw new java.io.UncheckedIOException("cannot make the folder of " + file, e);
    }
    Safetensors.write(file, tensors, metadata);
  }
}

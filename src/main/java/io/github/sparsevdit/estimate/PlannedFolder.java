package io.github.sparsevdit.estimate;

import io.github.sparsevdit.checkpoint.CheckpointFolder;
import io.github.sparsevdit.checkpoint.Denoisers;
import io.github.sparsevdit.internal.io.Json;
import io.github.sparsevdit.model.Geometry;
import io.github.sparsevdit.model.VaeSizes;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * A checkpoint's folder as a profile: what its files say, and where they say nothing what the
 * published model of the same sizes has.
 */
public final class PlannedFolder {
  private static final int[] USUAL_VAE = {4, 8}; // frames, pixels of a latent

  private final Path path;
  private final Path pipeline; // null where the transformer stands alone
  private final Geometry geometry;
  private final List<String> assumed;

  private final CheckpointFolder folder; // null of a config.json alone

  private PlannedFolder(Path path, CheckpointFolder folder, List<String> assumed) {
    this.path = path;
    this.folder = folder;
    this.assumed = assumed;
    geometry = folder == null ? Denoisers.geometry(path) : Denoisers.geometry(folder);
    pipeline = folder == null ? around(path.toAbsolutePath().getParent()) : pipeline(folder);
  }

  private static Path pipeline(CheckpointFolder folder) {
    boolean whole = Files.isDirectory(folder.path().resolve("transformer"));
    return whole ? folder.path() : around(folder.transformer());
  }

  /** The pipeline in which a transformer's folder lies; null where it stands alone. */
  private static Path around(Path transformer) {
    Path home = transformer.toAbsolutePath().normalize();
    Path name = home.getFileName();
    return name != null && name.toString().matches("transformer(_2)?") ? home.getParent() : null;
  }

  /**
   * Reads what {@link CheckpointFolder#of(Path)} takes, or a config.json.
   *
   * @param assumed receives what the files do not say
   */
  public static ModelProfile read(Path path, List<String> assumed) {
    boolean json = Files.isRegularFile(path) && path.toString().endsWith(".json");
    return read(path, json ? null : CheckpointFolder.of(path), assumed);
  }

  /** The same of an open checkpoint. */
  public static ModelProfile read(CheckpointFolder folder, List<String> assumed) {
    return read(folder.path(), folder, assumed);
  }

  private static ModelProfile read(Path path, CheckpointFolder folder, List<String> assumed) {
    try {
      return new PlannedFolder(path, folder, assumed).profile();
    } catch (IOException e) {
      throw new UncheckedIOException("cannot read " + path + ": " + e, e);
    }
  }

  private ModelProfile profile() throws IOException {
    int networks = networks();
    ModelProfile like = like(networks);
    int[] vae = vae(like);
    List<ModelProfile.Run> runs = List.of();
    if (like != null) {
      runs = like.runs();
      assumed.add("a usual run like that of %s, which has the same sizes".formatted(like.title()));
    }
    return new ModelProfile(
        folder == null
            ? path.getFileName().toString()
            : CheckpointFolder.name(folder.transformer()),
        path.toString(),
        networks,
        geometry,
        folder == null ? Files.readString(path) : folder.transformerJson(),
        vae[0],
        vae[1],
        geometry.usualText(),
        geometry.usualImage(),
        runs,
        List.of(path.toString()));
  }

  /** A part of a pipeline is planned alone, a pipeline with all networks that take turns. */
  private int networks() throws IOException {
    boolean whole = pipeline != null && folder != null && folder.path().equals(pipeline);
    if (!whole) {
      return 1;
    }
    boolean second = folder.transformers().size() > 1;
    if (takesTurns(pipeline.resolve("model_index.json"))) {
      if (!second) {
        assumed.add("a second network like the first: boundary_ratio is set, transformer_2 lacks");
      }
      return 2;
    }
    if (second) {
      assumed.add("two networks: transformer_2 is there, though no boundary_ratio");
    }
    return second ? 2 : 1;
  }

  /** The published model of the same sizes; null where there is none. */
  private ModelProfile like(int networks) {
    ModelProfile like = null;
    for (ModelProfile published : ModelProfile.all()) {
      Geometry other = published.geometry();
      boolean same =
          other.className().equals(geometry.className())
              && other.shape("").equals(geometry.shape(""))
              && other.parameters() == geometry.parameters()
              && other.latentChannels() == geometry.latentChannels();
      if (same && (like == null || like.networks() != networks)) {
        like = published.networks() == networks || like == null ? published : like;
      }
    }
    return like;
  }

  /** Frames and pixels of a latent. */
  private int[] vae(ModelProfile like) throws IOException {
    if (folder != null && folder.inPixels()) {
      return new int[] {1, 1};
    }
    Path file = pipeline == null ? null : pipeline.resolve("vae/config.json");
    int[] usual = like == null ? USUAL_VAE : new int[] {like.vaeFrames(), like.vaePixels()};
    if (file == null || !Files.exists(file)) {
      assumed.add(
          "%d frames and %d x %d pixels a latent, %s: there is no vae/config.json"
              .formatted(
                  usual[0],
                  usual[1],
                  usual[1],
                  like == null ? "as most VAEs have" : "as " + like.title() + " has"));
      return usual;
    }
    VaeSizes sizes = Denoisers.vaeSizes(file, geometry.className());
    return new int[] {sizes.frames(), sizes.pixels()};
  }

  /** Whether a pipeline says at which timestep a second network takes over. */
  private static boolean takesTurns(Path index) {
    if (!Files.exists(index)) {
      return false;
    }
    Json json = Json.read(index);
    if (!json.has("boundary_ratio") || json.field("boundary_ratio").isNull()) {
      return false;
    }
    json.field("boundary_ratio").number(); // anything else would be ignored in silence
    return true;
  }
}

package io.github.sparsevdit.estimate;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.github.sparsevdit.checkpoint.Denoisers;
import io.github.sparsevdit.model.Geometry;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * A published model as it is usually run. The profiles lie in {@code profiles.json} beside this
 * class, each with where its figures come from.
 *
 * @param name to ask for it by
 * @param title for people
 * @param networks that take turns in a run (Wan2.2 A14B has two)
 * @param config of its transformer, as in config.json
 * @param vaeFrames frames per latent frame, but for the first
 * @param vaePixels pixels per latent row and column
 * @param text tokens of a prompt
 * @param image tokens of an image's features; 0 without
 * @param runs the usual ones, the first the default
 * @param sources where it is published
 */
public record ModelProfile(
    String name,
    String title,
    int networks,
    Geometry geometry,
    String config,
    int vaeFrames,
    int vaePixels,
    int text,
    int image,
    List<Run> runs,
    List<String> sources) {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String RESOURCE = "profiles.json";

  /**
   * A usual run.
   *
   * @param height of the video in pixels
   * @param passes forward passes a step: 2 with classifier-free guidance
   * @param guidance its scale, or the one that is embedded
   * @param paper what arXiv 2506.03065 says of this very run; null where nothing
   */
  public record Run(
      int height, int width, int frames, int steps, int passes, double guidance, Paper paper) {}

  /**
   * Figures of arXiv 2506.03065.
   *
   * @param dense PFLOP of a dense run
   * @param sparse PFLOP with Sparse-vDiT
   * @param denseSeconds its latency on the device
   */
  public record Paper(
      double dense, double sparse, double denseSeconds, double sparseSeconds, String device) {}

  public ModelProfile {
    runs = List.copyOf(runs);
    sources = List.copyOf(sources);
  }

  /** All of them. */
  public static List<ModelProfile> all() {
    try (InputStream in = ModelProfile.class.getResourceAsStream(RESOURCE)) {
      List<ModelProfile> profiles = new ArrayList<>();
      for (JsonNode model : JSON.readTree(in).get("models")) {
        profiles.add(read(model));
      }
      return profiles;
    } catch (IOException e) {
      throw new UncheckedIOException("cannot read " + RESOURCE, e);
    }
  }

  /** The one of that name; IllegalArgumentException with the names there are if there is none. */
  public static ModelProfile named(String name) {
    List<ModelProfile> all = all();
    for (ModelProfile profile : all) {
      if (profile.name.equals(name)) {
        return profile;
      }
    }
    throw new IllegalArgumentException(
        "no published model is known as \"%s\"; there are %s"
            .formatted(name, String.join(", ", all.stream().map(ModelProfile::name).toList())));
  }

  /**
   * The same model with some entries of its configuration replaced.
   *
   * @param entries name to value, as JSON; a value that is no JSON is a string
   */
  public ModelProfile with(Map<String, String> entries) {
    try {
      ObjectNode changed = (ObjectNode) JSON.readTree(config);
      for (Map.Entry<String, String> entry : entries.entrySet()) {
        changed.set(entry.getKey(), value(entry.getValue()));
      }
      Geometry other = Denoisers.geometry(changed.toString(), title);
      return new ModelProfile(
          name,
          title,
          networks,
          other,
          changed.toString(),
          vaeFrames,
          vaePixels,
          text,
          image,
          runs,
          sources);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static JsonNode value(String text) {
    try {
      return JSON.readTree(text);
    } catch (IOException e) {
      return JSON.getNodeFactory().textNode(text);
    }
  }

  private static ModelProfile read(JsonNode model) {
    String name = model.get("name").textValue();
    String config = model.get("config").toString();
    List<Run> runs = new ArrayList<>();
    for (JsonNode run : model.get("runs")) {
      runs.add(
          new Run(
              run.get("height").intValue(),
              run.get("width").intValue(),
              run.get("frames").intValue(),
              run.get("steps").intValue(),
              run.get("passes").intValue(),
              run.get("guidance").doubleValue(),
              run.has("paper") ? paper(run.get("paper")) : null));
    }
    List<String> sources = new ArrayList<>();
    model.get("sources").forEach(source -> sources.add(source.textValue()));
    return new ModelProfile(
        name,
        model.get("title").textValue(),
        model.get("networks").intValue(),
        Denoisers.geometry(config, name),
        config,
        model.get("vae").get(0).intValue(),
        model.get("vae").get(1).intValue(),
        model.get("text").intValue(),
        model.get("image").intValue(),
        runs,
        sources);
  }

  private static Paper paper(JsonNode paper) {
    return new Paper(
        paper.get("dense").doubleValue(),
        paper.get("sparse").doubleValue(),
        paper.get("denseSeconds").doubleValue(),
        paper.get("sparseSeconds").doubleValue(),
        paper.get("device").textValue());
  }
}

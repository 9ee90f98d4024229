package io.github.sparsevdit.estimate;

import io.github.sparsevdit.checkpoint.Denoisers;
import io.github.sparsevdit.internal.io.Json;
import io.github.sparsevdit.internal.io.JsonText;
import io.github.sparsevdit.model.Geometry;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * A published model as it is usually run. The profiles are in {@code profiles.json} beside this
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
  private static final String RESOURCE = "profiles.json";

  /**
   * A usual run.
   *
   * @param height of the video in pixels
   * @param passes forward passes a step: 2 with classifier-free guidance
   * @param guidance its scale, or the one that is embedded
   * @param guidance2 that of a second network; null where there is none
   * @param framesPerSecond how fast the video plays
   * @param paper what arXiv 2506.03065 says of this very run; null where nothing
   */
  public record Run(
      int height,
      int width,
      int frames,
      int steps,
      int passes,
      double guidance,
      Double guidance2,
      int framesPerSecond,
      Paper paper) {}

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
    return Json.resource(ModelProfile.class, RESOURCE).field("models").array().stream()
        .map(ModelProfile::read)
        .toList();
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
    Map<String, String> changed = new LinkedHashMap<>();
    Json.parse(title, config).fields().forEach((key, value) -> changed.put(key, value.toString()));
    entries.forEach((key, value) -> changed.put(key, json(value)));
    String text =
        changed.entrySet().stream()
            .map(entry -> quoted(entry.getKey()) + ":" + entry.getValue())
            .collect(Collectors.joining(",", "{", "}"));
    return new ModelProfile(
        name,
        title,
        networks,
        Denoisers.geometry(text, title),
        text,
        vaeFrames,
        vaePixels,
        this.text,
        image,
        runs,
        sources);
  }

  private static String json(String value) {
    try {
      return Json.parse("value", value).toString();
    } catch (IllegalArgumentException e) {
      return quoted(value);
    }
  }

  private static String quoted(String value) {
    return JsonText.compact().value(value).toString();
  }

  private static ModelProfile read(Json model) {
    String name = model.field("name").text();
    String config = model.field("config").toString();
    List<Run> runs = new ArrayList<>();
    for (Json run : model.field("runs").array()) {
      runs.add(
          new Run(
              run.field("height").integer(1),
              run.field("width").integer(1),
              run.field("frames").integer(1),
              run.field("steps").integer(1),
              run.field("passes").integer(1),
              run.field("guidance").number(),
              run.has("guidance2") ? (Double) run.field("guidance2").number() : null,
              run.field("fps").integer(1),
              run.has("paper") ? paper(run.field("paper")) : null));
    }
    List<Json> vae = model.field("vae").array();
    return new ModelProfile(
        name,
        model.field("title").text(),
        model.field("networks").integer(1),
        Denoisers.geometry(config, name),
        config,
        vae.get(0).integer(1),
        vae.get(1).integer(1),
        model.field("text").integer(0),
        model.field("image").integer(0),
        runs,
        model.field("sources").array().stream().map(Json::text).toList());
  }

  private static Paper paper(Json paper) {
    return new Paper(
        paper.field("dense").number(),
        paper.field("sparse").number(),
        paper.field("denseSeconds").number(),
        paper.field("sparseSeconds").number(),
        paper.field("device").text());
  }
}

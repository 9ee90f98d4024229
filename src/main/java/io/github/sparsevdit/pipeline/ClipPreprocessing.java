package io.github.sparsevdit.pipeline;

import io.github.sparsevdit.internal.io.Json;
import io.github.sparsevdit.internal.media.Picture;
import io.github.sparsevdit.internal.media.Resampling;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;

/**
 * What CLIP's vision encoder is given of a picture: its shorter side resized, the middle cut out,
 * mean and deviation of each channel taken out.
 */
record ClipPreprocessing(
    int shortest, int cropHeight, int cropWidth, float[] mean, float[] deviation) {
  private static final String FILE = "preprocessor_config.json";
  private static final int BICUBIC = 3; // of Pillow's filters

  /** Read below, or saying nothing of what becomes of a picture. */
  private static final Set<String> KNOWN =
      Set.of(
          "do_resize",
          "do_center_crop",
          "do_rescale",
          "do_normalize",
          "do_convert_rgb",
          "resample",
          "rescale_factor",
          "size",
          "crop_size",
          "image_mean",
          "image_std",
          "image_processor_type",
          "feature_extractor_type",
          "processor_class",
          "data_format",
          "input_data_format",
          "device",
          "return_tensors",
          "default_to_square",
          "disable_grouping",
          "use_square_size");

  /** Reads preprocessor_config.json; what is not followed is refused by name. */
  static ClipPreprocessing read(Path folder) {
    Path file = folder.resolve(FILE);
    if (!Files.exists(file)) {
      throw new IllegalArgumentException(
          file + " is missing, which says how an image becomes features; download it");
    }
    Json config = Json.read(file);
    config
        .fields()
        .forEach(
            (key, value) -> {
              boolean known = key.startsWith("_") || KNOWN.contains(key) || value.isNull();
              if (!known) {
                throw value.expected("no setting of that name: it is not followed here");
              }
            });
    for (String step : List.of("do_resize", "do_center_crop", "do_rescale", "do_normalize")) {
      if (!config.bool(step, true)) {
        throw config.field(step).expected("true");
      }
    }
    if (config.has("resample") && config.field("resample").integer(0) != BICUBIC) {
      throw config.field("resample").expected(BICUBIC + ", bicubic");
    }
    double factor = config.number("rescale_factor", 1.0 / 255);
    if (Math.abs(factor * 255 - 1) > 1e-6) {
      throw config.field("rescale_factor").expected("1/255");
    }
    Json crop = config.field("crop_size");
    return new ClipPreprocessing(
        config.field("size").field("shortest_edge").integer(1),
        crop.field("height").integer(1),
        crop.field("width").integer(1),
        three(config.field("image_mean")),
        three(config.field("image_std")));
  }

  private static float[] three(Json list) {
    List<Json> values = list.array();
    if (values.size() != 3) {
      throw list.expected("three numbers");
    }
    float[] three = new float[3];
    for (int i = 0; i < 3; i++) {
      three[i] = (float) values.get(i).number();
    }
    return three;
  }

  /** The picture as [3, height, width]. */
  float[] apply(Picture picture) {
    int width = picture.width();
    int height = picture.height();
    boolean upright = width <= height;
    int longer = (int) ((long) shortest * Math.max(width, height) / Math.min(width, height));
    Picture resized =
        Resampling.BICUBIC.resize(
            picture, upright ? shortest : longer, upright ? longer : shortest);
    float[] scale = new float[3];
    float[] shift = new float[3];
    for (int i = 0; i < 3; i++) {
      scale[i] = 1 / deviation[i];
      shift[i] = -mean[i] / deviation[i];
    }
    return resized.centreCrop(cropWidth, cropHeight).planes(scale, shift);
  }
}

package io.github.sparsevdit.model;

import io.github.sparsevdit.tensor.Tensor;
import java.util.EnumMap;
import java.util.Map;

/**
 * What a denoiser gets besides the latents and the timestep: tensors, each a named {@link Part},
 * and a few numbers. Which parts a model wants, and which it refuses, {@link
 * VideoTransformer#check} says. The tensors are host memory of any element type and stay the
 * caller's. Immutable.
 */
public final class Conditioning {
  /** A tensor of a conditioning. */
  public enum Part {
    /** The prompt's embedding. Every model has it. */
    TEXT("text", "text embedding", "tokens", "features"),
    /** HunyuanVideo: the pooled embedding of the prompt. */
    POOLED("pooled", "pooled embedding", "features"),
    /** Wan2.1 image-to-video: the image's CLIP features. */
    IMAGE("image", "image embedding", "tokens", "features"),
    /**
     * Image-to-video: the latents that follow the noisy ones along the channels, of the same shape
     * but for those.
     */
    LATENTS("latents", "image latents", "channels", "frames", "height", "width"),
    /**
     * Wan2.2 TI2V: the frames the video begins with, fewer than the latents'. They stand in for the
     * latents' first ones, at timestep 0.
     */
    FIRST_FRAMES("firstFrames", "first frames", "channels", "frames", "height", "width");

    private final String label;
    private final String title;
    private final String[] dimensions;

    Part(String label, String title, String... dimensions) {
      this.label = label;
      this.title = title;
      this.dimensions = dimensions;
    }

    /** What files call it. */
    public String label() {
      return label;
    }

    /** What messages call it. */
    public String title() {
      return title;
    }

    /** How many dimensions it has. */
    public int rank() {
      return dimensions.length;
    }

    /** Its shape in words, as "[tokens, features]". */
    public String shape() {
      return "[" + String.join(", ", dimensions) + "]";
    }
  }

  private final Map<Part, Tensor> parts;
  private final int textValid;
  private final double guidance;
  private final double offset;

  private Conditioning(Map<Part, Tensor> parts, int textValid, double guidance, double offset) {
    this.parts = parts;
    this.textValid = textValid;
    this.guidance = guidance;
    this.offset = offset;
  }

  /** A prompt's embedding [tokens, features] alone. */
  public static Conditioning text(Tensor text) {
    return new Conditioning(new EnumMap<>(Part.class), -1, Double.NaN, Double.NaN)
        .with(Part.TEXT, text);
  }

  /**
   * A prompt's embedding with padding after the first textValid tokens, a pooled embedding, and an
   * embedded guidance scale × 1000: what HunyuanVideo takes.
   */
  public static Conditioning text(Tensor text, int textValid, Tensor pooled, double guidance) {
    return text(text).withTextValid(textValid).with(Part.POOLED, pooled).withGuidance(guidance);
  }

  /**
   * The same with a part; null takes it out.
   *
   * @throws IllegalArgumentException if it has another number of dimensions, or the text is taken
   *     out
   */
  public Conditioning with(Part part, Tensor tensor) {
    boolean fits = tensor == null ? part != Part.TEXT : tensor.rank() == part.rank();
    if (!fits) {
      throw new IllegalArgumentException(
          "%s must be %s: %s".formatted(part.label(), part.shape(), tensor));
    }
    Map<Part, Tensor> changed = new EnumMap<>(parts);
    if (tensor == null) {
      changed.remove(part);
    } else {
      changed.put(part, tensor);
    }
    return new Conditioning(changed, textValid, guidance, offset);
  }

  /**
   * The same with padding after the first {@code textValid} text tokens (HunyuanVideo); −1 for
   * none.
   */
  public Conditioning withTextValid(int textValid) {
    if (textValid < -1 || textValid > textTokens()) {
      throw new IllegalArgumentException(
          "textValid must lie in [0, " + textTokens() + "], or be -1 for all: " + textValid);
    }
    return new Conditioning(parts, textValid, guidance, offset);
  }

  /**
   * The same with an embedded guidance scale × 1000 (HunyuanVideo); NaN for a model that has none.
   */
  public Conditioning withGuidance(double guidance) {
    return new Conditioning(parts, textValid, guidance, offset);
  }

  /**
   * The same with the {@code ofs} that CogVideoX1.5 image-to-video embeds; NaN for the 2 of the
   * published pipeline, or for a model that has none.
   */
  public Conditioning withOffset(double offset) {
    return new Conditioning(parts, textValid, guidance, offset);
  }

  /** A part; null where there is none. */
  public Tensor part(Part part) {
    return parts.get(part);
  }

  /** {@link Part#TEXT}. */
  public Tensor text() {
    return part(Part.TEXT);
  }

  /** {@link Part#POOLED}, or null. */
  public Tensor pooled() {
    return part(Part.POOLED);
  }

  /** {@link Part#IMAGE}, or null. */
  public Tensor image() {
    return part(Part.IMAGE);
  }

  /** {@link Part#LATENTS}, or null. */
  public Tensor latents() {
    return part(Part.LATENTS);
  }

  /** {@link Part#FIRST_FRAMES}, or null. */
  public Tensor firstFrames() {
    return part(Part.FIRST_FRAMES);
  }

  /** How many of the text tokens are real; −1 for all. */
  public int textValid() {
    return textValid;
  }

  /** The embedded guidance scale × 1000; NaN for none. */
  public double guidance() {
    return guidance;
  }

  /** CogVideoX1.5's {@code ofs}; NaN for the published 2, or none. */
  public double offset() {
    return offset;
  }

  /** How many text tokens there are, padding included. */
  public int textTokens() {
    return Math.toIntExact(text().size(0));
  }
}

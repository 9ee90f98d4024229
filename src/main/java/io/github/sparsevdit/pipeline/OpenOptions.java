package io.github.sparsevdit.pipeline;

import io.github.sparsevdit.checkpoint.Lora;
import io.github.sparsevdit.tensor.ElementType;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/** How a {@link Generator} opens a checkpoint. Immutable. */
public final class OpenOptions {
  private ElementType type = ElementType.BF16;
  private String variant;
  private Path base;
  private Path second;
  private ElementType vaeType;
  private boolean vaeTiling;
  private Path embeddingCache;
  private int textTokens;
  private Path embeddings;
  private TextEncoder textEncoder;
  private LatentDecoder latentDecoder;
  private List<Lora> loras = List.of();
  private List<Lora> secondLoras = List.of();

  private OpenOptions() {}

  /** BF16, and all else from the folder. */
  public static OpenOptions defaults() {
    return new OpenOptions();
  }

  private OpenOptions changed(Consumer<OpenOptions> change) {
    OpenOptions changed = new OpenOptions();
    changed.type = type;
    changed.variant = variant;
    changed.base = base;
    changed.second = second;
    changed.vaeType = vaeType;
    changed.vaeTiling = vaeTiling;
    changed.embeddingCache = embeddingCache;
    changed.textTokens = textTokens;
    changed.embeddings = embeddings;
    changed.textEncoder = textEncoder;
    changed.latentDecoder = latentDecoder;
    changed.loras = loras;
    changed.secondLoras = secondLoras;
    change.accept(changed);
    return changed;
  }

  /** What the networks compute in: BF16 or FP32. */
  public OpenOptions withType(ElementType type) {
    return changed(options -> options.type = type);
  }

  /**
   * The variant of the weights, as diffusers names them ("fp16"); null for those without one, else
   * the only one there is.
   */
  public OpenOptions withVariant(String variant) {
    return changed(options -> options.variant = variant);
  }

  /**
   * A folder of the same model in diffusers' layout, for a transformer's file or folder: scheduler,
   * text encoder and VAE are taken from it, and the configuration of a file. Null for none.
   */
  public OpenOptions withBase(Path base) {
    return changed(options -> options.base = base);
  }

  /**
   * Another second network for a pipeline with two (Wan2.2): a file of weights or a transformer's
   * folder. Null for the pipeline's own.
   */
  public OpenOptions withSecond(Path second) {
    return changed(options -> options.second = second);
  }

  /**
   * What the VAE computes in: BF16 or FP32; null for FP32 with Wan, whose VAE its pipeline computes
   * so, and for {@link #withType} with the others.
   */
  public OpenOptions withVaeType(ElementType vaeType) {
    return changed(options -> options.vaeType = vaeType);
  }

  /**
   * Whether the VAE decodes and encodes large pictures in overlapping tiles, as diffusers' {@code
   * enable_tiling} has it: that takes less memory, and the result differs a little.
   */
  public OpenOptions withVaeTiling(boolean vaeTiling) {
    return changed(options -> options.vaeTiling = vaeTiling);
  }

  /**
   * A folder that stores encoded prompts, so that the next program need not open the text encoder
   * for them; null for none. Programs may share it.
   */
  public OpenOptions withEmbeddingCache(Path folder) {
    return changed(options -> options.embeddingCache = folder);
  }

  /** Tokens a text is padded or cut to; 0 for the published number of the family. */
  public OpenOptions withTextTokens(int textTokens) {
    if (textTokens < 0) {
      throw new IllegalArgumentException("text-tokens " + textTokens + "; expected at least 1");
    }
    return changed(options -> options.textTokens = textTokens);
  }

  /** A LoRA file more to merge into the weights, with its scale. */
  public OpenOptions withLora(Path file, double scale) {
    return changed(options -> options.loras = and(loras, file, scale));
  }

  /** The same for the second network of a checkpoint with two (Wan2.2). */
  public OpenOptions withSecondLora(Path file, double scale) {
    return changed(options -> options.secondLoras = and(secondLoras, file, scale));
  }

  private static List<Lora> and(List<Lora> loras, Path file, double scale) {
    List<Lora> all = new ArrayList<>(loras);
    all.add(new Lora(file, scale));
    return List.copyOf(all);
  }

  /**
   * A file of prompt embeddings (calibration/README.md describes it); null for {@code
   * prompt_embeds.safetensors} in a folder without a text encoder.
   */
  public OpenOptions withEmbeddings(Path embeddings) {
    return changed(options -> options.embeddings = embeddings);
  }

  /** For the prompts; the generator closes it. Null for what {@link TextEncoder} says. */
  public OpenOptions withTextEncoder(TextEncoder textEncoder) {
    return changed(options -> options.textEncoder = textEncoder);
  }

  /** For the latents; the generator closes it. Null for what {@link LatentDecoder} says. */
  public OpenOptions withLatentDecoder(LatentDecoder latentDecoder) {
    return changed(options -> options.latentDecoder = latentDecoder);
  }

  /** See {@link #withType}. */
  public ElementType type() {
    return type;
  }

  /** See {@link #withVariant}. */
  public String variant() {
    return variant;
  }

  /** See {@link #withBase}. */
  public Path base() {
    return base;
  }

  /** See {@link #withSecond}. */
  public Path second() {
    return second;
  }

  /** See {@link #withVaeType}. */
  public ElementType vaeType() {
    return vaeType;
  }

  /** See {@link #withVaeTiling}. */
  public boolean vaeTiling() {
    return vaeTiling;
  }

  /** See {@link #withEmbeddingCache}. */
  public Path embeddingCache() {
    return embeddingCache;
  }

  /** See {@link #withTextTokens}. */
  public int textTokens() {
    return textTokens;
  }

  /** See {@link #withLora}. */
  public List<Lora> loras() {
    return loras;
  }

  /** See {@link #withSecondLora}. */
  public List<Lora> secondLoras() {
    return secondLoras;
  }

  /** See {@link #withEmbeddings}. */
  public Path embeddings() {
    return embeddings;
  }

  /** See {@link #withTextEncoder}. */
  public TextEncoder textEncoder() {
    return textEncoder;
  }

  /** See {@link #withLatentDecoder}. */
  public LatentDecoder latentDecoder() {
    return latentDecoder;
  }
}

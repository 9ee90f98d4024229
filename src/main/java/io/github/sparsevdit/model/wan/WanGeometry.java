package io.github.sparsevdit.model.wan;

import static io.github.sparsevdit.model.parts.Counts.embedding;
import static io.github.sparsevdit.model.parts.Counts.feedForward;
import static io.github.sparsevdit.model.parts.Counts.linear;

import io.github.sparsevdit.model.ForwardCost;
import io.github.sparsevdit.model.Geometry;
import io.github.sparsevdit.model.parts.Counts;
import io.github.sparsevdit.pattern.ModelShape;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.tensor.ElementType;

/** Wan's sizes. */
record WanGeometry(WanConfig config) implements Geometry {
  private static final int CLIP_TOKENS = 257;

  @Override
  public String className() {
    return "WanTransformer3DModel";
  }

  @Override
  public ModelShape shape(String name) {
    return new ModelShape(name, config.layers(), config.dims().heads(), config.dims().headDim());
  }

  @Override
  public long parameters() {
    long d = config.dims().width();
    long image = config.imageFeatures();
    long volume = config.patches().volume();
    long attention = 4 * linear(d, d) + 2 * d;
    long imageKeys = image == 0 ? 0 : 2 * linear(d, d) + d;
    long block = 6 * d + 2 * attention + imageKeys + 2 * d + feedForward(d, config.ffn());
    long imageEmbedding =
        image == 0 ? 0 : 2 * image + linear(image, image) + linear(image, d) + 2 * d;
    return config.layers() * block
        + linear(config.inChannels() * volume, d)
        + embedding(config.timeFrequencies(), d)
        + linear(d, 6 * d)
        + embedding(config.textFeatures(), d)
        + imageEmbedding
        + 2 * d
        + linear(d, config.outChannels() * volume);
  }

  @Override
  public int usualText() {
    return 512;
  }

  @Override
  public int usualImage() {
    return config.imageFeatures() == 0 ? 0 : CLIP_TOKENS;
  }

  @Override
  public int[] patch() {
    return config.patch().clone();
  }

  @Override
  public int latentChannels() {
    return config.outChannels();
  }

  @Override
  public int imageLatentChannels() {
    return config.inChannels() - config.outChannels();
  }

  @Override
  public Sequence sequence(int frames, int height, int width, int text) {
    int patch = config.patch()[0];
    return config
        .patches()
        .sequence(config.inChannels(), Math.ceilDiv(frames, patch) * patch, height, width);
  }

  @Override
  public ForwardCost cost(Sequence sequence, int text, int image) {
    double n = sequence.tokens();
    double d = config.dims().width();
    double keys = (double) text + image;
    double self = 8 * n * d * d + 4 * n * d * config.ffn();
    double cross = 4 * n * d * d + 4 * keys * d * d + 4 * n * keys * d;
    return ForwardCost.of(config.layers(), self + cross, n, d);
  }

  @Override
  public long activationBytes(ElementType type, Sequence sequence, int text, int image) {
    long n = sequence.tokens();
    long d = config.dims().width();
    long bytes = type.bytes();
    long volume = config.patches().volume();
    long tokens =
        Counts.patchBytes(type, n, config.inChannels() * volume)
            + n * (4L * config.dims().headDim() + 4 * d + 4 * bytes * d)
            + n * 4 * config.outChannels() * volume;
    long context = ((long) text + image) * 3 * d * bytes;
    long textEmbedding = (long) text * (config.textFeatures() + d) * bytes;
    long imageEmbedding = (long) image * (8L * config.imageFeatures() + 4 * d);
    long rows = 2 * (4 + bytes + 24 + 24 + 8) * d; // twice where first frames are given
    return tokens
        + Counts.chunkBytes(type, n, config.ffn())
        + context
        + textEmbedding
        + imageEmbedding
        + rows;
  }
}

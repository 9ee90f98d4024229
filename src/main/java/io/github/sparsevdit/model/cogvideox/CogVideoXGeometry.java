package io.github.sparsevdit.model.cogvideox;

import static io.github.sparsevdit.model.parts.Counts.embedding;
import static io.github.sparsevdit.model.parts.Counts.feedForward;
import static io.github.sparsevdit.model.parts.Counts.linear;

import io.github.sparsevdit.model.ForwardCost;
import io.github.sparsevdit.model.Geometry;
import io.github.sparsevdit.model.parts.Counts;
import io.github.sparsevdit.pattern.ModelShape;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.tensor.ElementType;

/** CogVideoX1.5's sizes. */
record CogVideoXGeometry(CogVideoXConfig config) implements Geometry {
  @Override
  public String className() {
    return "CogVideoXTransformer3DModel";
  }

  @Override
  public ModelShape shape(String name) {
    return new ModelShape(name, config.layers(), config.dims().heads(), config.dims().headDim());
  }

  @Override
  public long parameters() {
    long d = config.dims().width();
    long time = config.timeWidth();
    long volume = config.patches().volume();
    long norm = linear(time, 6 * d) + 2 * d;
    long attention = 4 * linear(d, d) + 4L * config.dims().headDim();
    long block = 2 * norm + attention + feedForward(d, config.ffn());
    return config.layers() * block
        + linear(config.inChannels() * volume, d)
        + linear(config.textFeatures(), d)
        + embedding(d, time)
        + (config.offsetWidth() == 0 ? 0 : embedding(config.offsetWidth(), time))
        + 2 * d
        + linear(time, 2 * d)
        + 2 * d
        + linear(d, config.outChannels() * volume);
  }

  @Override
  public int usualText() {
    return 226;
  }

  @Override
  public int usualImage() {
    return 0;
  }

  @Override
  public int[] patch() {
    return new int[] {config.patchFrames(), config.patch(), config.patch()};
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
    int patch = config.patchFrames();
    return config
        .patches()
        .sequence(config.inChannels(), Math.ceilDiv(frames, patch) * patch, height, width)
        .withText(text, true);
  }

  @Override
  public ForwardCost cost(Sequence sequence, int text, int image) {
    double n = sequence.tokens();
    double d = config.dims().width();
    double layer = 8 * n * d * d + 4 * n * d * config.ffn();
    return ForwardCost.of(config.layers(), layer, n, d);
  }

  @Override
  public long activationBytes(ElementType type, Sequence sequence, int text, int image) {
    long n = sequence.tokens();
    long video = sequence.videoTokens();
    long d = config.dims().width();
    long bytes = type.bytes();
    long volume = config.patches().volume();
    long tokens =
        Counts.patchBytes(type, video, config.inChannels() * volume)
            + video * 4 * (config.dims().headDim() + config.outChannels() * volume)
            + n * (4 + 4 * bytes) * d;
    long rows = (8 + bytes) * config.timeWidth() + 24 * d;
    return tokens
        + Counts.chunkBytes(type, n, config.ffn())
        + (long) text * config.textFeatures() * bytes
        + rows;
  }
}

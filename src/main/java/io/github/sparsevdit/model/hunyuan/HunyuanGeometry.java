package io.github.sparsevdit.model.hunyuan;

import static io.github.sparsevdit.model.parts.Counts.embedding;
import static io.github.sparsevdit.model.parts.Counts.feedForward;
import static io.github.sparsevdit.model.parts.Counts.linear;

import io.github.sparsevdit.model.ForwardCost;
import io.github.sparsevdit.model.Geometry;
import io.github.sparsevdit.model.parts.Counts;
import io.github.sparsevdit.pattern.ModelShape;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.tensor.ElementType;

/** HunyuanVideo's sizes. */
record HunyuanGeometry(HunyuanConfig config) implements Geometry {
  @Override
  public String className() {
    return "HunyuanVideoTransformer3DModel";
  }

  @Override
  public ModelShape shape(String name) {
    return new ModelShape(
        name,
        config.dualLayers() + config.singleLayers(),
        config.dims().heads(),
        config.dims().headDim());
  }

  @Override
  public long parameters() {
    long d = config.dims().width();
    long headDim = config.dims().headDim();
    long ffn = config.ffn();
    long volume = config.patches().volume();
    long stream = linear(d, 6 * d) + 4 * linear(d, d) + 2 * headDim + feedForward(d, ffn);
    long single =
        linear(d, 3 * d) + 3 * linear(d, d) + 2 * headDim + linear(d, ffn) + linear(d + ffn, d);
    long refinerBlock =
        2 * d + 4 * linear(d, d) + 2 * d + feedForward(d, config.refinerFfn()) + linear(d, 2 * d);
    long time = embedding(HunyuanConfig.TIME_FREQUENCIES, d);
    long refiner =
        time
            + embedding(config.textFeatures(), d)
            + linear(config.textFeatures(), d)
            + config.refinerLayers() * refinerBlock;
    return config.dualLayers() * 2 * stream
        + config.singleLayers() * single
        + refiner
        + linear(config.inChannels() * volume, d)
        + (config.guidance() ? 2 : 1) * time
        + embedding(config.pooledFeatures(), d)
        + linear(d, 2 * d)
        + linear(d, config.outChannels() * volume);
  }

  @Override
  public int usualText() {
    return 256;
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
  public boolean embedsGuidance() {
    return config.guidance();
  }

  @Override
  public int latentChannels() {
    return config.outChannels();
  }

  @Override
  public Sequence sequence(int frames, int height, int width, int text) {
    int patch = config.patchFrames();
    return config
        .patches()
        .sequence(config.inChannels(), Math.ceilDiv(frames, patch) * patch, height, width)
        .withText(text, false);
  }

  @Override
  public ForwardCost cost(Sequence sequence, int text, int image) {
    double n = sequence.tokens();
    double d = config.dims().width();
    double layer = 8 * n * d * d + 4 * n * d * config.ffn();
    return ForwardCost.of(config.dualLayers() + config.singleLayers(), layer, n, d);
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
    long prompt = (long) text * config.textFeatures() * bytes + 4L * config.textFeatures();
    long pooled = (config.pooledFeatures() + config.textFeatures() + 2 * d) * bytes;
    long rows = (8 + bytes + 48) * d;
    return tokens
        + Counts.chunkBytes(type, n, config.ffn())
        + (config.refinerFfn() == config.ffn()
            ? 0
            : Counts.chunkBytes(type, text, config.refinerFfn()))
        + Counts.chunkBytes(type, n, d + config.ffn())
        + prompt
        + pooled
        + rows;
  }
}

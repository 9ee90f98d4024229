package io.github.sparsevdit.checkpoint;

import io.github.sparsevdit.model.AttentionFunction;
import io.github.sparsevdit.model.Conditioning;
import io.github.sparsevdit.model.VideoTransformer;
import io.github.sparsevdit.model.parts.BaseTransformer;
import io.github.sparsevdit.pattern.ModelShape;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.util.Arrays;
import java.util.List;

/**
 * Wan2.2 A14B: one network for timesteps of at least a boundary, another below it. Only the one in
 * use has buffers.
 *
 * <p>Their layers count as the same: no timestep knows both, so a dispatch table, which goes by
 * timestep and layer, needs no second set of layers. A search begins a phase of its own where the
 * second network does.
 */
final class TwoNetworks implements VideoTransformer {
  private final String name;
  private final BaseTransformer<?> high;
  private final BaseTransformer<?> low;
  private final double boundary;

  /**
   * @param name of both together
   * @param high for timesteps of at least boundary
   * @param low for the others, of the same shape
   */
  TwoNetworks(String name, BaseTransformer<?> high, BaseTransformer<?> low, double boundary) {
    this.name = name;
    this.high = high;
    this.low = low;
    this.boundary = boundary;
    requireAlike("heads", high.shape().heads(), low.shape().heads());
    requireAlike("head dim", high.shape().headDim(), low.shape().headDim());
    requireAlike("layers", high.shape().layers(), low.shape().layers());
    long[] any = {1, 2, 16, 16};
    requireAlike("output channels", high.outputShape(any)[0], low.outputShape(any)[0]);
  }

  private void requireAlike(String what, long first, long second) {
    if (first != second) {
      throw new IllegalArgumentException(
          name + ": the networks differ in " + what + ": " + first + " and " + second);
    }
  }

  /** Both. */
  List<BaseTransformer<?>> networks() {
    return List.of(high, low);
  }

  private BaseTransformer<?> at(double timestep) {
    return timestep >= boundary ? high : low;
  }

  @Override
  public double boundary() {
    return boundary;
  }

  @Override
  public ModelShape shape() {
    ModelShape shape = high.shape();
    return new ModelShape(name, shape.layers(), shape.heads(), shape.headDim());
  }

  @Override
  public ElementType type() {
    return high.type();
  }

  @Override
  public long[] outputShape(long[] latentShape) {
    return high.outputShape(latentShape);
  }

  @Override
  public Sequence sequence(long[] latentShape, int textTokens) {
    Sequence sequence = high.sequence(latentShape, textTokens);
    Sequence other = low.sequence(latentShape, textTokens);
    if (!sequence.equals(other)) {
      throw new IllegalArgumentException(
          "the networks cut latents of "
              + Arrays.toString(latentShape)
              + " into different sequences: "
              + sequence
              + " and "
              + other);
    }
    return sequence;
  }

  @Override
  public void check(long[] latentShape, Conditioning conditioning) {
    high.check(latentShape, conditioning);
    low.check(latentShape, conditioning);
  }

  @Override
  public void forward(
      Tensor latents,
      double timestep,
      Conditioning conditioning,
      AttentionFunction attention,
      Tensor out) {
    BaseTransformer<?> network = at(timestep);
    (network == high ? low : high).releaseBuffers();
    network.forward(latents, timestep, conditioning, attention, out);
  }

  @Override
  public Tensor outProjection(double timestep, int layer) {
    return at(timestep).outProjection(timestep, layer);
  }

  @Override
  public String weightNotFinite(double timestep) {
    return at(timestep).weightNotFinite(timestep);
  }

  @Override
  public String fingerprint() {
    return high.fingerprint() + " from " + boundary + ", below " + low.fingerprint();
  }

  @Override
  public void releaseBuffers() {
    high.releaseBuffers();
    low.releaseBuffers();
  }

  @Override
  public void close() {
    try {
      high.close();
    } finally {
      low.close();
    }
  }
}

package io.github.sparsevdit.search;

import io.github.sparsevdit.pattern.ModelShape;
import io.github.sparsevdit.pattern.Schedule;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.search.capture.CalibrationSource;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;

/** Points made up from their key alone, so that every visit gives the same. */
public final class SyntheticSource implements CalibrationSource {
  public static final int BRANCHES = 2;

  /** Fills one head of one point: q, k and v are [tokens · headDim], zero before. */
  public interface Head {
    void fill(Key key, Random random, float[] q, float[] k, float[] v);
  }

  final ModelShape model;
  final Sequence sequence;
  final int steps;
  final int samples;
  public final int outputs;
  final List<Head> heads;
  public final int[] textValid;
  int secondNetworkFrom = Integer.MAX_VALUE; // the step it takes over at
  int visits;

  /**
   * @param outputs rows of the output projection; 0 for none
   * @param textValid valid text per batch row, its length the batch size; null for a batch of one
   *     with all text valid
   */
  public SyntheticSource(
      Sequence sequence,
      int layers,
      int headDim,
      int steps,
      int samples,
      int outputs,
      int[] textValid,
      List<Head> heads) {
    this.model = new ModelShape("synthetic", layers, heads.size(), headDim);
    this.sequence = sequence;
    this.steps = steps;
    this.samples = samples;
    this.outputs = outputs;
    this.textValid = textValid;
    this.heads = heads;
  }

  int batch() {
    return textValid == null ? 1 : textValid.length;
  }

  /** Q, K and V of a point, each [batch][head][token · headDim]. */
  public float[][][][] values(Key key) {
    float[][][][] qkv = new float[3][batch()][heads.size()][sequence.tokens() * model.headDim()];
    for (int b = 0; b < batch(); b++) {
      for (int h = 0; h < heads.size(); h++) {
        Random random = new Random(key.hashCode() * 31L + h + 1000003L * b);
        heads.get(h).fill(key, random, qkv[0][b][h], qkv[1][b][h], qkv[2][b][h]);
      }
    }
    return qkv;
  }

  /** The projection [outputs, H · D] of a layer of the network that computes a point. */
  public float[] projection(Key key) {
    int network = key.step() < secondNetworkFrom ? 0 : 1;
    Random random = new Random(77 + key.layer() + 1000L * network);
    float[] weight = new float[outputs * heads.size() * model.headDim()];
    for (int i = 0; i < weight.length; i++) {
      weight[i] = (float) random.nextGaussian() * 0.2f;
    }
    return weight;
  }

  public List<Key> keys() {
    List<Key> keys = new ArrayList<>();
    for (int sample = 0; sample < samples; sample++) {
      for (int step = 0; step < steps; step++) {
        for (int layer = 0; layer < model.layers(); layer++) {
          for (int branch = 0; branch < BRANCHES; branch++) {
            keys.add(new Key(sample, step, layer, branch));
          }
        }
      }
    }
    return keys;
  }

  @Override
  public ModelShape model() {
    return model;
  }

  @Override
  public Sequence sequence() {
    return sequence;
  }

  @Override
  public ElementType type() {
    return ElementType.FP32;
  }

  @Override
  public Schedule schedule() {
    return new Schedule(
        IntStream.range(0, steps).mapToObj(i -> 1000.0 * (steps - i) / steps - 1).toList());
  }

  @Override
  public List<Integer> networkStarts() {
    return secondNetworkFrom < steps ? List.of(secondNetworkFrom) : List.of();
  }

  @Override
  public int samples() {
    return samples;
  }

  @Override
  public long points() {
    return keys().size();
  }

  @Override
  public String sha256() {
    return "0".repeat(64);
  }

  @Override
  public void visit(Visitor visitor) {
    visits++;
    for (Key key : keys()) {
      if (!visitor.wants(key)) {
        continue;
      }
      try (Arena arena = Arena.ofShared()) {
        float[][][][] qkv = values(key);
        Tensor[] tensors = new Tensor[3];
        for (int i = 0; i < 3; i++) {
          tensors[i] =
              tensor(
                  arena, flat(qkv[i]), batch(), heads.size(), sequence.tokens(), model.headDim());
        }
        Tensor projection =
            outputs == 0
                ? null
                : tensor(arena, projection(key), outputs, (long) heads.size() * model.headDim());
        visitor.accept(
            new Point(
                key,
                schedule().timesteps().get(key.step()),
                tensors[0],
                tensors[1],
                tensors[2],
                projection,
                textValid));
      }
    }
  }

  @Override
  public void close() {}

  private static float[] flat(float[][][] values) {
    int size = values[0][0].length;
    float[] flat = new float[values.length * values[0].length * size];
    for (int b = 0; b < values.length; b++) {
      for (int h = 0; h < values[0].length; h++) {
        System.arraycopy(values[b][h], 0, flat, (b * values[0].length + h) * size, size);
      }
    }
    return flat;
  }

  private static Tensor tensor(Arena arena, float[] values, long... shape) {
    return Tensor.of(arena.allocate(values.length * 4L, 64), ElementType.FP32, shape)
        .copyFrom(values);
  }

  public static void gaussian(Random random, float[] values, double scale) {
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) (random.nextGaussian() * scale);
    }
  }
}

package io.github.sparsevdit;

import io.github.sparsevdit.eval.cases.AccuracyBound;
import io.github.sparsevdit.eval.cases.E4m3Inputs;
import io.github.sparsevdit.eval.cases.ReferenceAttention;
import io.github.sparsevdit.eval.cases.Visibility;
import io.github.sparsevdit.pattern.Mode;
import io.github.sparsevdit.pattern.Order;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.TreeSet;
import java.util.function.Function;
import java.util.stream.IntStream;

/**
 * A random call of an awkward shape, with its tensors and float64 reference. Everything follows
 * from the seed.
 */
final class RandomCase implements AutoCloseable {
  // The plain formula may sum in any order. Of a few rows one order's largest error is luck; of
  // several orders' it is a bound.
  private static final int SUM_ORDERS = 4;

  private static final int[] BLOCKS = {16, 32, 64, 128};
  private static final int[] HEAD_DIMS = {8, 16, 24, 32, 40, 64, 72, 80, 96, 128, 136, 256};

  final Random random;
  final Sequence sequence;
  final ElementType type;
  final int headDim;
  final int block;
  final List<Pattern> patterns;
  final int batch;
  final int[] textValid;
  final float scale; // 0: the default
  final boolean tokensBeforeHeads; // [B,S,H,D] in memory
  final Tensor q;
  final Tensor k;
  final Tensor v;
  final Tensor out;
  final Tensor lse;
  private final List<Tensor> owned = new ArrayList<>();

  RandomCase(long seed, ElementType type, Backend backend) {
    this(seed, type, backend, 6, HEAD_DIMS, BLOCKS);
  }

  /** One of up to that many frames, and of these head dims and blocks. */
  RandomCase(
      long seed, ElementType type, Backend backend, int frames, int[] headDims, int[] blocks) {
    random = new Random(seed);
    this.type = type;
    int text = random.nextInt(3) == 0 ? 0 : 1 + random.nextInt(40);
    sequence =
        new Sequence(
            1 + random.nextInt(frames),
            1 + random.nextInt(9),
            1 + random.nextInt(11),
            text,
            random.nextBoolean());
    headDim = headDims[random.nextInt(headDims.length)];
    block = blocks[random.nextInt(blocks.length)];
    batch = 1 + random.nextInt(2);
    patterns = IntStream.range(0, 1 + random.nextInt(5)).mapToObj(head -> pattern()).toList();
    textValid = IntStream.range(0, batch).map(row -> random.nextInt(text + 1)).toArray();
    scale = random.nextBoolean() ? 0 : 0.05f + random.nextFloat();
    tokensBeforeHeads = random.nextBoolean();
    double spread = random.nextInt(4) == 0 ? 6 : 1; // logits far apart now and then
    ElementType held = type.tensorType();
    q = tensor(backend, held, spread, false);
    k = tensor(backend, held, spread, true);
    v = tensor(backend, held, 1, true);
    out = tensor(backend, held, 0, false);
    lse = backend.allocate(ElementType.FP32, batch, patterns.size(), sequence.tokens());
    owned.add(lse);
  }

  private Pattern pattern() {
    int blocks = sequence.videoBlocks(block);
    return switch (Mode.values()[random.nextInt(Mode.values().length)]) {
      case FULL -> Pattern.full();
      case SKIP -> Pattern.skip();
      case DIAGONAL ->
          Pattern.diagonal(random.nextInt(2 * sequence.videoTokens()) / 3, someBlocks(blocks));
      case MULTI_DIAGONAL ->
          Pattern.multiDiagonal(random.nextInt(2 * sequence.videoTokens()) / 3, someBlocks(blocks));
      case VERTICAL_STRIPE -> Pattern.verticalStripe(order(), someBlocks(blocks));
      case BLOCKS ->
          Pattern.blocks(
              order(),
              IntStream.range(0, blocks)
                  .mapToObj(i -> Arrays.stream(someBlocks(blocks)).boxed().toList())
                  .toList());
    };
  }

  private Order order() {
    return switch (random.nextInt(3)) {
      case 0 -> Order.FRAME_MAJOR;
      case 1 -> Order.TOKEN_MAJOR;
      default ->
          Order.tileMajor(1 + random.nextInt(3), 1 + random.nextInt(5), 1 + random.nextInt(5));
    };
  }

  private int[] someBlocks(int blocks) {
    TreeSet<Integer> some = new TreeSet<>();
    for (int i = random.nextInt(4); i > 0; i--) {
      some.add(random.nextInt(blocks));
    }
    return some.stream().mapToInt(Integer::intValue).toArray();
  }

  /** Gaussian values of that spread; text keys that are not valid hold NaN. */
  private Tensor tensor(Backend backend, ElementType type, double spread, boolean keys) {
    int heads = patterns.size();
    int tokens = sequence.tokens();
    Tensor memory =
        tokensBeforeHeads
            ? backend.allocate(type, batch, tokens, heads, headDim)
            : backend.allocate(type, batch, heads, tokens, headDim);
    owned.add(memory);
    Tensor tensor = tokensBeforeHeads ? memory.transpose(1, 2) : memory;
    float[] values = new float[batch * heads * tokens * headDim];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) (spread * random.nextGaussian());
    }
    if (keys) {
      int textBegin = sequence.textFirst() ? 0 : sequence.videoTokens();
      for (int row = 0; row < batch * heads; row++) {
        int from = textBegin + textValid[row / heads];
        int to = textBegin + sequence.text();
        Arrays.fill(
            values, (row * tokens + from) * headDim, (row * tokens + to) * headDim, Float.NaN);
      }
    }
    return tensor.copyFrom(values);
  }

  AttentionPlan plan(Backend backend) {
    return backend.plan(sequence, type, headDim, block, patterns);
  }

  /** The reference of one head. */
  ReferenceAttention.Result exact(int row, int head) {
    return ReferenceAttention.exact(
        multiplied(q, row, head),
        multiplied(k, row, head),
        multiplied(v, row, head),
        headDim,
        actualScale(),
        mask(row, head));
  }

  /** One head of q, k or v as the element type has it multiplied. */
  private float[] multiplied(Tensor tensor, int row, int head) {
    float[] rows = head(tensor, row, head);
    int text = tensor == q ? sequence.text() : textValid[row];
    return type == ElementType.E4M3
        ? E4m3Inputs.rounded(rows, headDim, sequence, patterns.get(head).order(), text)
        : rows;
  }

  /** As requireAccurate(ElementType) of what the CPU computed. */
  void requireAccurate() {
    requireAccurate(type.tensorType());
  }

  /**
   * Throws unless out and lse of all heads and rows keep the accuracy bound.
   *
   * @param weights what the weights were rounded to
   */
  void requireAccurate(ElementType weights) {
    AccuracyBound outBound = AccuracyBound.ofOutput(type);
    AccuracyBound lseBound = AccuracyBound.ofLse(type);
    for (int row = 0; row < batch; row++) {
      for (int head = 0; head < patterns.size(); head++) {
        ReferenceAttention.Result exact = exact(row, head);
        ReferenceAttention.Result[] low = new ReferenceAttention.Result[SUM_ORDERS];
        for (int order = 0; order < SUM_ORDERS; order++) {
          low[order] =
              ReferenceAttention.low(
                  rotated(multiplied(q, row, head), order),
                  rotated(multiplied(k, row, head), order),
                  multiplied(v, row, head),
                  headDim,
                  (float) actualScale(),
                  weights,
                  mask(row, head));
        }
        outBound.add(
            doubles(head(out, row, head)),
            exact.out(),
            farthest(exact.out(), low, ReferenceAttention.Result::out));
        lseBound.add(
            doubles(lse.select(0, row).select(0, head).toFloats()),
            exact.lse(),
            farthest(exact.lse(), low, ReferenceAttention.Result::lse));
      }
    }
    if (!outBound.holds() || !lseBound.holds()) {
      throw new AssertionError(
          this
              + ": error "
              + outBound.error()
              + " (bound "
              + outBound.bound()
              + "), mean "
              + outBound.meanError()
              + " (bound "
              + outBound.meanBound()
              + "), LSE error "
              + lseBound.error()
              + " (bound "
              + lseBound.bound()
              + ")");
    }
  }

  /** The same rows with the sums of their products begun elsewhere in the head dim. */
  private float[] rotated(float[] rows, int order) {
    float[] rotated = new float[rows.length];
    for (int i = 0; i < rows.length; i++) {
      int d = (i % headDim + order * headDim / SUM_ORDERS) % headDim;
      rotated[i - i % headDim + d] = rows[i];
    }
    return rotated;
  }

  /** Of each number the one that lies farthest from the exact one. */
  private static double[] farthest(
      double[] exact,
      ReferenceAttention.Result[] results,
      Function<ReferenceAttention.Result, double[]> part) {
    double[] farthest = part.apply(results[0]).clone();
    for (ReferenceAttention.Result result : results) {
      double[] values = part.apply(result);
      for (int i = 0; i < exact.length; i++) {
        if (Math.abs(values[i] - exact[i]) > Math.abs(farthest[i] - exact[i])) {
          farthest[i] = values[i];
        }
      }
    }
    return farthest;
  }

  double actualScale() {
    return scale == 0 ? 1 / Math.sqrt(headDim) : scale;
  }

  private ReferenceAttention.Mask mask(int row, int head) {
    Visibility visibility = new Visibility(sequence, patterns.get(head), block);
    return (query, key) -> visibility.sees(query, key, textValid[row]);
  }

  static float[] head(Tensor tensor, int row, int head) {
    return tensor.select(0, row).select(0, head).toFloats();
  }

  static double[] doubles(float[] floats) {
    return IntStream.range(0, floats.length).mapToDouble(i -> floats[i]).toArray();
  }

  @Override
  public void close() {
    owned.forEach(Tensor::close);
  }

  @Override
  public String toString() {
    return sequence
        + ", "
        + type
        + ", head dim "
        + headDim
        + ", block "
        + block
        + ", batch "
        + batch
        + ", textValid "
        + Arrays.toString(textValid)
        + ", scale "
        + scale
        + (tokensBeforeHeads ? ", [B,S,H,D]" : ", [B,H,S,D]")
        + ", "
        + patterns;
  }
}

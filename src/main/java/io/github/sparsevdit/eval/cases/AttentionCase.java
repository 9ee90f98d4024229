package io.github.sparsevdit.eval.cases;

import io.github.sparsevdit.AttentionPlan;
import io.github.sparsevdit.Backend;
import io.github.sparsevdit.UnsupportedException;
import io.github.sparsevdit.internal.io.Json;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.table.PatternJson;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Safetensors;
import io.github.sparsevdit.tensor.Tensor;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;

/** An attention call with the float64 result of the definition. */
public final class AttentionCase implements ReferenceCase {
  /** Densities are counts of pairs: they agree but for the rounding of a division and a mean. */
  private static final double DENSITY_BOUND = 1e-12;

  /**
   * What a file says it holds.
   *
   * @param keyTokens 0 for self-attention
   * @param textValid per batch row: valid text keys, or valid keys of cross-attention
   * @param density per head, the mean over batch rows; empty where not given
   */
  record Description(
      Sequence sequence,
      int keyTokens,
      int headDim,
      int block,
      int[] textValid,
      List<Pattern> patterns,
      double[] density) {

    static Description of(Json json, Safetensors file) {
      long[] q = file.shape("q");
      int headDim = json.field("head_dim").integer(1);
      if (json.has("cross") && json.field("cross").bool()) {
        return new Description(
            Sequence.video(1, 1, (int) q[2]),
            (int) file.shape("k")[2],
            headDim,
            128,
            ints(json.field("key_valid")),
            Collections.nCopies((int) q[1], Pattern.full()),
            new double[0]);
      }
      Sequence video =
          Sequence.video(
              json.field("frames").integer(1),
              json.field("height").integer(1),
              json.field("width").integer(1));
      return new Description(
          video.withText(json.field("text").integer(0), json.field("text_first").bool()),
          0,
          headDim,
          json.field("block").integer(1),
          ints(json.field("text_valid")),
          json.field("patterns").array().stream()
              .map(pattern -> PatternJson.parse(pattern.toString()))
              .toList(),
          json.field("density").array().stream().mapToDouble(Json::number).toArray());
    }

    private static int[] ints(Json array) {
      return array.array().stream().mapToInt(value -> value.integer(0)).toArray();
    }

    int queryTokens() {
      return sequence.tokens();
    }

    int keys() {
      return keyTokens == 0 ? sequence.tokens() : keyTokens;
    }

    /** What an E4M3 plan makes of a head's queries. */
    float[] eightBitQueries(float[] rows, int head) {
      return keyTokens > 0
          ? E4m3Inputs.rounded(rows, headDim, queryTokens())
          : E4m3Inputs.rounded(
              rows, headDim, sequence, patterns.get(head).order(), sequence.text());
    }

    /** What it makes of a head's keys or values, of whose text that much is valid. */
    float[] eightBitKeys(float[] rows, int head, int valid) {
      return keyTokens > 0
          ? E4m3Inputs.rounded(rows, headDim, valid)
          : E4m3Inputs.rounded(rows, headDim, sequence, patterns.get(head).order(), valid);
    }

    ReferenceAttention.Mask mask(int head, int batch) {
      int valid = textValid[batch];
      if (keyTokens > 0) {
        return (query, key) -> key < valid;
      }
      Visibility visibility = new Visibility(sequence, patterns.get(head), block);
      return (query, key) -> visibility.sees(query, key, valid);
    }
  }

  private final Path path;
  private final Description description;

  AttentionCase(Path path, Description description) {
    this.path = path;
    this.description = description;
  }

  @Override
  public String name() {
    return ReferenceCases.nameOf(path);
  }

  @Override
  public String family() {
    return "attention";
  }

  /** In the element type the file has. */
  @Override
  public CaseResult run(Backend backend) {
    try (Safetensors file = Safetensors.open(path)) {
      return run(backend, file, file.tensor("q").type());
    }
  }

  /** The same with the inputs converted to another element type. */
  public CaseResult run(Backend backend, ElementType type) {
    try (Safetensors file = Safetensors.open(path)) {
      return run(backend, file, type);
    }
  }

  private CaseResult run(Backend backend, Safetensors file, ElementType type) {
    long[] shape = file.shape("q");
    ElementType held = type.tensorType();
    try (AttentionPlan plan = plan(backend, type);
        Tensor q = load(backend, file, "q", held);
        Tensor k = load(backend, file, "k", held);
        Tensor v = load(backend, file, "v", held);
        Tensor out = backend.allocate(held, shape);
        Tensor lse = backend.allocate(ElementType.FP32, shape[0], shape[1], shape[2])) {
      String density = densityDifference(plan);
      if (!density.isEmpty()) {
        return CaseResult.failed(density);
      }
      plan.call().lse(lse).textValid(description.textValid()).run(q, k, v, out);
      return compare(file, type, backend.kind(), q, k, v, out, lse);
    } catch (UnsupportedException e) {
      return CaseResult.skipped(e.getMessage());
    }
  }

  /**
   * How far the output of an element type lies from the file's, which is that of its inputs as they
   * stand there; UnsupportedException where the backend does not compute it.
   */
  public Deviation deviation(Backend backend, ElementType type) {
    ElementType held = type.tensorType();
    try (Safetensors file = Safetensors.open(path);
        AttentionPlan plan = plan(backend, type);
        Tensor q = load(backend, file, "q", held);
        Tensor k = load(backend, file, "k", held);
        Tensor v = load(backend, file, "v", held);
        Tensor out = backend.allocate(held, file.shape("q"))) {
      plan.call().textValid(description.textValid()).run(q, k, v, out);
      return Deviation.of(doubles(out), doubles(file.tensor("out")));
    }
  }

  private AttentionPlan plan(Backend backend, ElementType type) {
    Description d = description;
    return d.keyTokens() > 0
        ? backend.crossPlan(d.queryTokens(), d.keyTokens(), type, d.headDim(), d.patterns().size())
        : backend.plan(d.sequence(), type, d.headDim(), d.block(), d.patterns());
  }

  private static Tensor load(Backend backend, Safetensors file, String name, ElementType type) {
    Tensor source = file.tensor(name);
    Tensor tensor = backend.allocate(type, source.shape());
    return tensor.copyFrom(source.toFloats());
  }

  private String densityDifference(AttentionPlan plan) {
    double[] expected = description.density();
    for (int head = 0; head < expected.length; head++) {
      double sum = 0;
      for (int valid : description.textValid()) {
        sum += plan.density(valid)[head];
      }
      double density = sum / description.textValid().length;
      if (!(Math.abs(density - expected[head]) <= DENSITY_BOUND)) {
        return "head " + head + " has density " + density + ", expected " + expected[head];
      }
    }
    return "";
  }

  private CaseResult compare(
      Safetensors file,
      ElementType type,
      Backend.Kind kind,
      Tensor q,
      Tensor k,
      Tensor v,
      Tensor out,
      Tensor lse) {
    AccuracyBound outBound = AccuracyBound.ofOutput(type);
    AccuracyBound lseBound = AccuracyBound.ofLse(type);
    double[] fileOut = doubles(file.tensor("out"));
    double[] fileLse = doubles(file.tensor("lse"));
    double[] computedOut = doubles(out);
    double[] computedLse = doubles(lse);
    int d = description.headDim();
    int queries = description.queryTokens();
    double scale = 1 / Math.sqrt(d);
    boolean asStored = // half precision and E4M3 round the file's numbers: their results are others
        type == ElementType.BF16 || type == ElementType.FP32;
    boolean eightBits = type == ElementType.E4M3;
    ElementType weights = eightBits && kind == Backend.Kind.CPU ? ElementType.BF16 : type;
    for (int batch = 0; batch < q.size(0); batch++) {
      for (int head = 0; head < q.size(1); head++) {
        float[] headQ = head(q, batch, head);
        float[] headK = head(k, batch, head);
        float[] headV = head(v, batch, head);
        if (eightBits) {
          int valid = description.textValid()[batch];
          headQ = description.eightBitQueries(headQ, head);
          headK = description.eightBitKeys(headK, head, valid);
          headV = description.eightBitKeys(headV, head, valid);
        }
        ReferenceAttention.Mask mask = description.mask(head, batch);
        int row = batch * (int) q.size(1) + head;
        double[] exactOut = range(fileOut, row, queries * d);
        double[] exactLse = range(fileLse, row, queries);
        if (!asStored) {
          ReferenceAttention.Result exact =
              ReferenceAttention.exact(headQ, headK, headV, d, scale, mask);
          exactOut = exact.out();
          exactLse = exact.lse();
        }
        ReferenceAttention.Result low =
            ReferenceAttention.low(headQ, headK, headV, d, (float) scale, weights, mask);
        outBound.add(range(computedOut, row, queries * d), exactOut, low.out());
        lseBound.add(range(computedLse, row, queries), exactLse, low.lse());
      }
    }
    if (!outBound.meaningful()) {
      return CaseResult.failed("the reference output does not belong to the inputs");
    }
    if (!lseBound.holds()) {
      return new CaseResult(CaseResult.Status.FAILED, lseBound.error(), lseBound.bound(), "LSE");
    }
    if (!(outBound.meanError() <= outBound.meanBound())) {
      return new CaseResult(
          CaseResult.Status.FAILED, outBound.meanError(), outBound.meanBound(), "mean error");
    }
    return CaseResult.of(outBound.error(), outBound.bound(), type.name());
  }

  private static float[] head(Tensor tensor, int batch, int head) {
    return tensor.select(0, batch).select(0, head).toFloats();
  }

  private static double[] range(double[] values, int row, int size) {
    return Arrays.copyOfRange(values, row * size, (row + 1) * size);
  }

  private static double[] doubles(Tensor tensor) {
    float[] floats = tensor.toFloats();
    double[] doubles = new double[floats.length];
    for (int i = 0; i < floats.length; i++) {
      doubles[i] = floats[i];
    }
    return doubles;
  }
}

package io.github.sparsevdit.jmh;

import io.github.sparsevdit.AttentionPlan;
import io.github.sparsevdit.Backend;
import io.github.sparsevdit.CpuOptions;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.util.Collections;
import java.util.List;

/** This library's attention on the CPU. */
final class SvditAttention implements Attention {
  final Backend backend;
  final AttentionPlan plan;
  final Tensor q;
  final Tensor k;
  final Tensor v;
  final Tensor out;
  private final List<Tensor> owned;

  SvditAttention(Inputs inputs, ElementType type, CpuOptions.Tier tier, List<Pattern> patterns) {
    backend = Backend.cpu(new CpuOptions(THREADS, tier));
    plan = backend.plan(inputs.sequence, type, inputs.headDim, Patterns.BLOCK, patterns);
    Tensor[] stored = new Tensor[4];
    float[][] values = {inputs.q, inputs.k, inputs.v};
    for (int i = 0; i < 4; i++) {
      stored[i] =
          backend.allocate(
              plan.tensorType(), 1, inputs.sequence.tokens(), inputs.heads, inputs.headDim);
      stored[i].copyFrom(i < 3 ? values[i] : new float[inputs.q.length]);
    }
    owned = List.of(stored);
    q = stored[0].transpose(1, 2);
    k = stored[1].transpose(1, 2);
    v = stored[2].transpose(1, 2);
    out = stored[3].transpose(1, 2);
  }

  /** Dense, with the processor's best instructions. */
  static SvditAttention dense(Inputs inputs, ElementType type) {
    return new SvditAttention(
        inputs, type, CpuOptions.Tier.AUTO, Collections.nCopies(inputs.heads, Pattern.full()));
  }

  @Override
  public ElementType type() {
    return plan.type();
  }

  @Override
  public void run() {
    plan.run(q, k, v, out);
  }

  @Override
  public float[] output() {
    return owned.get(3).toFloats();
  }

  @Override
  public void close() {
    plan.close();
    owned.forEach(Tensor::close);
    backend.close();
  }
}

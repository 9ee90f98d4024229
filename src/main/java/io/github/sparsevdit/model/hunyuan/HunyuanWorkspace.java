package io.github.sparsevdit.model.hunyuan;

import io.github.sparsevdit.AttentionPlan;
import io.github.sparsevdit.Backend;
import io.github.sparsevdit.internal.Resources;
import io.github.sparsevdit.model.parts.RotaryTable;
import io.github.sparsevdit.model.parts.Workspace;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;

/** HunyuanVideo's buffers for one sequence, video tokens first. */
final class HunyuanWorkspace extends Workspace {
  final Rows hidden; // FP32: the residual stream
  final Rows normed;
  final Rows q;
  final Rows k;
  final Rows v;
  final Tensor ffn; // of some rows
  final Tensor refinerFfn; // the same where it is as wide
  final Tensor qHeads;
  final Tensor kHeads;
  final Tensor vHeads;
  final Tensor normedHeads;
  final Tensor wide; // [attention | mlp] of a single block, of some rows
  final Tensor time; // FP32 [1, d]: what modulates
  final Tensor part; // FP32 [1, d]: one summand of it
  final Tensor activated; // silu(time), in the type that is computed in
  final Tensor modulation; // FP32 [1, 6 d]
  final Tensor[] m;
  final Tensor textModulation; // FP32 [1, 6 d]
  final Tensor[] tm;
  final Tensor textInput; // the prompt in the type that is computed in
  final Tensor pooled;
  final AttentionPlan refiner;
  final Tensor[] refinerHeads; // q, k, v, out of the text rows
  final Tensor firstToken; // what text attends to where it sees the first token alone
  final Tensor firstTokenHeads;
  final int[] textValid = new int[1];

  HunyuanWorkspace(
      Resources owned, Backend backend, HunyuanConfig config, ElementType type, Sequence sequence) {
    super(
        owned,
        backend,
        type,
        config.dims(),
        sequence,
        RotaryTable.of(backend, sequence, config.rotaryDims(), config.rotaryTheta()),
        (long) config.inChannels() * config.patches().volume(),
        (long) config.outChannels() * config.patches().volume());
    long tokens = sequence.tokens();
    int d = dims.width();
    hidden = rows(ElementType.FP32, d);
    normed = rows(type, d);
    q = rows(type, d);
    k = rows(type, d);
    v = rows(type, d);
    ffn = chunkBuffer(type, tokens, config.ffn());
    refinerFfn =
        config.refinerFfn() == config.ffn()
            ? ffn
            : chunkBuffer(type, sequence.text(), config.refinerFfn());
    qHeads = heads(q.all());
    kHeads = heads(k.all());
    vHeads = heads(v.all());
    normedHeads = heads(normed.all());
    wide = chunkBuffer(type, tokens, (long) d + config.ffn());
    time = buffer(ElementType.FP32, 1, d);
    part = buffer(ElementType.FP32, 1, d);
    activated = buffer(type, 1, d);
    modulation = buffer(ElementType.FP32, 1, 6L * d);
    m = parts(modulation, 6);
    textModulation = buffer(ElementType.FP32, 1, 6L * d);
    tm = parts(textModulation, 6);
    textInput = buffer(type, sequence.text(), config.textFeatures());
    pooled = buffer(ElementType.FP32, 1, config.textFeatures());
    refiner = crossPlan(sequence.text(), sequence.text());
    firstToken = buffer(type, sequence.text(), d);
    firstTokenHeads = heads(firstToken);
    refinerHeads =
        new Tensor[] {heads(q.text()), heads(k.text()), heads(v.text()), heads(normed.text())};
  }
}

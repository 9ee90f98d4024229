package io.github.sparsevdit.model.cogvideox;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.internal.Resources;
import io.github.sparsevdit.model.parts.RotaryTable;
import io.github.sparsevdit.model.parts.Workspace;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;

/** CogVideoX's buffers for one sequence, text tokens first. */
final class CogVideoXWorkspace extends Workspace {
  final Tensor textInput;
  final Rows hidden; // FP32: the residual stream
  final Rows normed;
  final Rows q;
  final Rows k;
  final Tensor v;
  final Tensor ffn;
  final Tensor qHeads;
  final Tensor kHeads;
  final Tensor vHeads;
  final Tensor normedHeads;
  final Tensor time; // FP32 [1, time width]
  final Tensor offset; // the same
  final Tensor activated; // silu(time), in the type that is computed in
  final Tensor modulation; // FP32 [1, 6 d]
  final Tensor[] m;
  final Tensor ffnModulation; // the same before the FFN
  final Tensor[] fm;
  final Tensor headModulation; // FP32 [1, 2 d]: the first two parts of modulation

  CogVideoXWorkspace(
      Resources owned,
      Backend backend,
      CogVideoXConfig config,
      ElementType type,
      Sequence sequence) {
    super(
        owned,
        backend,
        type,
        config.dims(),
        sequence,
        RotaryTable.of(backend, sequence, config.rotaryDims(), CogVideoXConfig.ROTARY_THETA),
        (long) config.inChannels() * config.patches().volume(),
        (long) config.outChannels() * config.patches().volume());
    int d = dims.width();
    textInput = buffer(type, sequence.text(), config.textFeatures());
    hidden = rows(ElementType.FP32, d);
    normed = rows(type, d);
    q = rows(type, d);
    k = rows(type, d);
    v = buffer(type, sequence.tokens(), d);
    ffn = chunkBuffer(type, sequence.tokens(), config.ffn());
    qHeads = heads(q.all());
    kHeads = heads(k.all());
    vHeads = heads(v);
    normedHeads = heads(normed.all());
    time = buffer(ElementType.FP32, 1, config.timeWidth());
    offset = buffer(ElementType.FP32, 1, config.timeWidth());
    activated = buffer(type, 1, config.timeWidth());
    modulation = buffer(ElementType.FP32, 1, 6L * d);
    m = parts(modulation, 6);
    ffnModulation = buffer(ElementType.FP32, 1, 6L * d);
    fm = parts(ffnModulation, 6);
    headModulation = modulation.slice(1, 0, 2L * d);
  }
}

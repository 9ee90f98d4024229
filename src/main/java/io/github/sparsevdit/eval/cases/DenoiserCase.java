package io.github.sparsevdit.eval.cases;

import io.github.sparsevdit.AttentionPlan;
import io.github.sparsevdit.Backend;
import io.github.sparsevdit.UnsupportedException;
import io.github.sparsevdit.checkpoint.Denoisers;
import io.github.sparsevdit.model.AttentionFunction;
import io.github.sparsevdit.model.AttentionProvider;
import io.github.sparsevdit.model.Conditioning;
import io.github.sparsevdit.model.VideoTransformer;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Safetensors;
import io.github.sparsevdit.tensor.Tensor;
import io.github.sparsevdit.tensor.TensorSource;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * One forward pass of a tiny checkpoint, in fp32: its output, and queries, keys, values and output
 * of each self-attention ({@code attn.<layer>.q}, …).
 */
record DenoiserCase(Path folder) implements ReferenceCase {
  private static final double BOUND = 1e-5;

  @Override
  public String name() {
    return ReferenceCases.nameOf(folder);
  }

  @Override
  public String family() {
    return "denoisers";
  }

  @Override
  public CaseResult run(Backend backend) {
    try (TensorSource tensors = Safetensors.open(folder.resolve("case.safetensors"));
        VideoTransformer transformer = Denoisers.load(folder, backend, ElementType.FP32)) {
      boolean headsFirst = tensors.metadata().get("attn_layout").startsWith("B,H,S,D");
      Comparison errors = new Comparison();
      for (int row = 0; row < tensors.tensor("in.hidden_states").size(0); row++) {
        Map<String, float[]> seen = forward(tensors, row, transformer, backend);
        for (Map.Entry<String, float[]> entry : seen.entrySet()) {
          Tensor expected = tensors.tensor(entry.getKey()).slice(0, row, row + 1);
          boolean transposed = entry.getKey().startsWith("attn.") && !headsFirst;
          expected = transposed ? expected.transpose(1, 2) : expected;
          errors.add(entry.getKey(), entry.getValue(), expected.toFloats());
        }
      }
      return errors.result(BOUND);
    } catch (UnsupportedException e) {
      return CaseResult.skipped(e.getMessage());
    }
  }

  /** What there is to compare. */
  private static Map<String, float[]> forward(
      TensorSource tensors, int row, VideoTransformer transformer, Backend backend) {
    float timestep = CaseInputs.timestep(tensors, row);
    Conditioning conditioning = CaseInputs.conditioning(tensors, row);
    Tensor latents = tensors.tensor("in.hidden_states").select(0, row);
    Sequence sequence = transformer.sequence(latents.shape(), conditioning.textTokens());
    Map<String, float[]> seen = new LinkedHashMap<>();
    try (AttentionPlan plan = densePlan(backend, transformer, sequence);
        Tensor out = backend.allocate(ElementType.FP32, transformer.outputShape(latents.shape()))) {
      AttentionFunction dense = AttentionProvider.of(plan).at(0, 0);
      AttentionFunction watched =
          (layer, q, k, v, textValid, o) -> {
            dense.attend(layer, q, k, v, textValid, o);
            Tensor[] all = {q, k, v, o};
            for (int i = 0; i < all.length; i++) {
              seen.put("attn." + layer + "." + "qkvo".charAt(i), all[i].toFloats());
            }
          };
      transformer.forward(latents, timestep, conditioning, watched, out);
      seen.put("out", out.toFloats());
    }
    return seen;
  }

  static AttentionPlan densePlan(Backend backend, VideoTransformer transformer, Sequence sequence) {
    return densePlan(backend, transformer, sequence, transformer.type());
  }

  static AttentionPlan densePlan(
      Backend backend, VideoTransformer transformer, Sequence sequence, ElementType type) {
    return backend.plan(
        sequence,
        type,
        transformer.shape().headDim(),
        128,
        Collections.nCopies(transformer.shape().heads(), Pattern.full()));
  }
}

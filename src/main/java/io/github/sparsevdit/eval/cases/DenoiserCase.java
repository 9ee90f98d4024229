package io.github.sparsevdit.eval.cases;

import io.github.sparsevdit.AttentionPlan;
import io.github.sparsevdit.Backend;
import io.github.sparsevdit.Pattern;
import io.github.sparsevdit.Sequence;
import io.github.sparsevdit.UnsupportedException;
import io.github.sparsevdit.model.AttentionFunction;
import io.github.sparsevdit.model.AttentionProvider;
import io.github.sparsevdit.model.Conditioning;
import io.github.sparsevdit.model.VideoTransformer;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Safetensors;
import io.github.sparsevdit.tensor.Tensor;
import io.github.sparsevdit.tensor.TensorSource;
import java.nio.file.Path;
import java.util.Collections;

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
        VideoTransformer transformer = VideoTransformer.load(folder, backend, ElementType.FP32)) {
      boolean headsFirst = tensors.metadata().get("attn_layout").startsWith("B,H,S,D");
      Comparison comparison = new Comparison();
      for (int row = 0; row < tensors.tensor("in.hidden_states").size(0); row++) {
        run(tensors, row, headsFirst, transformer, backend, comparison);
      }
      return comparison.result(BOUND);
    } catch (UnsupportedException e) {
      return CaseResult.skipped(e.getMessage());
    }
  }

  private static void run(
      TensorSource tensors,
      int row,
      boolean headsFirst,
      VideoTransformer transformer,
      Backend backend,
      Comparison comparison) {
    Conditioning conditioning = CaseInputs.conditioning(tensors, row);
    Tensor latents = tensors.tensor("in.hidden_states").select(0, row);
    Tensor reference = tensors.tensor("out").select(0, row);
    Sequence sequence = transformer.sequence(latents.shape(), conditioning.textTokens());
    try (AttentionPlan plan = densePlan(backend, transformer, sequence);
        Tensor out = backend.allocate(ElementType.FP32, transformer.outputShape(latents.shape()))) {
      AttentionFunction dense = AttentionProvider.of(plan).at(0, 0);
      AttentionFunction watched =
          (layer, q, k, v, textValid, o) -> {
            dense.attend(layer, q, k, v, textValid, o);
            Tensor[] seen = {q, k, v, o};
            for (int i = 0; i < seen.length; i++) {
              String name = "attn." + layer + "." + "qkvo".charAt(i);
              Tensor expected = tensors.tensor(name).slice(0, row, row + 1);
              expected = headsFirst ? expected : expected.transpose(1, 2);
              comparison.add(name, seen[i].toFloats(), expected.toFloats());
            }
          };
      double timestep = tensors.tensor("in.timestep").toFloats()[row];
      transformer.forward(latents, timestep, conditioning, watched, out);
      comparison.add("out", out.toFloats(), reference.toFloats());
    }
  }

  static AttentionPlan densePlan(Backend backend, VideoTransformer transformer, Sequence sequence) {
    return backend.plan(
        sequence,
        transformer.type(),
        transformer.shape().headDim(),
        128,
        Collections.nCopies(transformer.shape().heads(), Pattern.full()));
  }
}

package io.github.sparsevdit.eval.cases;

import io.github.sparsevdit.AttentionPlan;
import io.github.sparsevdit.Backend;
import io.github.sparsevdit.checkpoint.CheckpointFolder;
import io.github.sparsevdit.checkpoint.Denoisers;
import io.github.sparsevdit.checkpoint.Lora;
import io.github.sparsevdit.internal.io.Json;
import io.github.sparsevdit.model.AttentionProvider;
import io.github.sparsevdit.model.Conditioning;
import io.github.sparsevdit.model.VideoTransformer;
import io.github.sparsevdit.model.families.Families;
import io.github.sparsevdit.model.parts.Family;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Safetensors;
import io.github.sparsevdit.tensor.Tensor;
import io.github.sparsevdit.tensor.TensorSource;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * A tiny denoiser in another layout than diffusers', or with LoRA files merged, in fp32: what one
 * forward pass gives, and some weights as they should be read. What the layout lacks is in {@code
 * ../diffusers}.
 */
record LayoutCase(Path folder, Json description) implements ReferenceCase {
  static final String CASE = "case.safetensors";
  private static final String EXPANDED = "out.expanded.";
  private static final String MERGED = "out.merged.";
  private static final double BOUND = 1e-5;
  private static final double BF16_BOUND = 0.02; // on a device, which computes no fp32 attention

  @Override
  public String name() {
    return folder.getParent().getFileName() + "/" + folder.getFileName();
  }

  @Override
  public String family() {
    return "layouts";
  }

  @Override
  public CaseResult run(Backend backend) {
    CheckpointFolder checkpoint = checkpoint();
    boolean device = backend.kind() == Backend.Kind.CUDA;
    ElementType type = device ? ElementType.BF16 : ElementType.FP32;
    Comparison errors = new Comparison();
    try (TensorSource tensors = Safetensors.open(folder.resolve(CASE));
        VideoTransformer transformer = Denoisers.load(checkpoint, backend, type)) {
      Conditioning conditioning = CaseInputs.conditioning(tensors, 0);
      Tensor latents = tensors.tensor("in.hidden_states").select(0, 0);
      Sequence sequence = transformer.sequence(latents.shape(), conditioning.textTokens());
      try (AttentionPlan plan = DenoiserCase.densePlan(backend, transformer, sequence);
          Tensor out =
              backend.allocatePinned(ElementType.FP32, transformer.outputShape(latents.shape()))) {
        transformer.forward(
            latents,
            CaseInputs.timestep(tensors, 0),
            conditioning,
            AttentionProvider.of(plan).at(0, 0),
            out);
        errors.add("out", out.toFloats(), tensors.tensor("out").toFloats());
      }
      weights(checkpoint, tensors, errors);
    }
    return errors.result(device ? BF16_BOUND : BOUND);
  }

  private CheckpointFolder checkpoint() {
    Path diffusers = folder.resolveSibling("diffusers");
    if (!description.has("loras")) {
      return Files.exists(folder.resolve("config.json"))
          ? CheckpointFolder.of(folder)
          : CheckpointFolder.of(folder.resolve(description.field("file").text()))
              .withBase(diffusers);
    }
    List<Lora> loras = new ArrayList<>();
    for (Json pair : description.field("loras").array()) {
      List<Json> both = pair.array();
      loras.add(new Lora(folder.resolve(both.get(0).text()), both.get(1).number()));
    }
    return CheckpointFolder.of(diffusers).withLoras(loras, List.of());
  }

  /** Those the case tells: fp8 ones as expanded, and a merged one. */
  private static void weights(
      CheckpointFolder checkpoint, TensorSource tensors, Comparison errors) {
    Family family = Families.of(Denoisers.geometry(checkpoint).className());
    try (TensorSource weights = checkpoint.weights(checkpoint.transformer(), ElementType.FP32)) {
      for (String name : tensors.names()) {
        String weight = null;
        if (name.startsWith(EXPANDED)) {
          weight = family.otherNames().ours(name.substring(EXPANDED.length()));
        } else if (name.startsWith(MERGED)) {
          weight = name.substring(MERGED.length());
        }
        if (weight != null) {
          errors.add(name, weights.tensor(weight).toFloats(), tensors.tensor(name).toFloats());
        }
      }
    }
  }
}

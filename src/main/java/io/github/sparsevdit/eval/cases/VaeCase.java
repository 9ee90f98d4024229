package io.github.sparsevdit.eval.cases;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.UnsupportedException;
import io.github.sparsevdit.internal.io.Json;
import io.github.sparsevdit.model.vae.Encoded;
import io.github.sparsevdit.model.vae.Tiling;
import io.github.sparsevdit.model.vae.Vae;
import io.github.sparsevdit.model.vae.VaeListener;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Safetensors;
import io.github.sparsevdit.tensor.Tensor;
import io.github.sparsevdit.tensor.TensorSource;
import java.nio.file.Path;
import java.util.List;

/** All calls of a VAE's case, in fp32: videos from latents, distributions from videos. */
record VaeCase(Path folder) implements ReferenceCase {
  private static final double BOUND = 1e-4;

  @Override
  public String name() {
    return ReferenceCases.nameOf(folder);
  }

  @Override
  public String family() {
    return "vaes";
  }

  @Override
  public CaseResult run(Backend backend) {
    return run(backend, ElementType.FP32, BOUND);
  }

  /** The same computed in another type, whose rounding the bound allows for. */
  CaseResult run(Backend backend, ElementType type, double bound) {
    Path file = folder.resolve("case.safetensors");
    try (TensorSource tensors = Safetensors.open(file);
        Vae vae = Vae.open(folder, null, backend, type)) {
      List<Json> calls =
          Json.parse(file + ": case", tensors.metadata().get("case"), 8).field("calls").array();
      Comparison errors = new Comparison();
      for (int i = 0; i < calls.size(); i++) {
        Json call = calls.get(i);
        Tensor in = tensors.tensor("in." + i);
        for (int row = 0; row < in.size(0); row++) {
          compare(vae, call.field("op").text(), tiling(call), tensors, i, row, errors);
        }
      }
      return errors.result(bound);
    } catch (UnsupportedException e) {
      return CaseResult.skipped(e.getMessage());
    }
  }

  private static void compare(
      Vae vae, String op, Tiling tiling, TensorSource tensors, int i, int row, Comparison errors) {
    Tensor in = tensors.tensor("in." + i).select(0, row);
    float[] expected = tensors.tensor("out." + i).select(0, row).toFloats();
    String name = op + " " + i;
    switch (op) {
      case "decode" -> {
        try (Tensor video = vae.decode(in, tiling, VaeListener.NONE)) {
          errors.add(name, video.toFloats(), expected);
        }
      }
      case "encode" -> {
        try (Encoded encoded = vae.encode(in, tiling, VaeListener.NONE)) {
          errors.add(name, encoded.mean().toFloats(), expected);
          if (tensors.has("out." + i + ".std")) {
            errors.add(
                name + " std",
                encoded.deviation().toFloats(),
                tensors.tensor("out." + i + ".std").select(0, row).toFloats());
          }
        }
      }
      default -> throw new IllegalArgumentException("call " + i + " is " + op);
    }
  }

  private static Tiling tiling(Json call) {
    Tiling tiling = Tiling.NONE;
    if (call.has("tiling")) {
      Json t = call.field("tiling");
      tiling =
          new Tiling(
              true,
              integer(t, "tile_sample_min_height"),
              integer(t, "tile_sample_min_width"),
              integer(t, "tile_sample_stride_height"),
              integer(t, "tile_sample_stride_width"),
              integer(t, "tile_sample_min_num_frames"),
              integer(t, "tile_sample_stride_num_frames"),
              number(t, "tile_overlap_factor_height"),
              number(t, "tile_overlap_factor_width"),
              null);
    }
    return call.has("framewise") ? tiling.withFramewise(call.field("framewise").bool()) : tiling;
  }

  private static Integer integer(Json object, String key) {
    return object.has(key) ? (Integer) object.field(key).integral(1) : null;
  }

  private static Double number(Json object, String key) {
    return object.has(key) ? (Double) object.field(key).number() : null;
  }
}

package io.github.sparsevdit.eval.cases;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.internal.io.Json;
import io.github.sparsevdit.model.text.ClipTextEncoder;
import io.github.sparsevdit.model.text.ClipVisionEncoder;
import io.github.sparsevdit.model.text.LlamaEncoder;
import io.github.sparsevdit.model.text.T5Encoder;
import io.github.sparsevdit.model.text.Tokens;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Safetensors;
import io.github.sparsevdit.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Path;

/** A tiny text or image encoder with random weights, in fp32: its outputs for several batches. */
record EncoderCase(Path folder, Json description) implements ReferenceCase {
  private static final double BOUND = 1e-4;
  private static final ValueLayout.OfLong LITTLE_LONG =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  @Override
  public String name() {
    return ReferenceCases.nameOf(folder);
  }

  @Override
  public String family() {
    return "text_encoders";
  }

  /** Whether a description is that of such a case. */
  static boolean is(Json description) {
    return switch (description.text("class", "")) {
      case "UMT5EncoderModel", "T5EncoderModel", "LlamaModel", "CLIPTextModel", "CLIPVisionModel" ->
          true;
      default -> false;
    };
  }

  @Override
  public CaseResult run(Backend backend) {
    return run(backend, ElementType.FP32, BOUND);
  }

  /** The same computed in another type. */
  CaseResult run(Backend backend, ElementType type, double bound) {
    Comparison errors = new Comparison();
    try (Safetensors tensors = Safetensors.open(folder.resolve("case.safetensors"))) {
      for (int call = 0; call < description.field("calls").integer(1); call++) {
        switch (description.field("class").text()) {
          case "LlamaModel" -> llama(backend, type, tensors, call, errors);
          case "CLIPTextModel" -> clipText(backend, type, tensors, call, errors);
          case "CLIPVisionModel" -> clipVision(backend, type, tensors, call, errors);
          default -> t5(backend, type, tensors, call, errors);
        }
      }
    }
    return errors.result(bound);
  }

  private void t5(
      Backend backend, ElementType type, Safetensors tensors, int call, Comparison errors) {
    try (T5Encoder encoder = T5Encoder.open(folder, null, backend, type)) {
      for (int row = 0; row < rows(tensors, call); row++) {
        Tokens tokens = tokens(tensors, call, row);
        boolean masked = tensors.has("in." + call + ".attention_mask");
        compare(tensors, call, "last_hidden_state", row, encoder.encode(tokens, masked), errors);
      }
    }
  }

  private void llama(
      Backend backend, ElementType type, Safetensors tensors, int call, Comparison errors) {
    try (LlamaEncoder encoder = LlamaEncoder.open(folder, null, backend, type)) {
      for (int row = 0; row < rows(tensors, call); row++) {
        Tokens tokens = tokens(tensors, call, row);
        compare(tensors, call, "hidden_states.-3", row, encoder.encode(tokens, 3), errors);
        compare(tensors, call, "last_hidden_state", row, encoder.encode(tokens, 1), errors);
      }
    }
  }

  private void clipText(
      Backend backend, ElementType type, Safetensors tensors, int call, Comparison errors) {
    try (ClipTextEncoder encoder = ClipTextEncoder.open(folder, null, backend, type)) {
      for (int row = 0; row < rows(tensors, call); row++) {
        Tokens tokens = tokens(tensors, call, row);
        compare(tensors, call, "pooler_output", row, encoder.pooled(tokens), errors);
        compare(tensors, call, "last_hidden_state", row, encoder.encode(tokens.ids()), errors);
      }
    }
  }

  private void clipVision(
      Backend backend, ElementType type, Safetensors tensors, int call, Comparison errors) {
    try (ClipVisionEncoder encoder = ClipVisionEncoder.open(folder, null, backend, type)) {
      Tensor pixels = tensors.tensor("in." + call + ".pixel_values");
      for (int row = 0; row < pixels.size(0); row++) {
        Tensor features = encoder.encode(pixels.select(0, row).toFloats());
        compare(tensors, call, "hidden_states.-2", row, features, errors);
      }
    }
  }

  private static void compare(
      Safetensors tensors, int call, String output, int row, Tensor values, Comparison errors) {
    String name = "out." + call + "." + output;
    if (tensors.has(name)) {
      errors.add(name, values.toFloats(), tensors.tensor(name).select(0, row).toFloats());
    }
  }

  private static int rows(Safetensors tensors, int call) {
    return Math.toIntExact(tensors.shape("in." + call + ".input_ids")[0]);
  }

  private static Tokens tokens(Safetensors tensors, int call, int row) {
    int[] ids = integers(tensors, "in." + call + ".input_ids", row);
    String mask = "in." + call + ".attention_mask";
    int valid = ids.length;
    if (tensors.has(mask)) {
      valid = 0;
      for (int each : integers(tensors, mask, row)) {
        valid += each;
      }
    }
    return new Tokens(ids, valid);
  }

  private static int[] integers(Safetensors tensors, String name, int row) {
    int columns = Math.toIntExact(tensors.shape(name)[1]);
    MemorySegment bytes = tensors.bytes(name);
    int[] values = new int[columns];
    for (int i = 0; i < columns; i++) {
      values[i] = Math.toIntExact(bytes.get(LITTLE_LONG, ((long) row * columns + i) * Long.BYTES));
    }
    return values;
  }
}

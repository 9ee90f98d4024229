package io.github.sparsevdit.eval.cases;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Safetensors;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.Set;

/** All 256 E4M3 numbers, as safetensors files store them. */
record Fp8ValuesCase(Path path) implements ReferenceCase {
  static final Set<String> TENSORS = Set.of("bytes", "float8", "float32");

  @Override
  public String name() {
    return ReferenceCases.nameOf(path);
  }

  @Override
  public String family() {
    return "layouts";
  }

  @Override
  public CaseResult run(Backend backend) {
    try (Safetensors tensors = Safetensors.open(path)) {
      float[] expected = tensors.tensor("float32").toFloats();
      for (int i = 0; i < expected.length; i++) {
        int bits = tensors.bytes("float8").get(ValueLayout.JAVA_BYTE, i) & 0xff;
        float value = ElementType.E4M3.decode(bits);
        if (Float.compare(value, expected[i]) != 0) {
          return CaseResult.failed(
              "0x%02x is read as %s; expected %s".formatted(bits, value, expected[i]));
        }
      }
      return CaseResult.of(0, 0, expected.length + " values, exactly");
    }
  }
}

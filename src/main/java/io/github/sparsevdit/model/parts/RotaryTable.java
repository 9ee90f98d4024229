package io.github.sparsevdit.model.parts;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.internal.Resources;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.util.List;

/** Cosine and sine of every video token's rotary angles, FP32 [tokens, headDim / 2]. */
public record RotaryTable(Tensor cosine, Tensor sine) implements AutoCloseable {
  /**
   * The first dims[0] numbers of a head rotate with the token's frame, the next dims[1] with its
   * row, the rest with its column: pair i of an axis of dim d by position · θ^(−2 i / d).
   */
  public static RotaryTable of(Backend backend, Sequence sequence, int[] dims, double theta) {
    int pairs = (dims[0] + dims[1] + dims[2]) / 2;
    int tokens = sequence.videoTokens();
    float[] cosine = new float[Math.multiplyExact(tokens, pairs)];
    float[] sine = new float[cosine.length];
    int next = 0;
    for (int t = 0; t < sequence.frames(); t++) {
      for (int y = 0; y < sequence.height(); y++) {
        for (int x = 0; x < sequence.width(); x++) {
          int[] position = {t, y, x};
          for (int axis = 0; axis < 3; axis++) {
            for (int i = 0; i < dims[axis] / 2; i++) {
              double angle = position[axis] * Math.pow(theta, -2.0 * i / dims[axis]);
              cosine[next] = (float) Math.cos(angle);
              sine[next++] = (float) Math.sin(angle);
            }
          }
        }
      }
    }
    return Resources.make(
        owned ->
            new RotaryTable(
                owned.add(backend.allocate(ElementType.FP32, tokens, pairs)).copyFrom(cosine),
                owned.add(backend.allocate(ElementType.FP32, tokens, pairs)).copyFrom(sine)));
  }

  @Override
  public void close() {
    Resources.closeAll(List.of(cosine, sine));
  }
}

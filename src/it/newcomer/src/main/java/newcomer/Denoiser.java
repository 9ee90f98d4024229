package newcomer;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.SparseAttention;
import io.github.sparsevdit.checkpoint.Denoisers;
import io.github.sparsevdit.model.AttentionProvider;
import io.github.sparsevdit.model.Conditioning;
import io.github.sparsevdit.model.VideoTransformer;
import io.github.sparsevdit.pattern.Policy;
import io.github.sparsevdit.pattern.Schedule;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;

/** A forward pass of a checkpoint, dense: what needs a library that multiplies matrices. */
public final class Denoiser {
  private static final double TIMESTEP = 500;
  private static final int TEXT_TOKENS = 8;
  private static final int TEXT_DIM = 64;

  private Denoiser() {}

  public static void main(String[] args) {
    long[] shape = {3, 8, 16, 16};
    try (Backend backend = Backend.cpu();
        VideoTransformer transformer = Denoisers.load(Path.of(args[0]), backend, ElementType.FP32);
        SparseAttention attention =
            SparseAttention.of(
                backend,
                Policy.dense(transformer.shape(), 32),
                transformer.sequence(shape),
                new Schedule(List.of(TIMESTEP)),
                ElementType.FP32);
        Arena arena = Arena.ofShared()) {
      Tensor latents = Tensor.of(arena.allocate(4 * count(shape), 64), ElementType.FP32, shape);
      Tensor velocity = Tensor.of(arena.allocate(4 * count(shape), 64), ElementType.FP32, shape);
      Tensor text =
          Tensor.of(
              arena.allocate(4L * TEXT_TOKENS * TEXT_DIM, 64),
              ElementType.FP32,
              TEXT_TOKENS,
              TEXT_DIM);
      latents.copyFrom(random(count(shape)));
      text.copyFrom(random((long) TEXT_TOKENS * TEXT_DIM));
      transformer.forward(
          latents,
          TIMESTEP,
          Conditioning.text(text),
          AttentionProvider.of(attention).at(0, 0),
          velocity);
      float[] values = velocity.toFloats();
      double size = 0;
      for (float value : values) {
        size += (double) value * value / values.length;
      }
      boolean named = Backend.class.getModule().isNamed();
      System.out.printf(
          "%s path: a denoiser's pass, mean square %.3f%n", named ? "module" : "class", size);
      if (!(size > 0.01 && size < 100)) {
        throw new AssertionError("the velocity's mean square is " + size);
      }
    }
  }

  private static long count(long[] shape) {
    return Arrays.stream(shape).reduce(1, Math::multiplyExact);
  }

  private static float[] random(long count) {
    Random random = new Random(4);
    float[] values = new float[Math.toIntExact(count)];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return values;
  }
}

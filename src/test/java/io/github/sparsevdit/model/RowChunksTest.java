package io.github.sparsevdit.model;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.checkpoint.Denoisers;
import io.github.sparsevdit.model.parts.Workspace;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * The FFN of a long sequence is computed some rows at a time. With an attention that gives back v
 * no token sees another, so a video of one frame repeated must come out as that frame, repeated.
 */
class RowChunksTest {
  private static final Path CASES = Path.of("src/test/resources/cases/denoisers");

  @ParameterizedTest
  @CsvSource({
    "wan2.1-t2v-tiny, 160, 104",
    "hunyuanvideo-t2v-tiny, 640, 28",
    "cogvideox1.5-t2v-tiny, 512, 34"
  })
  void longSequencesComeOutAsShortOnes(String name, long hiddenWidth, int repeats) {
    try (Backend backend = Backend.cpu();
        Arena arena = Arena.ofShared();
        VideoTransformer model = Denoisers.load(CASES.resolve(name), backend, ElementType.FP32)) {
      boolean framesFirst = name.startsWith("cog");
      int frames = framesFirst ? 2 : 1; // what one patch takes
      long[] one = framesFirst ? new long[] {frames, 4, 64, 64} : new long[] {4, frames, 64, 64};
      long[] many = one.clone();
      many[framesFirst ? 0 : 1] *= repeats;
      Tensor oneVideo = random(arena, one);
      Tensor manyFrames = tensor(arena, many);
      for (int i = 0; i < repeats; i++) {
        frame(manyFrames, framesFirst, i * frames, frames).copyFrom(oneVideo);
      }
      long rows = model.sequence(many, 10).tokens();
      assertTrue(
          Workspace.chunk(ElementType.FP32, rows, hiddenWidth) < rows,
          rows + " rows are not cut at all");

      Tensor expected = tensor(arena, one);
      Tensor out = tensor(arena, many);
      Conditioning prompt = prompt(arena, name);
      AttentionFunction copy = (layer, q, k, v, textValid, result) -> result.copyFrom(v);
      model.forward(oneVideo, 500, prompt, copy, expected);
      model.forward(manyFrames, 500, prompt, copy, out);
      float[] wanted = expected.toFloats();
      double size = 0;
      for (float value : wanted) {
        size = Math.max(size, Math.abs(value));
      }
      for (int i = 0; i < repeats; i++) {
        float[] got = frame(out, framesFirst, i * frames, frames).toFloats();
        for (int j = 0; j < got.length; j++) {
          assertEquals(wanted[j], got[j], 1e-5 * size, "repeat " + i + ", element " + j);
        }
      }
    }
  }

  private static Tensor frame(Tensor video, boolean framesFirst, long from, int frames) {
    return video.slice(framesFirst ? 0 : 1, from, from + frames);
  }

  private static Conditioning prompt(Arena arena, String name) {
    Tensor text = random(arena, 10, 24);
    return name.startsWith("hunyuan")
        ? Conditioning.text(text, 7, random(arena, 8), 6000)
        : Conditioning.text(text);
  }

  private static Tensor random(Arena arena, long... shape) {
    Tensor tensor = tensor(arena, shape);
    Random random = new Random(Arrays.hashCode(shape));
    float[] values = new float[Math.toIntExact(tensor.elements())];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return tensor.copyFrom(values);
  }

  private static Tensor tensor(Arena arena, long... shape) {
    long elements = Arrays.stream(shape).reduce(1, (a, b) -> a * b);
    return Tensor.of(arena.allocate(4 * elements, 64), ElementType.FP32, shape);
  }
}

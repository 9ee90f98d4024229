package io.github.sparsevdit.model.parts;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Map;
import org.junit.jupiter.api.Test;

/** The frequencies a timestep is embedded with, bit by bit. */
class TimeEmbeddingTest {
  /**
   * What PyTorch 2.13 on a CPU gives for torch.exp(-math.log(10000) * torch.arange(0, half,
   * dtype=torch.float32) / half); entries 12 and 106 of 128, and 6 and 53 of 64, are not the
   * nearest fp32 number.
   */
  @Test
  void frequenciesArePyTorchs() {
    assertSame(
        128,
        Map.of(
            1, 0x1.dc73fp-1f,
            6, 0x1.4c7bcp-1f,
            12, 0x1.afd136p-2f,
            13, 0x1.91d646p-2f,
            53, 0x1.698d22p-6f,
            106, 0x1.fe9f5ap-12f,
            127, 0x1.c2b91cp-14f));
    assertSame(
        64, Map.of(6, 0x1.afd136p-2f, 7, 0x1.75f036p-2f, 53, 0x1.fe9f5ap-12f, 63, 0x1.e459bap-14f));
  }

  private static void assertSame(int half, Map<Integer, Float> expected) {
    float[] frequencies = TimeEmbedding.frequencies(half);
    expected.forEach((at, value) -> assertEquals(value, frequencies[at], 0f, "frequency " + at));
  }

  @Test
  void frequenciesAreWithinTheirRounding() {
    for (int half : new int[] {8, 64, 128, 1536}) {
      float[] frequencies = TimeEmbedding.frequencies(half);
      for (int i = 0; i < half; i++) {
        double exact = Math.exp(-(float) Math.log(10000) * i / half);
        double spacings = Math.abs(frequencies[i] - exact) / Math.ulp(frequencies[i]);
        assertTrue(spacings < 0.56, half + ", " + i + ": " + spacings);
      }
    }
  }
}

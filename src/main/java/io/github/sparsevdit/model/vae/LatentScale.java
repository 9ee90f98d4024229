package io.github.sparsevdit.model.vae;

import io.github.sparsevdit.model.parts.ConfigFile;
import io.github.sparsevdit.tensor.Tensor;
import java.util.Arrays;
import java.util.List;

/**
 * Between latents as a VAE has them and as a denoiser does, for each channel: what is decoded is
 * latents / factor + mean, what was encoded becomes (latents − mean) · encoded.
 */
record LatentScale(float[] mean, float[] factor, float[] encoded) {
  /** Wan: factor is 1 / deviation. */
  static LatentScale perChannel(
      ConfigFile file, int channels, List<Double> mean, List<Double> deviation) {
    requireLength(file, "latents_mean", mean, channels);
    requireLength(file, "latents_std", deviation, channels);
    float[] means = new float[channels];
    float[] factors = new float[channels];
    for (int c = 0; c < channels; c++) {
      means[c] = mean.get(c).floatValue();
      factors[c] = 1 / deviation.get(c).floatValue();
    }
    return new LatentScale(means, factors, factors);
  }

  private static void requireLength(
      ConfigFile file, String key, List<Double> values, int channels) {
    if (values.size() != channels) {
      throw new IllegalArgumentException(
          file.where()
              + ": "
              + key
              + " has "
              + values.size()
              + " numbers; expected one for each of "
              + channels
              + " channels");
    }
  }

  /** One factor for all channels, and one for what was encoded. */
  static LatentScale of(double factor, double encoded, int channels) {
    float[] factors = new float[channels];
    float[] encodedFactors = new float[channels];
    Arrays.fill(factors, (float) factor);
    Arrays.fill(encodedFactors, (float) encoded);
    return new LatentScale(new float[channels], factors, encodedFactors);
  }

  /** In place, on FP32 host latents [channels, frames, height, width]. */
  void normalise(Tensor latents) {
    float[] values = latents.toFloats();
    int each = values.length / mean.length;
    for (int i = 0; i < values.length; i++) {
      values[i] = (values[i] - mean[i / each]) * encoded[i / each];
    }
    latents.copyFrom(values);
  }

  /** The other way round. */
  void denormalise(Tensor latents) {
    float[] values = latents.toFloats();
    int each = values.length / mean.length;
    for (int i = 0; i < values.length; i++) {
      values[i] = values[i] / factor[i / each] + mean[i / each];
    }
    latents.copyFrom(values);
  }
}

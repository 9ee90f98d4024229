package io.github.sparsevdit.model.vae;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.CpuOptions;
import io.github.sparsevdit.jmh.TorchProgram;
import io.github.sparsevdit.model.parts.ConfigFile;
import io.github.sparsevdit.model.parts.Weights;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;

/**
 * Decodes two latent frames (5 frames) with the VAE of Wan 2.1 at its true size, with random
 * weights, on two threads: by this library, or by PyTorch with the same weights, operation by
 * operation as diffusers gives them. Prints seconds for each latent frame and the process's peak
 * memory, so each takes a process of its own.
 *
 * <p>Arguments: svdit or torch, FP32 or BF16, height and width of the latents; then, to compare
 * results, a file: torch writes its video there, svdit prints how far its own lies from it.
 */
public final class WanVaeComparison {
  private static final int THREADS = 2;

  private WanVaeComparison() {}

  public static void main(String[] args) throws IOException {
    ElementType type = ElementType.valueOf(args[1]);
    int height = Integer.parseInt(args[2]);
    int width = Integer.parseInt(args[3]);
    Path file = args.length > 4 ? Path.of(args[4]) : null;
    WanVae network = new WanVae(ConfigFile.parse("{}", "Wan 2.1's VAE"));
    float[] latents = new float[16 * 2 * height * width];
    Random random = new Random(3);
    for (int i = 0; i < latents.length; i++) {
      latents[i] = (float) random.nextGaussian();
    }
    try (Backend backend = Backend.cpu(new CpuOptions(THREADS, CpuOptions.Tier.AUTO))) {
      float[] video =
          args[0].equals("svdit")
              ? decode(backend, network, type, height, width, latents)
              : TorchWanDecoder.decode(
                  new RandomVaeWeights(backend, network), type, THREADS, height, width, latents);
      if (file != null && args[0].equals("torch")) {
        Files.write(file, TorchProgram.bytes(video));
      } else if (file != null) {
        compare(video, TorchProgram.floats(Files.readAllBytes(file)));
      }
    }
    String peak =
        Files.readAllLines(Path.of("/proc/self/status")).stream()
            .filter(line -> line.startsWith("VmHWM"))
            .findFirst()
            .orElseThrow();
    System.out.println(args[0] + " " + type + " " + peak.replaceAll("\\s+", " "));
  }

  private static float[] decode(
      Backend backend, WanVae network, ElementType type, int height, int width, float[] latents) {
    RandomVaeWeights source = new RandomVaeWeights(backend, network);
    Weights weights = new Weights(source, backend, type, name -> false, "random weights");
    try (Vae vae = Vae.of(network, weights, backend, type);
        Tensor z = backend.allocate(ElementType.FP32, 16, 2, height, width).copyFrom(latents);
        Tensor tiny = backend.allocate(ElementType.FP32, 16, 1, 2, 2).copyFrom(new float[64])) {
      vae.decode(tiny, null, VaeListener.NONE).close(); // loads the decoder
      source.forgetConvolutions();
      begin();
      long[] last = {System.nanoTime()};
      try (Tensor video =
          vae.decode(
              z,
              null,
              done -> {
                report("svdit", type, System.nanoTime() - last[0]);
                last[0] = System.nanoTime();
                return true;
              })) {
        return video.toFloats();
      }
    }
  }

  /** With the processors' time since the last report, which other processes change less. */
  static void report(String who, ElementType type, long nanos) {
    long cpu = ProcessHandle.current().info().totalCpuDuration().orElseThrow().toNanos();
    System.out.printf(
        "%s %s %.2f s, of processors %.2f s%n", who, type, nanos * 1e-9, (cpu - lastCpu) * 1e-9);
    lastCpu = cpu;
  }

  /** What follows is measured from here. */
  static void begin() {
    lastCpu = ProcessHandle.current().info().totalCpuDuration().orElseThrow().toNanos();
  }

  private static long lastCpu;

  private static void compare(float[] ours, float[] theirs) {
    double difference = 0;
    double norm = 0;
    for (int i = 0; i < ours.length; i++) {
      difference += Math.pow(ours[i] - theirs[i], 2);
      norm += Math.pow(theirs[i], 2);
    }
    System.out.printf("relative difference %.3g%n", Math.sqrt(difference / norm));
  }
}

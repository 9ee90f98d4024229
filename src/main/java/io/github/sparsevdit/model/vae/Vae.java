package io.github.sparsevdit.model.vae;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.internal.Resources;
import io.github.sparsevdit.model.parts.ClipOperations;
import io.github.sparsevdit.model.parts.ConfigFile;
import io.github.sparsevdit.model.parts.Weights;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Safetensors;
import io.github.sparsevdit.tensor.Tensor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.Arrays;

/**
 * A video autoencoder: latents to frames and back, as diffusers computes them. Of its two parts the
 * one that is used is loaded when it is first used. Videos and latents are FP32 host tensors
 * [channels, frames, height, width] without a batch; videos lie in −1 … 1. For one thread at a
 * time.
 */
public final class Vae implements AutoCloseable {
  private final VaeNetwork network;
  private final Backend backend;
  private final ElementType type;
  private final Weights weights;
  private VaeNetwork.Part decoder; // null until it is used
  private VaeNetwork.Part encoder; // null until it is used

  private Vae(VaeNetwork network, Backend backend, ElementType type, Weights weights) {
    this.network = network;
    this.backend = backend;
    this.type = type;
    this.weights = weights;
  }

  /**
   * Opens a VAE's folder (config.json, diffusion_pytorch_model*).
   *
   * @param variant of the weights, as diffusers names them; null for those without one
   * @param type that is computed in: FP32 or BF16
   * @throws IllegalArgumentException if the class or an entry of the configuration is unknown, or a
   *     weight is missing, unexpected or of a wrong shape; the message names it
   */
  public static Vae open(Path folder, String variant, Backend backend, ElementType type) {
    requireComputable(type);
    return of(
        network(ConfigFile.read(folder.resolve("config.json"))),
        new Weights(
            Safetensors.open(folder, variant), backend, type, name -> false, folder.toString()),
        backend,
        type);
  }

  /** A VAE that closes the weights, as this does if it fails. */
  static Vae of(VaeNetwork network, Weights weights, Backend backend, ElementType type) {
    try {
      network.decoder(Layers.named(weights::expect, type));
      network.encoder(Layers.named(weights::expect, type));
      weights.requireAllUsed();
      return new Vae(network, backend, type, weights);
    } catch (RuntimeException | Error failure) {
      weights.close();
      throw failure;
    }
  }

  private static void requireComputable(ElementType type) {
    if (type != ElementType.BF16 && type != ElementType.FP32) {
      throw new IllegalArgumentException("VAEs compute in BF16 or FP32, not in " + type);
    }
  }

  private static VaeNetwork network(ConfigFile file) {
    String className = file.text("_class_name");
    VaeNetwork network =
        switch (className) {
          case "AutoencoderKLWan" -> new WanVae(file);
          case "AutoencoderKLHunyuanVideo" -> new HunyuanVae(file);
          case "AutoencoderKLCogVideoX" -> new CogVideoXVae(file);
          default ->
              throw file.wrong(
                  "_class_name",
                  "AutoencoderKLWan, AutoencoderKLHunyuanVideo or AutoencoderKLCogVideoX");
        };
    file.requireAllKnown(className + " that runs");
    return network;
  }

  /**
   * What decoding takes; nothing is opened but the configuration.
   *
   * @param latents shape [channels, frames, height, width]
   * @param tiling null for {@link Tiling#NONE}
   */
  public static VaeMemory decodingMemory(
      Path folder, Backend.Kind kind, ElementType type, long[] latents, Tiling tiling) {
    requireComputable(type);
    VaeNetwork network = network(ConfigFile.read(folder.resolve("config.json")));
    int[] in = latents(network, latents);
    return memory(network, true, kind, type, in, videoShape(network, in), tiling);
  }

  /** The same of encoding a video of a shape [3, frames, height, width]. */
  public static VaeMemory encodingMemory(
      Path folder, Backend.Kind kind, ElementType type, long[] video, Tiling tiling) {
    requireComputable(type);
    VaeNetwork network = network(ConfigFile.read(folder.resolve("config.json")));
    int[] in = video(network, video);
    int[] out = latentShape(network, in);
    out[0] *= 2;
    return memory(network, false, kind, type, in, out, tiling);
  }

  private static VaeMemory memory(
      VaeNetwork network,
      boolean decoding,
      Backend.Kind kind,
      ElementType type,
      int[] in,
      int[] out,
      Tiling tiling) {
    Layers layers = Layers.planned(type);
    VaeNetwork.Part part = decoding ? network.decoder(layers) : network.encoder(layers);
    try (Canvas canvas = new Canvas(type)) {
      Video result = canvas.video(out[0], out[1], out[2], out[3]);
      part.run(
          canvas,
          Video.planned(in[0], in[1], in[2], in[3]),
          tiling == null ? Tiling.NONE : tiling,
          result,
          new Progress(VaeListener.NONE));
      long workspace = kind == Backend.Kind.CUDA ? ClipOperations.WORKSPACE_BYTES : 0;
      return new VaeMemory(layers.bytes(), canvas.peak() + workspace, canvas.hostPeak());
    }
  }

  /** The video that latents become, as a shape. */
  public long[] videoShape(long[] latents) {
    return Arrays.stream(videoShape(network, latents(network, latents))).asLongStream().toArray();
  }

  /** The latents that a video becomes, as a shape. */
  public long[] latentShape(long[] video) {
    return Arrays.stream(latentShape(network, video(network, video))).asLongStream().toArray();
  }

  private static int[] videoShape(VaeNetwork network, int[] z) {
    int pixels = network.pixelsPerLatent();
    return new int[] {3, network.videoFrames(z[1]), z[2] * pixels, z[3] * pixels};
  }

  private static int[] latentShape(VaeNetwork network, int[] video) {
    int pixels = network.pixelsPerLatent();
    return new int[] {
      network.latentChannels(), network.latentFrames(video[1]), video[2] / pixels, video[3] / pixels
    };
  }

  private static int[] latents(VaeNetwork network, long[] shape) {
    return checked("latents", shape, network.latentChannels(), 1);
  }

  private static int[] video(VaeNetwork network, long[] shape) {
    return checked("the video", shape, 3, network.pixelsPerLatent());
  }

  private static int[] checked(String name, long[] shape, int channels, int multiple) {
    boolean right =
        shape.length == 4
            && shape[0] == channels
            && Arrays.stream(shape).allMatch(size -> size >= 1)
            && shape[2] % multiple == 0
            && shape[3] % multiple == 0;
    if (!right) {
      throw new IllegalArgumentException(
          name
              + " are "
              + Arrays.toString(shape)
              + "; expected ["
              + channels
              + ", frames, height, width]"
              + (multiple > 1 ? ", height and width multiples of " + multiple : ""));
    }
    return Arrays.stream(shape).mapToInt(Math::toIntExact).toArray();
  }

  private static Tensor requireHost(String name, Tensor tensor) {
    if (tensor.type() != ElementType.FP32) {
      throw new IllegalArgumentException(name + " are " + tensor + "; expected FP32 on the host");
    }
    tensor.segment(); // refuses a device's
    return tensor;
  }

  /**
   * Decodes latents.
   *
   * @param latents FP32 host tensor [channels, frames, height, width], as {@link #denormalise}
   *     leaves them
   * @param tiling null for what diffusers' pipelines do unless told otherwise
   * @param listener hears how far it is
   * @return FP32 host tensor [3, frames, height, width], which the caller closes; cut to −1 … 1
   *     where diffusers does so (Wan)
   */
  public Tensor decode(Tensor latents, Tiling tiling, VaeListener listener) {
    int[] in = latents(network, requireHost("latents", latents).shape());
    if (decoder == null) {
      decoder = network.decoder(Layers.of(weights, type));
    }
    return run(decoder, latents, videoShape(network, in), tiling, listener);
  }

  /** Encodes a video [3, frames, height, width] in −1 … 1; the caller closes the result. */
  public Encoded encode(Tensor video, Tiling tiling, VaeListener listener) {
    int[] in = video(network, requireHost("the video", video).shape());
    if (encoder == null) {
      encoder = network.encoder(Layers.of(weights, type));
    }
    int[] out = latentShape(network, in);
    int channels = out[0];
    out[0] *= 2;
    return Resources.make(
        owned -> {
          Tensor moments = run(encoder, video, out, tiling, listener);
          try {
            Tensor mean = owned.add(backend.allocatePinned(ElementType.FP32, half(out)));
            Tensor deviation = owned.add(backend.allocatePinned(ElementType.FP32, half(out)));
            mean.copyFrom(moments.slice(0, 0, channels));
            deviation.copyFrom(moments.slice(0, channels, 2L * channels));
            exponents(deviation.segment());
            return new Encoded(mean, deviation);
          } finally {
            moments.close();
          }
        });
  }

  private static long[] half(int[] moments) {
    return new long[] {moments[0] / 2, moments[1], moments[2], moments[3]};
  }

  /** e^(½ x) of each number, x cut to −30 … 20. */
  private static void exponents(MemorySegment floats) {
    for (long i = 0; i < floats.byteSize() / Float.BYTES; i++) {
      float x = Math.clamp(floats.getAtIndex(ValueLayout.JAVA_FLOAT, i), -30f, 20f);
      floats.setAtIndex(ValueLayout.JAVA_FLOAT, i, (float) Math.exp(0.5 * x));
    }
  }

  private Tensor run(
      VaeNetwork.Part part, Tensor in, int[] out, Tiling tiling, VaeListener listener) {
    try (Canvas canvas = new Canvas(backend, type)) {
      Video result = canvas.video(out[0], out[1], out[2], out[3]);
      try {
        part.run(
            canvas,
            Video.of(in),
            tiling == null ? Tiling.NONE : tiling,
            result,
            new Progress(listener));
        return canvas.handOver(result);
      } catch (RuntimeException | Error failure) {
        part.reset(canvas);
        canvas.free(result);
        throw failure;
      }
    }
  }

  /** From a denoiser's latents to what {@link #decode} takes, in place. */
  public void denormalise(Tensor latents) {
    latents(network, requireHost("latents", latents).shape());
    network.scale().denormalise(latents);
  }

  /** From what was encoded to a denoiser's latents, in place. */
  public void normalise(Tensor latents) {
    latents(network, requireHost("latents", latents).shape());
    network.scale().normalise(latents);
  }

  /** Frees the weights. */
  @Override
  public void close() {
    weights.close();
  }
}

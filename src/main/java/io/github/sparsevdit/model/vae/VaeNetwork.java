package io.github.sparsevdit.model.vae;

/** One kind of VAE by its configuration: its sizes, and how its two parts are built and run. */
abstract class VaeNetwork {
  /** Decoder or encoder. */
  interface Part {
    /**
     * @param in latents, or a video
     * @param out the video; or mean and logarithm of the variance of latents, one after the other.
     *     Of the right size, and filled
     */
    void run(Canvas canvas, Video in, Tiling tiling, Video out, Progress progress);

    /** Releases what it keeps of a video; after a failure. */
    void reset(Canvas canvas);
  }

  /** diffusers' class. */
  abstract String name();

  abstract int latentChannels();

  /** Rows, and columns, of a video for one of the latents. */
  abstract int pixelsPerLatent();

  abstract int videoFrames(int latentFrames);

  abstract int latentFrames(int videoFrames);

  abstract LatentScale scale();

  abstract Part decoder(Layers layers);

  abstract Part encoder(Layers layers);

  static int or(Integer value, int otherwise) {
    return value == null ? otherwise : value;
  }
}

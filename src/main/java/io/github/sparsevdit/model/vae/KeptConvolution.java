package io.github.sparsevdit.model.vae;

import io.github.sparsevdit.tensor.ElementType;

/**
 * A causal convolution over a video that comes in one frame at a time: the frames its kernel still
 * sees are kept, not copied. Before the first frame there are zeros.
 */
final class KeptConvolution {
  final Convolution convolution;
  private Clip earlier;
  private Clip before;

  KeptConvolution(Convolution convolution) {
    this.convolution = convolution;
  }

  /** The next frame of the result; x is kept, and no longer the caller's. */
  Clip next(Canvas canvas, Clip x) {
    return next(canvas, x, canvas.type);
  }

  Clip next(Canvas canvas, Clip x, ElementType as) {
    Clip y = canvas.convolve(convolution, x, earlier, before, as);
    canvas.release(earlier);
    earlier = before;
    before = x;
    return y;
  }

  /** Forgets the frames that are kept: what follows is another video. */
  void reset(Canvas canvas) {
    canvas.release(earlier);
    canvas.release(before);
    earlier = null;
    before = null;
  }
}

package io.github.sparsevdit.model.vae;

/** A part of a network that takes a whole run of frames; the clip it is given is its own. */
interface ChunkLayer {
  Clip apply(Canvas canvas, Clip x);
}

/**
 * Denoisers: video diffusion transformers read from checkpoints in diffusers' layout, the
 * schedulers that go with them, and the loop that runs both. Written in Java over native
 * operations; self-attention is handed out, so that a table, dense attention or a search can take
 * its place.
 */
package io.github.sparsevdit.model;

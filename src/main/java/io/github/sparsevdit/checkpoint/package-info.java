/** Checkpoints' folders in diffusers' layout: what lies where, and opening the denoiser. */
package io.github.sparsevdit.checkpoint;

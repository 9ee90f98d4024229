/** Checkpoints' folders in diffusers' layout: where their files are, and opening the denoiser. */
package io.github.sparsevdit.checkpoint;

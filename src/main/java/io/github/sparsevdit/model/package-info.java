/**
 * What a denoiser is: a video diffusion transformer whose self-attention is handed out, so that a
 * table, dense attention or a search can take its place. Each family has a package of its own below
 * this one.
 */
package io.github.sparsevdit.model;

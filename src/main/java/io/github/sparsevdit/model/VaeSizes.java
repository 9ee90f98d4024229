package io.github.sparsevdit.model;

/**
 * How many frames and pixels a latent stands for, as diffusers' pipelines read it from a VAE's
 * config.json. Nothing else of a VAE is used.
 *
 * @param frames per latent frame, but for the first
 * @param pixels per latent row and column
 */
public record VaeSizes(int frames, int pixels) {}

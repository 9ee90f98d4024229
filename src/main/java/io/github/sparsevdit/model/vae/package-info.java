/**
 * The video autoencoders (VAEs) of the families: latents to frames and back, as diffusers computes
 * them. Activations lie channels last, a row for each pixel.
 */
package io.github.sparsevdit.model.vae;

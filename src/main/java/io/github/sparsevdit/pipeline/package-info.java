/**
 * From a prompt to a video: the {@linkplain io.github.sparsevdit.pipeline.Generator generator}, the
 * denoising loop, its schedulers, runs that can be resumed, and what text encoders and decoders of
 * latents implement.
 */
package io.github.sparsevdit.pipeline;

/** CogVideoX1.5. */
package io.github.sparsevdit.model.cogvideox;

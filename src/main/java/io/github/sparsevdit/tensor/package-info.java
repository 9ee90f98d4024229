/** Strided tensors over native memory, and the safetensors files they come from. */
package io.github.sparsevdit.tensor;

/** CUDA streams, events, graphs, and device memory of other libraries. */
package io.github.sparsevdit.cuda;

/**
 * What denoisers are built of: operations, weights, embeddings, buffers; and the {@linkplain
 * io.github.sparsevdit.model.parts.Family record} that sets a family apart.
 */
package io.github.sparsevdit.model.parts;

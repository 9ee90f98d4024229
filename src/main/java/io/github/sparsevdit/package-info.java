/**
 * The public face: open a {@link io.github.sparsevdit.Backend}, read a {@link
 * io.github.sparsevdit.table.DispatchTable}, and run a {@link io.github.sparsevdit.SparseAttention}
 * layer by layer.
 *
 * <p>Handles ({@code Backend}, {@code AttentionPlan}, {@code SparseAttention}, {@code Tensor}) work
 * from any thread, virtual ones too, and are freed by {@code close()}, which may be called twice,
 * refuses new calls and waits for the running ones. {@code -Dsvdit.leaks=true} reports what was
 * never closed and where it was made. Misuse is an {@link java.lang.IllegalArgumentException} or
 * {@link java.lang.IllegalStateException} raised before any native work; what fails otherwise is a
 * {@link io.github.sparsevdit.SvditException}, which lists the causes.
 */
package io.github.sparsevdit;

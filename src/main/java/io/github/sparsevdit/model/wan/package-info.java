/** Wan2.1 and Wan2.2. */
package io.github.sparsevdit.model.wan;

/** The passes of a search over Q, K and V: what one scores, and on which query blocks. */
package io.github.sparsevdit.search.sweep;

/** Where a search gets its Q, K and V: a source, and captures in files. */
package io.github.sparsevdit.search.capture;

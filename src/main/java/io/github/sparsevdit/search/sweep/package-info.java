/** What a search tries and measures: candidates, sampled query blocks, layer errors. */
package io.github.sparsevdit.search.sweep;

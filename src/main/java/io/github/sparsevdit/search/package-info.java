/**
 * The offline search: from calibration points to the pattern of every head. {@link
 * io.github.sparsevdit.search.OfflineSearch} measures every candidate on every head; {@link
 * io.github.sparsevdit.search.Findings} makes tables of what it found.
 */
package io.github.sparsevdit.search;

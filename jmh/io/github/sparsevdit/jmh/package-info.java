/**
 * Microbenchmarks ({@code make jmh}), the peers they are measured against, and the test that all of
 * them compute the same thing.
 */
package io.github.sparsevdit.jmh;

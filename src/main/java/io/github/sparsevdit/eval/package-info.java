/** How good and how fast: video metrics, baselines to compare with, and the comparison itself. */
package io.github.sparsevdit.eval;

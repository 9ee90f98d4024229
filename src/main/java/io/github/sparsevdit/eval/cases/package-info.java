/**
 * Reference cases: inputs with results computed elsewhere, and how far ours may differ from them.
 * Tests and {@code svdit check} run the same ones.
 */
package io.github.sparsevdit.eval.cases;

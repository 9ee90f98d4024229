/** The layer × head mode map of a dispatch table: in a terminal, as PNG and as SVG. */
package io.github.sparsevdit.cli.map;

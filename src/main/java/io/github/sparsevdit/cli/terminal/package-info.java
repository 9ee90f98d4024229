/** What a person sees: progress, tables, colours, interrupts. */
package io.github.sparsevdit.cli.terminal;

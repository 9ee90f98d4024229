/** The commands: parsing and printing only. */
package io.github.sparsevdit.cli.commands;

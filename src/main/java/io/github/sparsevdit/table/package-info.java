/** Dispatch tables: the stored result of a search, read, checked, rescaled and written. */
package io.github.sparsevdit.table;

/**
 * The scoring pass of a search: attention of many windows of a mode at once, against full
 * attention.
 */
package io.github.sparsevdit.sweep;

/** The list of model families. */
package io.github.sparsevdit.model.families;

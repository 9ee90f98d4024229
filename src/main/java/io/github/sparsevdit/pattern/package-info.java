/**
 * What a head sees: orders, modes, patterns, sequences; and policies, which give every head its
 * pattern.
 */
package io.github.sparsevdit.pattern;

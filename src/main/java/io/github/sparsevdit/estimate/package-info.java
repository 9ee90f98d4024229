/**
 * What a run takes before it begins: tokens, arithmetic, memory, time; and the published models.
 */
package io.github.sparsevdit.estimate;

package io.github.sparsevdit.search;

/**
 * A candidate for every head, and what the choice comes to.
 *
 * @param knob the λ (lagrangian) or ε (paper) it was made with
 * @param chosen per phase, layer and head, an index into the candidates; null for a phase that is
 *     dense throughout
 * @param density of the whole run, dense steps counted
 * @param error mean over steps and layers of the sum of the heads' errors
 * @param speedup of attention over the whole run by the cost model
 */
record Selection(double knob, int[][][] chosen, double density, double error, double speedup) {}

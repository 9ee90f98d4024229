package io.github.sparsevdit.search;

import java.time.Duration;

/**
 * How far a search is.
 *
 * @param stage what it is doing
 * @param fraction of all its work that is done, in [0, 1]
 * @param points calibration points done in this stage
 * @param stagePoints points of this stage
 * @param elapsed since this run of the search began
 * @param remaining estimated; null while too little is done to tell
 */
public record SearchProgress(
    SearchStage stage,
    double fraction,
    long points,
    long stagePoints,
    Duration elapsed,
    Duration remaining) {}

package io.github.sparsevdit.search;

/** The search's stages: each visits the source once. */
public enum SearchStage {
  /** Scores what needs no knowledge of the head, and finds the blocks each head attends to most. */
  SURVEY,
  /** Scores anchors and stripes, on the points that had no part in choosing their blocks. */
  LISTED,
  /** Scores undecided heads on more query blocks. */
  REFINE
}

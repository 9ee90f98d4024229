package io.github.sparsevdit.search;

/** How a layer's heads find their candidates. */
sealed interface Rule permits PaperRule, LagrangianRule {
  /** The index of each head's candidate. Ties go to the cheaper, then to the first. */
  int[] choose(LayerScores layer, CostModel cost);
}

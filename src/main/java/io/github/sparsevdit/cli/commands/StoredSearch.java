package io.github.sparsevdit.cli.commands;

import io.github.sparsevdit.search.CostModel;
import io.github.sparsevdit.search.Findings;
import io.github.sparsevdit.search.OfflineSearch;
import io.github.sparsevdit.search.SearchOptions;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Set;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.ParameterException;

/** The scores that a search left in its file, for another table. */
final class StoredSearch {
  /** Options that say what is made of scores; all others say how they are measured. */
  private static final Set<String> ALLOWED =
      Set.of(
          "--from",
          "--out",
          "--chart",
          "--json",
          "--verbose",
          "--rule",
          "--lambda",
          "--epsilon",
          "--target-density",
          "--target-speedup",
          "--max-error",
          "--cost",
          "--block",
          "--phases",
          "--dense-steps",
          "--share");

  private final Path file;
  private final SearchRuleOptions rules;

  StoredSearch(Path file, SearchRuleOptions rules) {
    this.file = file;
    this.rules = rules;
  }

  /**
   * The scores, for the given options.
   *
   * @throws ParameterException if an option needs a search of its own; the message says what the
   *     file holds
   */
  Findings findings(CommandSpec spec) throws NoSuchFileException {
    if (!Files.exists(file)) {
      throw new NoSuchFileException(file.toString());
    }
    Findings stored = OfflineSearch.findings(file);
    for (OptionSpec option : spec.commandLine().getParseResult().matchedOptions()) {
      if (!ALLOWED.contains(option.longestName())) {
        throw refused(spec, option.longestName() + " needs a search of its own", stored);
      }
    }
    CostModel cost = stored.options().cost();
    if (rules.measuresCost() && !cost.name().equals("measured")) {
      throw refused(spec, "--cost measured needs a search of its own", stored);
    }
    try {
      SearchOptions options = rules.options(stored.options());
      boolean sparsity = rules.cost == SearchRuleOptions.Cost.SPARSITY;
      return stored.with(sparsity ? options.withCost(CostModel.SPARSITY) : options);
    } catch (IllegalArgumentException e) {
      throw refused(spec, e.getMessage(), stored);
    }
  }

  private ParameterException refused(CommandSpec spec, String why, Findings stored) {
    SearchOptions options = stored.options();
    return new ParameterException(
        spec.commandLine(),
        "%s: %s holds the scores of %d candidates over %d samples of %s on %s, block %d, phases from steps %s, rule %s, cost %s"
            .formatted(
                why,
                file,
                stored.candidates().size(),
                stored.samples(),
                stored.model(),
                stored.sequence(),
                options.block(),
                stored.phaseStarts(),
                options.rule().json(),
                options.cost().name()));
  }
}

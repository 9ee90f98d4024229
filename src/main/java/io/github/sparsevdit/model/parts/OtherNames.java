package io.github.sparsevdit.model.parts;

import java.util.Map;
import java.util.Set;

/** What another repository than diffusers calls the weights and sizes of a family's denoiser. */
public interface OtherNames {
  /** The denoiser's class in its config.json. */
  String className();

  /** Whether weights of these names are a denoiser of this family. */
  boolean areThese(Set<String> names);

  /** Diffusers' name of a weight; null where the name is unknown. */
  String ours(String theirs);

  /** The other repository's name of a weight or layer of diffusers'; null where it has none. */
  String theirs(String ours);

  /**
   * Diffusers' config.json, from the shapes of the weights and what the other repository's
   * config.json adds.
   *
   * @param shapes by the other repository's names
   * @param theirs their config.json; null where there is none
   * @param where for messages
   * @throws IllegalArgumentException if they do not tell it, or contradict each other
   */
  String config(Map<String, long[]> shapes, ConfigFile theirs, String where);
}

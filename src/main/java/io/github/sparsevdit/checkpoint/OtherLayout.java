package io.github.sparsevdit.checkpoint;

import io.github.sparsevdit.UnsupportedException;
import io.github.sparsevdit.model.families.Families;
import io.github.sparsevdit.model.parts.ConfigFile;
import io.github.sparsevdit.model.parts.Family;
import io.github.sparsevdit.model.parts.OtherNames;
import io.github.sparsevdit.tensor.Safetensors;
import io.github.sparsevdit.tensor.TensorSource;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * Weights under the names of a model's original repository, which ComfyUI stores with a prefix.
 *
 * @param names of the family
 * @param prefix before each of them; may be empty
 */
record OtherLayout(OtherNames names, String prefix) {
  private static final List<String> PREFIXES =
      List.of("model.diffusion_model.", "diffusion_model.", "");

  /** The layout of weights of these names; null where it is diffusers', or none that is known. */
  static OtherLayout of(Set<String> weights) {
    for (String prefix : PREFIXES) {
      Set<String> plain =
          weights.stream()
              .filter(name -> name.startsWith(prefix))
              .map(name -> name.substring(prefix.length()))
              .collect(Collectors.toSet());
      Family family = Families.ofOtherNames(plain);
      if (family != null) {
        return new OtherLayout(family.otherNames(), prefix);
      }
    }
    return null;
  }

  /** The same weights under diffusers' names; a name that has none stays as it is. */
  static TensorSource renamed(TensorSource source) {
    OtherLayout layout = of(source.names());
    if (layout == null) {
      return source;
    }
    Map<String, String> stored = new LinkedHashMap<>();
    for (String name : source.names()) {
      String ours =
          name.startsWith(layout.prefix)
              ? layout.names.ours(name.substring(layout.prefix.length()))
              : null;
      stored.put(ours == null ? name : ours, name);
    }
    return new RenamedTensors(source, stored);
  }

  /**
   * Diffusers' config.json of weights in another layout.
   *
   * @param theirs their own config.json; null where there is none
   */
  static ConfigFile config(Path weights, String variant, ConfigFile theirs) {
    try (Safetensors source = Safetensors.open(weights, variant)) {
      OtherLayout layout = of(source.names());
      if (layout == null) {
        throw new UnsupportedException(
            "%s: the names of its weights are those of no model that is supported; %s are, with the names of %s too"
                .formatted(
                    weights,
                    Families.names(Family::name),
                    Families.ALL.stream()
                            .filter(family -> family.otherNames() != null)
                            .map(Family::name)
                            .collect(Collectors.joining(", "))
                        + "'s original repository"));
      }
      Map<String, long[]> shapes = new LinkedHashMap<>();
      for (String name : source.names()) {
        if (name.startsWith(layout.prefix)) {
          shapes.put(name.substring(layout.prefix.length()), source.shape(name));
        }
      }
      String where = theirs == null ? weights.toString() : theirs.where();
      return ConfigFile.parse(layout.names.config(shapes, theirs, where), where);
    }
  }
}

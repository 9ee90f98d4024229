package io.github.sparsevdit.model.families;

import io.github.sparsevdit.UnsupportedException;
import io.github.sparsevdit.model.cogvideox.CogVideoX;
import io.github.sparsevdit.model.hunyuan.Hunyuan;
import io.github.sparsevdit.model.parts.ConfigFile;
import io.github.sparsevdit.model.parts.Family;
import io.github.sparsevdit.model.wan.Wan;
import java.util.List;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.Collectors;

/** The model families there are. */
public final class Families {
  /** A new family is one more here, and a package of its own. */
  public static final List<Family> ALL = List.of(Wan.FAMILY, Hunyuan.FAMILY, CogVideoX.FAMILY);

  private Families() {}

  /** The family of a denoiser's config.json. */
  public static Family of(ConfigFile config) {
    String className = config.text("_class_name");
    return ALL.stream()
        .filter(family -> family.transformer().equals(className))
        .findFirst()
        .orElseThrow(
            () ->
                new UnsupportedException(
                    "%s: model class %s is not supported; %s are"
                        .formatted(config.where(), className, names(Family::transformer))));
  }

  /** The family whose denoiser another repository gives that class; null where none does. */
  public static Family ofOtherClass(String className) {
    return ALL.stream()
        .filter(family -> family.otherNames() != null)
        .filter(family -> family.otherNames().className().equals(className))
        .findFirst()
        .orElse(null);
  }

  /** The family to which another repository's names of weights belong; null where to none. */
  public static Family ofOtherNames(Set<String> names) {
    return ALL.stream()
        .filter(family -> family.otherNames() != null && family.otherNames().areThese(names))
        .findFirst()
        .orElse(null);
  }

  /** The family of a denoiser's class, which must be one of theirs. */
  public static Family of(String transformer) {
    return ALL.stream()
        .filter(family -> family.transformer().equals(transformer))
        .findFirst()
        .orElseThrow(
            () ->
                new UnsupportedException(
                    "model class %s is not supported; %s are"
                        .formatted(transformer, names(Family::transformer))));
  }

  /** Something of all families, for a message: "A, B and C". */
  public static String names(Function<Family, String> what) {
    List<String> all = ALL.stream().map(what).toList();
    int last = all.size() - 1;
    return all.subList(0, last).stream().collect(Collectors.joining(", ", "", " and "))
        + all.get(last);
  }
}

package io.github.sparsevdit.internal.io;

import java.util.regex.Pattern;

/** Files of weights that are known and not read: pickled ones, and GGUF. */
public final class OtherWeights {
  private static final Pattern NAME = Pattern.compile(".+\\.(pt|pth|bin|ckpt|gguf)");

  private OtherWeights() {}

  /** Whether a file's name is that of such weights. */
  public static boolean matches(String fileName) {
    return NAME.matcher(fileName).matches();
  }
}

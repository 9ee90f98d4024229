package io.github.sparsevdit.model;

import java.nio.file.Path;

/** Where things lie in a checkpoint's folder. */
final class Checkpoints {
  private Checkpoints() {}

  /**
   * What to call the model: its folder's name, or that of the pipeline it is the transformer of.
   */
  static String name(Path transformer) {
    Path folder = transformer.toAbsolutePath().normalize();
    Path last = folder.getFileName();
    if (last != null && last.toString().equals("transformer") && folder.getParent() != null) {
      last = folder.getParent().getFileName();
    }
    return last == null ? "" : last.toString();
  }
}

package io.github.sparsevdit.eval.cases;

import java.nio.file.Path;
import java.util.Optional;

/** Recognises one kind of case by its content. */
interface CaseFamily {
  /** The case that path, a file or a folder, is; empty if it is none of this family. */
  Optional<ReferenceCase> open(Path path);
}

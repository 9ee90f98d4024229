/**
 * Structured sparse attention for video diffusion transformers: the runtime, the offline search
 * that picks a pattern for each head, and the denoisers it works with.
 */
module io.github.sparsevdit {
  requires com.fasterxml.jackson.core;
  requires com.fasterxml.jackson.databind;
  requires jdk.jfr;

  exports io.github.sparsevdit;
  exports io.github.sparsevdit.tensor;
}

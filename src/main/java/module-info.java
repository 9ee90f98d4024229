/**
 * Structured sparse attention for video diffusion transformers: the runtime, the offline search
 * that picks a pattern for each head, and the denoisers it works with.
 */
@SuppressWarnings("module") // the jars of native code are not there when this is compiled
module io.github.sparsevdit {
  requires com.fasterxml.jackson.core;
  requires com.fasterxml.jackson.databind;
  requires jdk.jfr;
  // The command line's, which an application that embeds the library does not need.
  requires static ai.djl.tokenizers;
  requires static info.picocli;
  requires static java.desktop;
  requires static jcodec;
  requires static me.tongfei.progressbar;
  requires static xchart;

  exports io.github.sparsevdit;
  exports io.github.sparsevdit.checkpoint;
  exports io.github.sparsevdit.cuda;
  exports io.github.sparsevdit.estimate;
  exports io.github.sparsevdit.eval;
  exports io.github.sparsevdit.model;
  exports io.github.sparsevdit.pattern;
  exports io.github.sparsevdit.pipeline;
  exports io.github.sparsevdit.search;
  exports io.github.sparsevdit.search.capture;
  exports io.github.sparsevdit.sweep;
  exports io.github.sparsevdit.table;
  exports io.github.sparsevdit.tensor;

  opens io.github.sparsevdit.cli to
      info.picocli;
  opens io.github.sparsevdit.cli.commands to
      info.picocli;

  exports io.github.sparsevdit.internal.platform to
      io.github.sparsevdit.linux.x86_64,
      io.github.sparsevdit.linux.x86_64.cuda13;

  uses io.github.sparsevdit.internal.platform.NativeArtifact;
  uses io.github.sparsevdit.pipeline.LatentDecoder.Provider;
  uses io.github.sparsevdit.pipeline.TextEncoder.Provider;
}

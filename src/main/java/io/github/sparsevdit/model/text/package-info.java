/** Text: cleaning, tokenizers, and the encoders that pipelines condition their denoisers with. */
package io.github.sparsevdit.model.text;

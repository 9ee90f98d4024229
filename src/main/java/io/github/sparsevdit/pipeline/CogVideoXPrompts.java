package io.github.sparsevdit.pipeline;

import io.github.sparsevdit.model.Conditioning;
import io.github.sparsevdit.model.text.T5Encoder;
import io.github.sparsevdit.model.text.Tokenizer;
import io.github.sparsevdit.model.text.Tokens;

/**
 * CogVideoX's text: as it is, encoded by T5 without a mask, so that padding is attended to, and all
 * rows used. Source: diffusers' CogVideoXPipeline.
 */
final class CogVideoXPrompts extends PromptNetworks {
  private static final int TOKENS = 226;

  private final PipelineParts.Place place;
  private final Tokenizer tokenizer;

  CogVideoXPrompts(PipelineParts.Place place, int tokens) {
    super(place, tokens == 0 ? TOKENS : tokens, "text_encoder", "tokenizer");
    this.place = place;
    tokenizer = tokenizer(place, "tokenizer", tokens(""));
  }

  @Override
  public long memoryBytes() {
    return T5Encoder.memory(place.of("text_encoder"), null, place.type(), tokens("")).needed();
  }

  @Override
  Open open() {
    T5Encoder encoder =
        T5Encoder.open(place.of("text_encoder"), null, place.backend(), place.type());
    return new Open() {
      @Override
      public Conditioning encode(String text) {
        Tokens tokens = tokenizer.encode(text);
        float[] rows = encoder.encode(tokens, false).toFloats();
        int count = tokens.ids().length;
        return Conditioning.text(stored(rows, count, rows.length / count));
      }

      @Override
      public void close() {
        encoder.close();
      }
    };
  }
}

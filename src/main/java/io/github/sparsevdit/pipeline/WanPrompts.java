package io.github.sparsevdit.pipeline;

import io.github.sparsevdit.model.Conditioning;
import io.github.sparsevdit.model.text.PromptCleaning;
import io.github.sparsevdit.model.text.T5Encoder;
import io.github.sparsevdit.model.text.Tokenizer;
import io.github.sparsevdit.model.text.Tokens;

/**
 * Wan's text: cleaned, encoded by UMT5 with a mask, and zeros after the last token. The denoiser
 * sees all rows. Source: diffusers' WanPipeline.
 */
final class WanPrompts extends PromptNetworks {
  private static final int TOKENS = 512;

  private final PipelineParts.Place place;
  private final Tokenizer tokenizer;

  WanPrompts(PipelineParts.Place place, int tokens) {
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
        Tokens tokens = tokenizer.encode(PromptCleaning.clean(text));
        float[] rows = encoder.encode(tokens, true).toFloats();
        int width = rows.length / tokens.ids().length;
        java.util.Arrays.fill(rows, tokens.valid() * width, rows.length, 0);
        return Conditioning.text(stored(rows, tokens.ids().length, width));
      }

      @Override
      public void close() {
        encoder.close();
      }
    };
  }
}

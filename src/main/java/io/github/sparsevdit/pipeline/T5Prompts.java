package io.github.sparsevdit.pipeline;

import io.github.sparsevdit.model.Conditioning;
import io.github.sparsevdit.model.text.PromptCleaning;
import io.github.sparsevdit.model.text.T5Encoder;
import io.github.sparsevdit.model.text.Tokenizer;
import io.github.sparsevdit.model.text.Tokens;
import java.util.Arrays;
import java.util.function.UnaryOperator;

/**
 * Text by T5 or UMT5. Wan cleans it, masks padding, and has zeros after the last token; CogVideoX
 * takes it as it is and lets padding be attended to. Their denoisers see all rows. Source:
 * diffusers' WanPipeline and CogVideoXPipeline.
 */
final class T5Prompts extends PromptNetworks {
  private static final int WAN_TOKENS = 512;
  private static final int COGVIDEOX_TOKENS = 226;
  private static final String ENCODER = "text_encoder";
  private static final String TOKENIZER = "tokenizer";

  private final PipelineParts.Place place;
  private final UnaryOperator<String> cleaning;
  private final boolean masked;
  private final Tokenizer tokenizer;

  private T5Prompts(
      PipelineParts.Place place, int tokens, UnaryOperator<String> cleaning, boolean masked) {
    super(place, tokens, ENCODER, TOKENIZER);
    this.place = place;
    this.cleaning = cleaning;
    this.masked = masked;
    tokenizer = tokenizer(place, TOKENIZER, tokens);
  }

  static T5Prompts wan(PipelineParts.Place place, int tokens) {
    return new T5Prompts(place, tokens == 0 ? WAN_TOKENS : tokens, PromptCleaning::clean, true);
  }

  static T5Prompts cogVideoX(PipelineParts.Place place, int tokens) {
    int all = tokens == 0 ? COGVIDEOX_TOKENS : tokens;
    return new T5Prompts(place, all, UnaryOperator.identity(), false);
  }

  @Override
  public long memoryBytes() {
    return T5Encoder.memory(place.of(ENCODER), place.variant(ENCODER), place.type(), tokens(""))
        .needed(place.backend().kind());
  }

  @Override
  Open open() {
    T5Encoder encoder =
        T5Encoder.open(place.of(ENCODER), place.variant(ENCODER), place.backend(), place.type());
    return new Open() {
      @Override
      public Conditioning encode(String text) {
        Tokens tokens = tokenizer.encode(cleaning.apply(text));
        int count = tokens.ids().length;
        float[] rows = encoder.encode(tokens, masked).toFloats();
        int width = rows.length / count;
        if (masked) {
          Arrays.fill(rows, tokens.valid() * width, rows.length, 0);
        }
        return Conditioning.text(stored(rows, count, width));
      }

      @Override
      public void close() {
        encoder.close();
      }
    };
  }
}

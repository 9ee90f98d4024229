package io.github.sparsevdit.pipeline;

import io.github.sparsevdit.model.Conditioning;
import io.github.sparsevdit.model.text.ClipTextEncoder;
import io.github.sparsevdit.model.text.LlamaEncoder;
import io.github.sparsevdit.model.text.Tokenizer;
import io.github.sparsevdit.model.text.Tokens;
import java.util.Arrays;

/**
 * HunyuanVideo's text: Llama's third last hidden state of the prompt in a template, whose own
 * tokens are cut off, with a mask; and CLIP's pooled embedding of the plain prompt. Source:
 * diffusers' HunyuanVideoPipeline.
 */
final class HunyuanPrompts extends PromptNetworks {
  private static final int TOKENS = 256;
  private static final int CLIP_TOKENS = 77;
  private static final int FROM_END = 3;

  /** Before the prompt, and how many tokens of it are cut, whatever the tokenizer makes of it. */
  private static final String TEMPLATE =
      "<|start_header_id|>system<|end_header_id|>\n\nDescribe the video by detailing the following"
          + " aspects: 1. The main content and theme of the video."
          + "2. The color, shape, size, texture, quantity, text, and spatial relationships of the"
          + " objects."
          + "3. Actions, events, behaviors temporal relationships, physical movement changes of the"
          + " objects."
          + "4. background environment, light, style and atmosphere."
          + "5. camera angles, movements, and transitions used in the video:<|eot_id|>"
          + "<|start_header_id|>user<|end_header_id|>\n\n%s<|eot_id|>";

  private static final int CUT = 95;

  private final PipelineParts.Place place;
  private final Tokenizer tokenizer;
  private final Tokenizer clipTokenizer;

  HunyuanPrompts(PipelineParts.Place place, int tokens) {
    super(
        place,
        tokens == 0 ? TOKENS : tokens,
        "text_encoder",
        "tokenizer",
        "text_encoder_2",
        "tokenizer_2");
    this.place = place;
    tokenizer = tokenizer(place, "tokenizer", CUT + tokens(""));
    clipTokenizer = tokenizer(place, "tokenizer_2", CLIP_TOKENS);
  }

  @Override
  public long memoryBytes() {
    return LlamaEncoder.memory(
            place.of("text_encoder"), place.variant("text_encoder"), place.type(), CUT + tokens(""))
        .needed(place.backend().kind());
  }

  @Override
  Open open() {
    LlamaEncoder llama =
        LlamaEncoder.open(
            place.of("text_encoder"), place.variant("text_encoder"), place.backend(), place.type());
    return new Open() {
      @Override
      public Conditioning encode(String text) {
        Tokens tokens = tokenizer.encode(TEMPLATE.replace("%s", text));
        float[] rows = llama.encode(tokens, FROM_END).toFloats();
        int width = rows.length / tokens.ids().length;
        float[] kept = Arrays.copyOfRange(rows, CUT * width, rows.length);
        float[] pooled = pooled(text);
        return Conditioning.text(
            stored(kept, tokens(text), width),
            Math.max(0, tokens.valid() - CUT),
            stored(pooled, pooled.length),
            Double.NaN);
      }

      private float[] pooled(String text) {
        try (ClipTextEncoder clip =
            ClipTextEncoder.open(
                place.of("text_encoder_2"),
                place.variant("text_encoder_2"),
                place.backend(),
                place.type())) {
          return clip.pooled(clipTokenizer.encode(text)).toFloats();
        }
      }

      @Override
      public void close() {
        llama.close();
      }
    };
  }
}

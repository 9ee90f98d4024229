package io.github.sparsevdit.cli;

import io.github.sparsevdit.model.Conditioning;
import io.github.sparsevdit.model.VideoTransformer;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Safetensors;
import io.github.sparsevdit.tensor.Tensor;
import io.github.sparsevdit.tensor.TensorSource;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Set;

/**
 * A file of prompts, each under its name: the text's embedding [tokens, features], and beside it,
 * as {@code <name>.<part>}, what some families want too. calibration/README.md lists the parts.
 */
final class PromptEmbeddings implements AutoCloseable {
  private static final String NEGATIVE = "negative";
  private static final String POOLED = "pooled";
  private static final String MASK = "mask";
  private static final String IMAGE = "image";
  private static final String LATENTS = "latents";
  private static final String FIRST_FRAMES = "firstFrames";
  private static final String NOISE = "noise";
  private static final Set<String> PARTS =
      Set.of(POOLED, MASK, IMAGE, LATENTS, FIRST_FRAMES, NOISE);

  private final Path file;
  private final TensorSource tensors;
  private final Arena arena = Arena.ofShared();

  PromptEmbeddings(Path file) {
    if (!Files.exists(file)) {
      throw new CommandFailure(
          "there are no prompt embeddings at " + file + "; name a file with --embeddings");
    }
    this.file = file;
    tensors = Safetensors.open(file);
  }

  /** The prompts there are, sorted. */
  List<String> prompts() {
    List<String> prompts =
        tensors.names().stream()
            .filter(name -> !name.equals(NEGATIVE) && !isPart(name))
            .sorted()
            .toList();
    if (prompts.isEmpty()) {
      throw new CommandFailure(file + " holds no prompt");
    }
    return prompts;
  }

  private boolean isPart(String name) {
    int dot = name.lastIndexOf('.');
    return dot > 0
        && PARTS.contains(name.substring(dot + 1))
        && tensors.has(name.substring(0, dot));
  }

  /** Throws CommandFailure for the first that is not there. */
  void require(List<String> wanted) {
    List<String> there = prompts();
    for (String prompt : wanted) {
      if (!there.contains(prompt)) {
        throw new CommandFailure(
            "there is no prompt '" + prompt + "'; there are " + String.join(", ", there));
      }
    }
  }

  /** Text tokens of the first prompt, padding included. */
  int textTokens() {
    return Math.toIntExact(tensors.tensor(prompts().getFirst()).size(0));
  }

  /**
   * What a prompt says.
   *
   * @param guidance that is embedded; NaN for none
   * @throws CommandFailure if the transformer does not take it with latents of that shape
   */
  Conditioning prompt(
      String prompt, double guidance, VideoTransformer transformer, long[] latents) {
    require(List.of(prompt));
    return checked(
        prompt, conditioning(prompt, tensors.tensor(prompt), guidance), transformer, latents);
  }

  /**
   * The unconditional branch of a prompt: the text called "negative", else zeros; the prompt's own
   * image.
   */
  Conditioning negative(String prompt, VideoTransformer transformer, long[] latents) {
    if (tensors.has(NEGATIVE)) {
      Tensor text = tensors.tensor(NEGATIVE);
      Conditioning negative = conditioning(prompt, text, Double.NaN);
      return checked(NEGATIVE, negative, transformer, latents);
    }
    Tensor like = tensors.tensor(prompt);
    long bytes = like.elements() * ElementType.FP32.bytes();
    Tensor zeros = Tensor.of(arena.allocate(bytes, 64), ElementType.FP32, like.shape());
    return checked(prompt, conditioning(prompt, zeros, Double.NaN), transformer, latents);
  }

  /**
   * What a prompt's run begins with instead of the seed's noise; null where the file does not say.
   */
  Tensor noise(String prompt, long[] latents) {
    Tensor noise = part(prompt, NOISE);
    boolean fits =
        noise == null || noise.type() == ElementType.FP32 && Arrays.equals(noise.shape(), latents);
    if (!fits) {
      throw new CommandFailure(
          "%s.noise in %s is %s; expected FP32 %s"
              .formatted(prompt, file, noise, Arrays.toString(latents)));
    }
    return noise;
  }

  private Conditioning conditioning(String prompt, Tensor text, double guidance) {
    Tensor mask = part(prompt, MASK);
    int valid = mask == null ? -1 : valid(prompt, mask, text);
    return Conditioning.text(text, valid, part(prompt, POOLED), guidance)
        .withImage(part(prompt, IMAGE), part(prompt, LATENTS))
        .withFirstFrames(part(prompt, FIRST_FRAMES));
  }

  private Tensor part(String prompt, String part) {
    String name = prompt + "." + part;
    return tensors.has(name) ? tensors.tensor(name) : null;
  }

  /** How many leading ones a mask has; nothing but zeros may follow. */
  private int valid(String prompt, Tensor mask, Tensor text) {
    if (mask.elements() != text.size(0)) {
      throw new CommandFailure(
          "%s.mask in %s is %s; expected a number for each of the %d text tokens"
              .formatted(prompt, file, mask, text.size(0)));
    }
    float[] ones = mask.toFloats();
    int valid = 0;
    while (valid < ones.length && ones[valid] == 1) {
      valid++;
    }
    for (int i = valid; i < ones.length; i++) {
      if (ones[i] != 0) {
        throw new CommandFailure(
            "%s.mask in %s has %s at token %d; expected ones, then zeros"
                .formatted(prompt, file, ones[i], i));
      }
    }
    return valid;
  }

  private Conditioning checked(
      String prompt, Conditioning conditioning, VideoTransformer transformer, long[] latents) {
    try {
      transformer.check(latents, conditioning);
      return conditioning;
    } catch (IllegalArgumentException e) {
      throw new CommandFailure(
          "prompt '%s' of %s (its parts are tensors called %s.<part>): %s"
              .formatted(prompt, file, prompt, e.getMessage()),
          e);
    }
  }

  @Override
  public void close() {
    tensors.close();
    arena.close();
  }
}

package io.github.sparsevdit.cli;

import io.github.sparsevdit.UnsupportedException;
import io.github.sparsevdit.model.Conditioning;
import io.github.sparsevdit.model.VideoTransformer;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Safetensors;
import io.github.sparsevdit.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.function.LongToDoubleFunction;

/**
 * A file of prompts, each under its name: the text's embedding [tokens, features], and beside it,
 * as {@code <name>.<part>}, what some families want too. calibration/README.md lists the parts. Any
 * of them may have a leading dimension of 1, as pipelines give it.
 */
final class PromptEmbeddings implements AutoCloseable {
  private static final String NEGATIVE = "negative";
  private static final String POOLED = "pooled";
  private static final String MASK = "mask";
  private static final String IMAGE = "image";
  private static final String LATENTS = "latents";
  private static final String FIRST_FRAMES = "firstFrames";
  private static final String NOISE = "noise";
  private static final String TEXT = "text";
  private static final String VIDEO = "channels, frames, height, width";
  private static final Map<String, String> SHAPES =
      Map.of(
          TEXT, "tokens, features",
          POOLED, "features",
          MASK, "tokens",
          IMAGE, "tokens, features",
          LATENTS, VIDEO,
          FIRST_FRAMES, VIDEO,
          NOISE, VIDEO);
  private static final ValueLayout.OfShort LITTLE_SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfInt LITTLE_INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfLong LITTLE_LONG =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private final Path file;
  private final Safetensors tensors;
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
        && SHAPES.containsKey(name.substring(dot + 1))
        && (tensors.has(name.substring(0, dot)) || name.startsWith(NEGATIVE + "."));
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

  /** Text tokens of a prompt, padding included. */
  int textTokens(String prompt) {
    require(List.of(prompt));
    return Math.toIntExact(text(prompt).size(0));
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
        prompt, conditioning(prompt, prompt, text(prompt), guidance), transformer, latents);
  }

  /**
   * The unconditional branch of a prompt: the text called "negative" with its own mask and pooled
   * embedding, and the prompt's image. Without such a text it is zeros, but for a family that takes
   * more of a text than its embedding: zeros are no prompt's pooled embedding.
   *
   * @param guidance that is embedded; NaN for none
   * @throws CommandFailure if the transformer does not take it, or something of it is missing
   */
  Conditioning negative(
      String prompt, double guidance, VideoTransformer transformer, long[] latents) {
    if (tensors.has(NEGATIVE)) {
      for (String part : List.of(IMAGE, LATENTS, FIRST_FRAMES, NOISE)) {
        if (tensors.has(NEGATIVE + "." + part)) {
          throw refused(
              NEGATIVE,
              part,
              "is not used: both branches of guidance take the prompt's; take it out");
        }
      }
      if (tensors.has(prompt + "." + MASK) && !tensors.has(NEGATIVE + "." + MASK)) {
        throw refused(
            NEGATIVE,
            MASK,
            "is missing, though %s has one; write ones for its tokens and zeros for padding"
                .formatted(prompt));
      }
      Conditioning negative = conditioning(NEGATIVE, prompt, text(NEGATIVE), guidance);
      return requireSameSequence(
          prompt, checked(NEGATIVE, negative, transformer, latents), transformer, latents);
    }
    for (String part : SHAPES.keySet()) {
      if (tensors.has(NEGATIVE + "." + part)) {
        throw refused(NEGATIVE, part, "is not used without a tensor negative; write that too");
      }
    }
    if (tensors.has(prompt + "." + POOLED) || tensors.has(prompt + "." + MASK)) {
      throw new CommandFailure(
          "%s has no negative prompt, which guidance needs: tensors called negative, negative.pooled and negative.mask; or give --guidance 1"
              .formatted(file));
    }
    Tensor like = text(prompt);
    long bytes = like.elements() * ElementType.FP32.bytes();
    Tensor zeros = Tensor.of(arena.allocate(bytes, 64), ElementType.FP32, like.shape());
    return checked(prompt, conditioning(NEGATIVE, prompt, zeros, guidance), transformer, latents);
  }

  /** Where self-attention sees the text, both branches of guidance must have one length. */
  private Conditioning requireSameSequence(
      String prompt, Conditioning negative, VideoTransformer transformer, long[] latents) {
    int tokens = textTokens(prompt);
    if (!transformer
        .sequence(latents, tokens)
        .equals(transformer.sequence(latents, negative.textTokens()))) {
      throw new CommandFailure(
          "%s: negative has %d text tokens and prompt '%s' has %d; this model's self-attention sees the text, so pad both to one length, as its pipeline does"
              .formatted(file, negative.textTokens(), prompt, tokens));
    }
    return negative;
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

  /**
   * @param words whose text, mask and pooled embedding it has
   * @param picture whose image
   */
  private Conditioning conditioning(String words, String picture, Tensor text, double guidance) {
    return Conditioning.text(text, valid(words, text), part(words, POOLED), guidance)
        .withImage(part(picture, IMAGE), part(picture, LATENTS))
        .with(Conditioning.Part.FIRST_FRAMES, part(picture, FIRST_FRAMES));
  }

  private Tensor text(String prompt) {
    return tensor(prompt, null, prompt);
  }

  /** Null where there is none. */
  private Tensor part(String prompt, String part) {
    String name = prompt + "." + part;
    return tensors.has(name) ? tensor(prompt, part, name) : null;
  }

  private Tensor tensor(String prompt, String part, String name) {
    int ones = leadingOnes(prompt, part, name);
    try {
      Tensor tensor = tensors.tensor(name);
      for (int dim = 0; dim < ones; dim++) {
        tensor = tensor.select(0, 0);
      }
      return tensor;
    } catch (UnsupportedException e) {
      throw refused(
          prompt, part, "has the dtype " + tensors.dtype(name) + "; expected BF16, F16 or F32");
    }
  }

  /** How many leading dimensions of 1 a tensor has beyond its own. */
  private int leadingOnes(String prompt, String part, String name) {
    String expected = SHAPES.get(part == null ? TEXT : part);
    int rank = expected.split(",").length;
    long[] shape = tensors.shape(name);
    int extra = shape.length - rank;
    boolean fits = extra >= 0;
    for (int dim = 0; dim < extra; dim++) {
      fits &= shape[dim] == 1;
    }
    if (!fits) {
      throw refused(
          prompt,
          part,
          "is %s; expected [%s], also with a leading 1"
              .formatted(Arrays.toString(shape), expected));
    }
    return extra;
  }

  /** What is wrong with a part of a prompt, or with its text where part is null. */
  private CommandFailure refused(String prompt, String part, String what) {
    return new CommandFailure(
        "%s: prompt '%s', %s (tensor %s) %s"
            .formatted(
                file,
                prompt,
                part == null ? TEXT : part,
                part == null ? prompt : prompt + "." + part,
                what));
  }

  /**
   * How many leading ones a prompt's mask has; −1 where it has none. Nothing but zeros may follow.
   */
  private int valid(String prompt, Tensor text) {
    String name = prompt + "." + MASK;
    if (!tensors.has(name)) {
      return -1;
    }
    leadingOnes(prompt, MASK, name);
    double[] mask = mask(prompt, name);
    if (mask.length != text.size(0)) {
      throw refused(
          prompt,
          MASK,
          "has %d numbers; expected one for each of the %d text tokens"
              .formatted(mask.length, text.size(0)));
    }
    int valid = 0;
    while (valid < mask.length && mask[valid] == 1) {
      valid++;
    }
    for (int i = valid; i < mask.length; i++) {
      if (mask[i] != 0) {
        throw refused(
            prompt, MASK, "has %s at token %d; expected ones, then zeros".formatted(mask[i], i));
      }
    }
    return valid;
  }

  /** A mask's numbers, of whichever type a tokenizer or a pipeline gives them. */
  private double[] mask(String prompt, String name) {
    MemorySegment bytes = tensors.bytes(name);
    String dtype = tensors.dtype(name);
    return switch (dtype) {
      case "BOOL", "U8", "I8" -> numbers(bytes, 1, at -> bytes.get(ValueLayout.JAVA_BYTE, at));
      case "I16", "U16" -> numbers(bytes, 2, at -> bytes.get(LITTLE_SHORT, at));
      case "I32", "U32" -> numbers(bytes, 4, at -> bytes.get(LITTLE_INT, at));
      case "I64", "U64" -> numbers(bytes, 8, at -> bytes.get(LITTLE_LONG, at));
      case "BF16", "F16", "F32" -> {
        float[] values = tensors.tensor(name).toFloats();
        double[] numbers = new double[values.length];
        Arrays.setAll(numbers, i -> values[i]);
        yield numbers;
      }
      default ->
          throw refused(
              prompt,
              MASK,
              "has the dtype " + dtype + "; expected an integer, BOOL, BF16, F16 or F32");
    };
  }

  private static double[] numbers(MemorySegment bytes, int each, LongToDoubleFunction at) {
    double[] numbers = new double[Math.toIntExact(bytes.byteSize() / each)];
    Arrays.setAll(numbers, i -> at.applyAsDouble((long) i * each));
    return numbers;
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

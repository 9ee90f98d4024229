package io.github.sparsevdit.pipeline;

import io.github.sparsevdit.UnsupportedException;
import io.github.sparsevdit.model.Conditioning;
import io.github.sparsevdit.model.Conditioning.Part;
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
import java.util.TreeMap;
import java.util.function.LongToDoubleFunction;

/**
 * A file of prompts, each under its name: the text's embedding [tokens, features], and beside it,
 * as {@code <name>.<part>}, what some families want too. calibration/README.md lists the parts. Any
 * of them may have a leading dimension of 1, as pipelines give it.
 */
final class EmbeddingFile implements TextEncoder {
  private static final String NEGATIVE = "negative";
  private static final String MASK = "mask";
  private static final String NOISE = "noise";
  private static final Map<String, String> SHAPES = shapes();
  private static final List<String> SHARED = // by both branches of guidance
      List.of(Part.IMAGE.label(), Part.LATENTS.label(), Part.FIRST_FRAMES.label(), NOISE);
  private static final ValueLayout.OfShort LITTLE_SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfInt LITTLE_INT =
      ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfLong LITTLE_LONG =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private final Path file;
  private final Safetensors tensors;
  private final Arena arena = Arena.ofShared();

  private static Map<String, String> shapes() {
    Map<String, String> shapes = new TreeMap<>();
    for (Part part : Part.values()) {
      shapes.put(part.label(), part.shape());
    }
    shapes.put(MASK, "[tokens]");
    shapes.put(NOISE, Part.LATENTS.shape());
    return shapes;
  }

  EmbeddingFile(Path file) {
    if (!Files.exists(file)) {
      throw new IllegalArgumentException(
          "there are no prompt embeddings at "
              + file
              + "; name a file with --embeddings, or in OpenOptions");
    }
    this.file = file;
    tensors = Safetensors.open(file);
  }

  @Override
  public List<String> prompts() {
    List<String> prompts =
        tensors.names().stream()
            .filter(name -> !name.equals(NEGATIVE) && !isPart(name))
            .sorted()
            .toList();
    if (prompts.isEmpty()) {
      throw new IllegalArgumentException(file + " contains no prompt");
    }
    return prompts;
  }

  private boolean isPart(String name) {
    int dot = name.lastIndexOf('.');
    return dot > 0
        && SHAPES.containsKey(name.substring(dot + 1))
        && (tensors.has(name.substring(0, dot)) || name.startsWith(NEGATIVE + "."));
  }

  private void require(String prompt) {
    List<String> there = prompts();
    if (!there.contains(prompt)) {
      throw new IllegalArgumentException(
          "there is no prompt '" + prompt + "'; there are " + String.join(", ", there));
    }
  }

  @Override
  public int tokens(String prompt) {
    require(prompt);
    return Math.toIntExact(text(prompt).size(0));
  }

  @Override
  public Conditioning encode(String prompt) {
    require(prompt);
    return conditioning(prompt, prompt, text(prompt));
  }

  /**
   * The text called "negative" with its own mask and pooled embedding, and the prompt's image.
   * Without such a text it is zeros, but for a family that takes more of a text than its embedding:
   * zeros are no prompt's pooled embedding.
   */
  @Override
  public Conditioning encodeNegative(String prompt, String negative) {
    if (negative != null && !negative.equals(NEGATIVE)) {
      throw new IllegalArgumentException(
          "negative prompt '%s': the one in %s is called %s, and there is no text encoder for another"
              .formatted(negative, file, NEGATIVE));
    }
    if (tensors.has(NEGATIVE)) {
      for (String part : SHARED) {
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
      return conditioning(NEGATIVE, prompt, text(NEGATIVE));
    }
    for (String part : SHAPES.keySet()) {
      if (tensors.has(NEGATIVE + "." + part)) {
        throw refused(NEGATIVE, part, "is not used without a tensor negative; write that too");
      }
    }
    if (tensors.has(prompt + "." + Part.POOLED.label()) || tensors.has(prompt + "." + MASK)) {
      throw new IllegalArgumentException(
          "%s has no negative prompt, which guidance needs: tensors called negative, negative.pooled and negative.mask; or give --guidance 1"
              .formatted(file));
    }
    Tensor like = text(prompt);
    long bytes = like.elements() * ElementType.FP32.bytes();
    Tensor zeros = Tensor.of(arena.allocate(bytes, 64), ElementType.FP32, like.shape());
    return conditioning(NEGATIVE, prompt, zeros);
  }

  @Override
  public Tensor noise(String prompt) {
    return part(prompt, NOISE);
  }

  @Override
  public String where(String prompt) {
    return "prompt '%s' of %s (its parts are tensors called %s.<part>)"
        .formatted(prompt, file, prompt);
  }

  @Override
  public String whereNegative(String prompt) {
    return where(tensors.has(NEGATIVE) ? NEGATIVE : prompt);
  }

  /**
   * @param words whose text, mask and pooled embedding it has
   * @param picture whose image
   */
  private Conditioning conditioning(String words, String picture, Tensor text) {
    Conditioning conditioning = Conditioning.text(text).withTextValid(valid(words, text));
    for (Part part : Part.values()) {
      if (part != Part.TEXT) {
        String whose = SHARED.contains(part.label()) ? picture : words;
        conditioning = conditioning.with(part, part(whose, part.label()));
      }
    }
    return conditioning;
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
    String expected = SHAPES.get(part == null ? Part.TEXT.label() : part);
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
          "is %s; expected %s, also with a leading 1".formatted(Arrays.toString(shape), expected));
    }
    return extra;
  }

  /** What is wrong with a part of a prompt, or with its text where part is null. */
  private IllegalArgumentException refused(String prompt, String part, String what) {
    return new IllegalArgumentException(
        "%s: prompt '%s', %s (tensor %s) %s"
            .formatted(
                file,
                prompt,
                part == null ? Part.TEXT.label() : part,
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

  @Override
  public void close() {
    tensors.close();
    arena.close();
  }
}

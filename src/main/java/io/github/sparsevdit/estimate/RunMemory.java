package io.github.sparsevdit.estimate;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.OutOfNativeMemoryException;
import io.github.sparsevdit.checkpoint.CheckpointFolder;
import io.github.sparsevdit.checkpoint.Denoisers;
import io.github.sparsevdit.internal.io.AvailableMemory;
import io.github.sparsevdit.model.Geometry;
import io.github.sparsevdit.model.families.Families;
import io.github.sparsevdit.model.parts.Family;
import io.github.sparsevdit.pattern.ModelShape;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Policy;
import io.github.sparsevdit.pattern.Schedule;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.TensorSource;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * What a run takes of memory, said before it begins: bounds, from the checkpoint's headers and the
 * size of the latents, in bytes. The mapped weights are pages of files, which the system drops when
 * memory is short and reads again: blocks run one after the other, so a run goes on with less
 * memory than its weights, at the speed of the disk. All else must fit.
 *
 * @param weights mapped from disk
 * @param converted weights that are stored in another element type than is computed with, or not
 *     aligned to it, as they are stored beside the mapped ones
 * @param made those of converted that are made on the host also for a device: expanded from E4M3,
 *     merged with LoRA files, or copied to be aligned
 * @param uploaded all weights in the types they are computed with, as a device holds them
 * @param activations buffers of a forward pass
 * @param attention plans, and what threads compute self-attention and products in
 * @param heap Java's own: latents, the scheduler's history, tables while they are made
 */
public record RunMemory(
    long weights,
    long converted,
    long made,
    long uploaded,
    long activations,
    long attention,
    long heap) {
  private static final String SMALLER =
      "fewer frames or a smaller picture, or computing in bf16, take less";
  private static final int LATENTS_ON_HEAP = 12; // of a run: samples, branches, history, state
  private static final long HEAP_BESIDES = 64L << 20;
  private static final long SCRATCH_OF_THREAD = 8L << 20;
  private static final int HEAD_BYTES = 256; // of a plan
  private static final int PADDING = 128; // tokens that a segment is filled up to blocks with
  private static final int MASSES_OF_BLOCK = 2 * 2 * 8; // orders, halves of the points, phases
  private static final long SEARCHED_OUTPUTS = 256L << 20;

  /** Of a run of a checkpoint whose self-attention is computed in the type all else is. */
  public static RunMemory of(Path folder, ElementType type, int[] latents, int text, int threads) {
    return of(folder, type, type, latents, text, threads);
  }

  /**
   * Of a run of a checkpoint.
   *
   * @param folder as {@link Denoisers#load} takes it
   * @param type that is computed in
   * @param attentionType that self-attention is computed in: type, or E4M3
   * @param latents frames, height and width
   * @param text tokens of a prompt
   * @param threads that compute
   */
  public static RunMemory of(
      Path folder,
      ElementType type,
      ElementType attentionType,
      int[] latents,
      int text,
      int threads) {
    return of(CheckpointFolder.of(folder), type, attentionType, latents, text, threads);
  }

  /** The same of a folder with a variant of the weights. */
  public static RunMemory of(
      CheckpointFolder folder,
      ElementType type,
      ElementType attentionType,
      int[] latents,
      int text,
      int threads) {
    Denoisers.requireComputable(type);
    Geometry geometry = Denoisers.geometry(folder);
    Family family = Families.of(geometry.className());
    Sequence sequence = geometry.sequence(latents[0], latents[1], latents[2], text);
    long weights = 0;
    long converted = 0;
    long made = 0;
    long uploaded = 0;
    for (Path home : folder.transformers()) {
      try (TensorSource source = folder.weights(home, type)) {
        for (String name : source.names()) {
          weights += source.storedBytes(name);
          ElementType as = family.inFp32(name) ? ElementType.FP32 : type;
          converted += source.copiedBytes(name, as);
          made += source.madeBytes(name);
          uploaded += Arrays.stream(source.shape(name)).reduce(as.bytes(), (a, b) -> a * b);
        }
      }
    }
    int image = geometry.usualImage();
    long elements = (long) geometry.latentChannels() * latents[0] * latents[1] * latents[2];
    long rotary = 4L * sequence.videoTokens() * geometry.shape("").headDim();
    return new RunMemory(
        weights,
        converted,
        made,
        uploaded,
        geometry.activationBytes(type, sequence, text, image) + 2 * 4 * elements,
        (threads + 1) * SCRATCH_OF_THREAD
            + planBytes(sequence, 128, full(geometry.shape("").heads()))
            + (attentionType == ElementType.E4M3 ? roundedBytes(sequence, geometry.shape("")) : 0),
        LATENTS_ON_HEAP * 4 * elements + 2 * rotary + HEAP_BESIDES);
  }

  /** The same with the plans of a policy. */
  public RunMemory with(Policy policy, Schedule schedule, Sequence sequence) {
    Set<List<Pattern>> distinct = Collections.newSetFromMap(new IdentityHashMap<>());
    long plans = 0;
    for (double timestep : schedule.timesteps()) {
      for (int layer = 0; layer < policy.model().layers(); layer++) {
        List<Pattern> patterns = policy.patterns(timestep, layer);
        if (distinct.add(patterns)) {
          plans += planBytes(sequence, policy.block(), patterns);
        }
      }
    }
    return new RunMemory(weights, converted, made, uploaded, activations, attention + plans, heap);
  }

  /**
   * The same with what a search stores beside the run: the attention mass of every head and block,
   * a layer's output projection and what it gives, and its squares for each head of each network.
   *
   * @param networks that the run has, one after the other
   */
  public RunMemory withSearch(ModelShape shape, Sequence sequence, int block, int networks) {
    long heads = (long) shape.layers() * shape.heads();
    long mass = heads * sequence.videoBlocks(block) * MASSES_OF_BLOCK * Double.BYTES;
    long width = (long) shape.heads() * shape.headDim();
    long squares = networks * heads * shape.headDim() * shape.headDim() * Float.BYTES;
    return new RunMemory(
        weights,
        converted,
        made,
        uploaded,
        activations,
        attention + squares,
        heap + mass + width * width * Float.BYTES + SEARCHED_OUTPUTS);
  }

  /** What must fit beside the mapped weights. */
  public long needed() {
    return converted + activations + attention + heap;
  }

  /**
   * Throws OutOfNativeMemoryException with the figures and what helps where it will not fit: on
   * this machine, or on a device, which must hold the weights too, while those that are expanded or
   * merged stay on the host.
   */
  public void requireRoom(Backend backend) {
    AvailableMemory available = AvailableMemory.now();
    if (backend.kind() == Backend.Kind.CPU) {
      requireRoom(needed(), available.bytes(), available.reason());
      requireHeap(Runtime.getRuntime().maxMemory());
    } else {
      requireHost(available.bytes(), available.reason());
      requireDevice(backend.info().memoryFreeBytes());
    }
  }

  void requireDevice(long available) {
    long bytes = uploaded + activations + attention;
    if (bytes > available) {
      throw new OutOfNativeMemoryException(
          "the run needs %s of the device's memory (weights %s, activations %s, attention %s), which has left %s; %s"
              .formatted(
                  size(bytes),
                  size(uploaded),
                  size(activations),
                  size(attention),
                  size(available),
                  SMALLER));
    }
  }

  void requireHost(long available, String reason) {
    if (made > available) {
      throw new OutOfNativeMemoryException(
          "the weights that are expanded from fp8, merged with LoRA files or not aligned take %s of the host's memory, and %s %s; store them in the type that is computed in, with the LoRA files merged"
              .formatted(size(made), reason, size(available)));
    }
  }

  /**
   * Throws OutOfNativeMemoryException where another network than the denoiser does not fit: a text
   * encoder, which is closed before the run, or a VAE, which is opened after it.
   *
   * @param what it is, for the message
   * @param bytes it takes beside the mapped weights
   * @param wayOut what helps
   */
  public static void requireRoom(Backend backend, String what, long bytes, String wayOut) {
    boolean cpu = backend.kind() == Backend.Kind.CPU;
    AvailableMemory host = cpu ? AvailableMemory.now() : null;
    long available = cpu ? host.bytes() : backend.info().memoryFreeBytes();
    if (bytes > available) {
      throw new OutOfNativeMemoryException(
          "%s needs %s, and %s %s; %s"
              .formatted(
                  what,
                  size(bytes),
                  cpu ? host.reason() : "the device has left",
                  size(available),
                  wayOut));
    }
  }

  /** The same of Java's heap. */
  public static void requireHeap(String what, long bytes) {
    long limit = Runtime.getRuntime().maxMemory();
    long all = bytes + HEAP_BESIDES;
    if (all > limit) {
      throw new OutOfNativeMemoryException(
          "%s needs %s of Java heap, which may grow to %s; start Java with -Xmx%dm (SVDIT_JAVA_OPTS for svdit)"
              .formatted(what, size(all), size(limit), all * 5 / 4 >> 20));
    }
  }

  void requireRoom(long bytes, long available, String reason) {
    if (bytes > available) {
      throw new OutOfNativeMemoryException(
          "the run needs %s (%s), and %s %s; %s"
              .formatted(size(bytes), this, reason, size(available), wayOut()));
    }
  }

  void requireHeap(long limit) {
    if (heap > limit) {
      throw new OutOfNativeMemoryException(
          "the run needs %s of Java heap, which may grow to %s; start Java with -Xmx%dm"
              .formatted(size(heap), size(limit), heap * 5 / 4 >> 20));
    }
  }

  private String wayOut() {
    return converted > activations
        ? "store the weights in the type that is computed in, so that they are used where they are"
            + " mapped"
        : SMALLER;
  }

  @Override
  public String toString() {
    return "weights %s mapped%s, activations %s, attention %s, Java heap %s"
        .formatted(
            size(weights),
            converted == 0 ? "" : " and " + size(converted) + " converted",
            size(activations),
            size(attention),
            size(heap));
  }

  private static String size(long bytes) {
    return bytes < 1_000_000_000L
        ? String.format(Locale.ROOT, "%.0f MB", bytes * 1e-6)
        : String.format(Locale.ROOT, "%.1f GB", bytes * 1e-9);
  }

  /** The workspace of a call in E4M3, which all plans share: q, k and v rounded, as BF16. */
  private static long roundedBytes(Sequence sequence, ModelShape shape) {
    long tokens = sequence.tokens() + 2L * PADDING;
    return 3 * ElementType.BF16.bytes() * shape.heads() * tokens * shape.headDim();
  }

  private static List<Pattern> full(int heads) {
    return Collections.nCopies(heads, Pattern.full());
  }

  /** Work items of all query blocks, the orders' places, listed blocks. */
  private static long planBytes(Sequence sequence, int block, List<Pattern> patterns) {
    long queryBlocks = sequence.videoBlocks(block) + (long) sequence.textBlocks(block);
    long orders = patterns.stream().map(Pattern::order).collect(Collectors.toSet()).size();
    long listed = 0;
    for (Pattern pattern : patterns) {
      listed += pattern.blocks().size();
      for (List<Integer> list : pattern.lists()) {
        listed += list.size() + 2L;
      }
    }
    return patterns.size() * (8 * queryBlocks + HEAD_BYTES)
        + orders * 4L * sequence.videoTokens()
        + 4 * listed;
  }
}

package io.github.sparsevdit.pipeline;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.NotFiniteException;
import io.github.sparsevdit.OutOfNativeMemoryException;
import io.github.sparsevdit.checkpoint.CheckpointFolder;
import io.github.sparsevdit.checkpoint.Denoisers;
import io.github.sparsevdit.checkpoint.GenerationConfig;
import io.github.sparsevdit.estimate.ModelProfile;
import io.github.sparsevdit.estimate.PlannedFolder;
import io.github.sparsevdit.internal.Resources;
import io.github.sparsevdit.model.Geometry;
import io.github.sparsevdit.model.VideoTransformer;
import io.github.sparsevdit.model.families.Families;
import io.github.sparsevdit.model.vae.Tiling;
import io.github.sparsevdit.pattern.ModelShape;
import io.github.sparsevdit.pattern.Policy;
import io.github.sparsevdit.table.DispatchTable;
import io.github.sparsevdit.tensor.ElementType;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.ServiceLoader;
import java.util.concurrent.CancellationException;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Function;
import java.util.function.Supplier;

/**
 * Generates videos with one checkpoint.
 *
 * <pre>{@code
 * try (Backend backend = Backend.best();
 *     Generator generator = Generator.open(Path.of("tiny-wan"), backend)) {
 *   DispatchTable table = DispatchTable.read(Path.of("table.json"));
 *   generator.generate("horse", table, GenerateOptions.defaults()).save(Path.of("horse.mp4"));
 * }
 * }</pre>
 *
 * <p>Threads may share it; their runs take turns. It owns the denoiser, the text encoder and the
 * decoder; the backend stays the caller's. The denoiser is opened with the first run, once its
 * memory is known to fit.
 */
public final class Generator implements AutoCloseable {
  private static final int DENSE_BLOCK = 128;

  private final CheckpointFolder folder;
  private final Backend backend;
  private final ElementType type;
  private final Geometry geometry;
  private final ModelProfile profile;
  private final GenerationConfig config;
  private final TextEncoder encoder;
  private final ImageEncoder images; // null where images are not taken
  private final LatentDecoder decoder; // null where nothing decodes
  private final ReentrantLock running = new ReentrantLock(true); // has who runs
  private VideoTransformer transformer; // null until the first run; guarded by the lock
  private boolean closed; // guarded by the lock

  private Generator(
      CheckpointFolder folder,
      Backend backend,
      ElementType type,
      Geometry geometry,
      TextEncoder encoder,
      ImageEncoder images,
      LatentDecoder decoder) {
    this.folder = folder;
    this.backend = backend;
    this.type = type;
    this.encoder = encoder;
    this.images = images;
    this.decoder = decoder;
    this.geometry = geometry;
    profile = PlannedFolder.read(folder, new ArrayList<>());
    config = GenerationConfig.read(folder.path());
  }

  /** Opens a checkpoint in diffusers' layout to compute in BF16. */
  public static Generator open(Path folder, Backend backend) {
    return open(folder, backend, OpenOptions.defaults());
  }

  /**
   * Opens a checkpoint in diffusers' layout: a pipeline's folder, or a transformer's.
   *
   * @throws IllegalArgumentException if it is no checkpoint, or not a supported one; the message
   *     says what is
   */
  public static Generator open(Path folder, Backend backend, OpenOptions options) {
    Denoisers.requireComputable(options.type());
    CheckpointFolder checkpoint = CheckpointFolder.of(folder, options.variant());
    if (options.base() != null) {
      checkpoint = checkpoint.withBase(options.base());
    }
    if (options.second() != null) {
      checkpoint = checkpoint.withSecond(options.second());
    }
    return open(checkpoint.withLoras(options.loras(), options.secondLoras()), backend, options);
  }

  private static Generator open(CheckpointFolder checkpoint, Backend backend, OpenOptions options) {
    Geometry geometry = Denoisers.geometry(checkpoint);
    PipelineParts parts = PipelineParts.of(geometry.className());
    return Resources.make(
        opened -> {
          PipelineParts.Place place = place(checkpoint, backend, options, parts);
          TextEncoder encoder = opened.add(encoder(place, options, parts));
          ImageEncoder images = parts == null ? null : parts.images().make(place, geometry);
          LatentDecoder decoder = decoder(place, options, parts, geometry);
          requireFollowed(checkpoint, options, encoder, decoder);
          if (decoder != null) {
            opened.add(decoder);
          }
          return new Generator(
              checkpoint, backend, options.type(), geometry, encoder, images, decoder);
        });
  }

  /** Options for networks that the folder does not have would be ignored in silence. */
  private static void requireFollowed(
      CheckpointFolder folder, OpenOptions options, TextEncoder encoder, LatentDecoder decoder) {
    boolean ownText = encoder instanceof PromptNetworks;
    boolean forText = options.textTokens() != 0 || options.embeddingCache() != null;
    if (forText && !ownText) {
      throw new IllegalArgumentException(
          "%s is for a pipeline's own text encoder, and %s is used without one"
              .formatted(
                  options.textTokens() != 0 ? "text-tokens" : "embedding-cache", folder.path()));
    }
    boolean forVae = options.vaeType() != null || options.vaeTiling();
    if (forVae && !(decoder instanceof VaeDecoder)) {
      throw new IllegalArgumentException(
          "%s is for a pipeline's own VAE, and %s is used without one"
              .formatted(options.vaeTiling() ? "vae-tiling" : "vae-type", folder.path()));
    }
  }

  private static PipelineParts.Place place(
      CheckpointFolder folder, Backend backend, OpenOptions options, PipelineParts parts) {
    ElementType usual = parts == null ? null : parts.vaeType();
    ElementType type = usual == null ? options.type() : usual;
    return new PipelineParts.Place(
        folder,
        backend,
        options.type(),
        options.vaeType() == null ? type : options.vaeType(),
        options.vaeTiling() ? Tiling.DEFAULT : Tiling.NONE,
        options.embeddingCache());
  }

  private static TextEncoder encoder(
      PipelineParts.Place place, OpenOptions options, PipelineParts parts) {
    if (options.textEncoder() != null) {
      return options.textEncoder();
    }
    if (options.embeddings() != null) {
      return new EmbeddingFile(options.embeddings());
    }
    TextEncoder found =
        provided(
            TextEncoder.Provider.class,
            provider -> provider.open(place.folder(), place.backend(), options.type()));
    if (found != null) {
      return found;
    }
    return parts != null && place.has("text_encoder")
        ? parts.prompts().make(place, options.textTokens())
        : new EmbeddingFile(place.folder().path().resolve("prompt_embeds.safetensors"));
  }

  private static LatentDecoder decoder(
      PipelineParts.Place place, OpenOptions options, PipelineParts parts, Geometry geometry) {
    if (options.latentDecoder() != null) {
      return options.latentDecoder();
    }
    CheckpointFolder folder = place.folder();
    LatentDecoder found =
        provided(
            LatentDecoder.Provider.class,
            provider -> provider.open(folder, place.backend(), options.type()));
    if (found != null) {
      return found;
    }
    if (folder.inPixels() && geometry.latentChannels() == PixelDecoder.CHANNELS) {
      return new PixelDecoder();
    }
    return parts != null && place.has("vae")
        ? new VaeDecoder(place, Families.of(geometry.className()).framesFirst())
        : null;
  }

  /** What the first provider that knows the folder opens; null where none does. */
  private static <P, T> T provided(Class<P> service, Function<P, T> open) {
    for (P provider : ServiceLoader.load(service)) {
      T opened = open.apply(provider);
      if (opened != null) {
        return opened;
      }
    }
    return null;
  }

  /** The names of the prompts, sorted, if prompts are names; empty if any text is accepted. */
  public List<String> prompts() {
    return encoder.prompts();
  }

  /** Layers, heads and head dim of the self-attention. */
  public ModelShape shape() {
    return geometry.shape(CheckpointFolder.name(folder.transformer()));
  }

  /** What the denoiser computes in. */
  public ElementType type() {
    return type;
  }

  /** Whether it decodes latents into a video. */
  public boolean decodes() {
    return decoder != null;
  }

  /** Whether the guidance scale is embedded, so that a step is one forward pass. */
  public boolean embedsGuidance() {
    return geometry.embedsGuidance();
  }

  /** Networks of a run, one after the other. */
  public int networks() {
    return profile.networks();
  }

  /**
   * Generates a video.
   *
   * @param prompt a text, or the name of an embedding: see {@link #prompts}
   * @param table the policy of self-attention, such as a {@link
   *     io.github.sparsevdit.table.DispatchTable}; null for dense attention
   * @throws IllegalArgumentException if a prompt, option or table does not fit; the message names
   *     the value and what would
   * @throws OutOfNativeMemoryException if the run would not fit into memory
   * @throws CancellationException if the progress cancels the run; with a file to resume from, only
   *     the current step is lost
   * @throws NotFiniteException if a result is NaN or infinite; the message says where and why
   */
  public Generated generate(String prompt, Policy table, GenerateOptions options) {
    PreparedRun run = prepare(options, List.of(prompt));
    return run.generate(prompt, table == null ? dense() : table);
  }

  /** Dense attention for this model. */
  public Policy dense() {
    return Policy.dense(shape(), DENSE_BLOCK);
  }

  /**
   * Resolves options and opens the denoiser: for several runs, or to get their sequence, schedule
   * and memory first.
   *
   * @param prompts that will be run, whose self-attention must see one sequence
   */
  public PreparedRun prepare(GenerateOptions options, List<String> prompts) {
    return exclusively(() -> new PreparedRun(this, options, prompts));
  }

  /** Waits for its turn, and refuses where this was closed meanwhile. */
  <T> T exclusively(Supplier<T> work) {
    running.lock();
    try {
      if (closed) {
        throw new IllegalStateException("the generator of " + folder.path() + " is closed");
      }
      return work.get();
    } finally {
      running.unlock();
    }
  }

  CheckpointFolder folder() {
    return folder;
  }

  Backend backend() {
    return backend;
  }

  Geometry geometry() {
    return geometry;
  }

  ModelProfile profile() {
    return profile;
  }

  GenerationConfig config() {
    return config;
  }

  TextEncoder encoder() {
    return encoder;
  }

  /** Null where images are not taken. */
  ImageEncoder images() {
    return images;
  }

  /** Whether prompts are texts, and not names of embeddings. */
  boolean encodesText() {
    return encoder instanceof PromptNetworks;
  }

  LatentDecoder decoder() {
    return decoder;
  }

  /** Opens the denoiser with the first call. */
  VideoTransformer transformer() {
    return exclusively(
        () -> {
          if (transformer == null) {
            transformer = Denoisers.load(folder, backend, type);
          }
          return transformer;
        });
  }

  /** Refuses a table of another checkpoint; called exclusively. */
  void requireCheckpoint(DispatchTable table) {
    String searched = table.search().checkpointSha256();
    String own = transformer().checkpointSha256();
    if (!own.equals(searched)) {
      throw new IllegalArgumentException(
          "the table was searched on a checkpoint of %s with SHA-256 %s; that of %s is %s%s: search a table on this one, or set any-checkpoint"
              .formatted(
                  table.model().name(),
                  searched,
                  folder.path(),
                  own,
                  folder.hasLoras() ? " (with its LoRA, which is part of the weights)" : ""));
    }
  }

  /** Closes the denoiser, the text encoder and the decoder; waits for a running run. */
  @Override
  public void close() {
    running.lock();
    try {
      if (closed) {
        return;
      }
      closed = true;
      Resources all = new Resources();
      all.add(encoder);
      if (decoder != null) {
        all.add(decoder);
      }
      if (transformer != null) {
        all.add(transformer);
      }
      all.close();
    } finally {
      running.unlock();
    }
  }
}

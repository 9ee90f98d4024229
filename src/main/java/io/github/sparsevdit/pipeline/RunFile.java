package io.github.sparsevdit.pipeline;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.internal.io.Sha256;
import io.github.sparsevdit.model.Conditioning;
import io.github.sparsevdit.model.VideoTransformer;
import io.github.sparsevdit.pattern.Mode;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Policy;
import io.github.sparsevdit.pattern.Schedule;
import io.github.sparsevdit.table.PatternJson;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Safetensors;
import io.github.sparsevdit.tensor.Tensor;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * Where a run is kept after each step, so that it can be stopped and go on: the latents and what
 * the scheduler takes over from step to step, as safetensors, with what tells that it is the same
 * run. Resumed on the same kind of processor, a run gives the same bits as one that was never
 * stopped; a state of another arithmetic (see {@link Backend#arithmetic}) is refused. The file is
 * replaced whole or not at all. Not thread-safe.
 */
public final class RunFile {
  private static final String FORMAT = "sparse-vdit/run";
  private static final String VERSION = "4";
  private static final String IDENTITY = "is.";
  private static final String ARITHMETIC = "arithmetic";
  private static final String PROCESSOR = "processor";

  private final Path file;
  private final Map<String, String> identity;
  private String processor; // that the run was begun on

  /**
   * @param file need not exist yet
   * @param identity names and values of what the run is; see {@link #identity}
   * @param backend that computes it
   */
  public RunFile(Path file, Map<String, String> identity, Backend backend) {
    this.file = file;
    this.identity = new LinkedHashMap<>(identity);
    this.processor = backend.info().name();
  }

  /**
   * What a file says of the processor or device that its run was begun on, where that is another
   * than the backend's: the last bits may then differ from those of a run on one of them, since
   * libraries choose their code by the processor. Null where it is the same, or there is no file.
   *
   * @throws IllegalArgumentException if the file is none of safetensors
   */
  public static String begunElsewhere(Path file, Backend backend) {
    if (!Files.exists(file)) {
      return null;
    }
    try (Safetensors state = Safetensors.open(file)) {
      String there = state.metadata().get(PROCESSOR);
      return there == null || there.equals(backend.info().name()) ? null : there;
    }
  }

  /**
   * What a run is: a state that differs in any of it is another run's.
   *
   * @param backend whose arithmetic makes the run's bits
   * @param attention all that decides which patterns heads have, or its digest
   * @param attentionType that self-attention is computed in
   */
  public static Map<String, String> identity(
      Backend backend,
      VideoTransformer transformer,
      Scheduler scheduler,
      Guidance guidance,
      RunInputs inputs,
      String attention,
      ElementType attentionType) {
    Conditioning negative = inputs.negative();
    Tensor noise = inputs.noise();
    Map<String, String> identity = new LinkedHashMap<>();
    identity.put(ARITHMETIC, backend.arithmetic());
    identity.put("model", transformer.shape().name() + " " + transformer.fingerprint());
    identity.put("element type", transformer.type().toString());
    identity.put("scheduler", scheduler.getClass().getSimpleName());
    identity.put("timesteps", scheduler.schedule().timesteps().toString());
    identity.put("scheduler's settings", new Sha256().update(scheduler.fingerprint()).hex());
    identity.put("guidance", guidance.toString());
    identity.put("prompt", DenoiserSource.update(new Sha256(), inputs.prompt()).hex());
    identity.put(
        "negative prompt",
        negative == null ? "none" : DenoiserSource.update(new Sha256(), negative).hex());
    identity.put(
        "attention", attention.length() < 64 ? attention : new Sha256().update(attention).hex());
    identity.put("attention type", attentionType.toString());
    identity.put("seed", Long.toString(inputs.seed()));
    identity.put(
        "noise", noise == null ? "the seed's" : DenoiserSource.update(new Sha256(), noise).hex());
    return identity;
  }

  /** "dense" where all is, else the digest of every pattern that a run asks for, and the block. */
  static String fingerprint(Policy policy, Schedule schedule) {
    Sha256 digest = new Sha256();
    Map<List<Pattern>, byte[]> known = new IdentityHashMap<>(); // steps of a phase share lists
    boolean dense = true;
    for (double timestep : schedule.timesteps()) {
      for (int layer = 0; layer < policy.model().layers(); layer++) {
        List<Pattern> patterns = policy.patterns(timestep, layer);
        byte[] text = known.get(patterns);
        if (text == null) {
          text =
              patterns.stream()
                  .map(PatternJson::toJson)
                  .collect(Collectors.joining(",", "[", "]"))
                  .getBytes(StandardCharsets.UTF_8);
          known.put(patterns, text);
          dense &= patterns.stream().allMatch(pattern -> pattern.mode() == Mode.FULL);
        }
        digest.update(text);
      }
    }
    // The block decides nothing where all is seen, but sums may run in its order.
    return (dense ? "dense" : "patterns " + digest.hex()) + ", block " + policy.block();
  }

  /**
   * Takes latents and scheduler to where the file left off.
   *
   * @return the step to go on with; 0, with nothing changed, where there is no file
   * @throws IllegalArgumentException if the file is no run's state, or another run's; the message
   *     says what differs
   */
  int restore(Tensor latents, Scheduler scheduler) {
    if (!Files.exists(file)) {
      return 0;
    }
    try (Safetensors state = Safetensors.open(file)) {
      Map<String, String> metadata = state.metadata();
      if (!FORMAT.equals(metadata.get("format")) || !VERSION.equals(metadata.get("version"))) {
        throw new IllegalArgumentException(
            "%s is no run's state: format %s version %s; expected %s version %s"
                .formatted(file, metadata.get("format"), metadata.get("version"), FORMAT, VERSION));
      }
      for (Map.Entry<String, String> is : identity.entrySet()) {
        String there = metadata.get(IDENTITY + is.getKey());
        if (!is.getValue().equals(there)) {
          throw new IllegalArgumentException(
              "%s is the state of another run: its %s is %s, this one's is %s; %sname another file, or delete it to start over"
                  .formatted(
                      file,
                      is.getKey(),
                      there,
                      is.getValue(),
                      is.getKey().equals(ARITHMETIC)
                          ? "results would differ from either's: use the same backend and tier, "
                          : ""));
        }
      }
      int step = step(metadata.get("step"), scheduler.schedule().steps());
      Tensor stored = tensor(state, "latents");
      if (!Arrays.equals(stored.shape(), latents.shape())) {
        throw new IllegalArgumentException(
            "%s is the state of another run: its latents are %s, this one's are %s"
                .formatted(
                    file, Arrays.toString(stored.shape()), Arrays.toString(latents.shape())));
      }
      List<float[]> history = new ArrayList<>();
      while (state.has("history." + history.size())) {
        history.add(tensor(state, "history." + history.size()).toFloats());
      }
      scheduler.resume(step, history, Math.toIntExact(latents.elements()));
      latents.copyFrom(stored);
      processor = metadata.getOrDefault(PROCESSOR, processor);
      return step;
    }
  }

  /** Keeps the run as it is before a step. */
  void save(int step, Tensor latents, Scheduler scheduler) {
    try (Arena arena = Arena.ofShared()) {
      Map<String, Tensor> tensors = new HashMap<>();
      tensors.put("latents", latents);
      for (float[] part : scheduler.history()) {
        Tensor tensor =
            Tensor.of(arena.allocate(4L * part.length, 64), ElementType.FP32, part.length);
        tensors.put("history." + (tensors.size() - 1), tensor.copyFrom(part));
      }
      Map<String, String> metadata = new LinkedHashMap<>();
      metadata.put("format", FORMAT);
      metadata.put("version", VERSION);
      metadata.put("step", Integer.toString(step));
      metadata.put(PROCESSOR, processor);
      identity.forEach((name, value) -> metadata.put(IDENTITY + name, value));
      Safetensors.write(file, tensors, metadata);
    }
  }

  /** Removes the file, once the run's result is safe. */
  public void delete() {
    try {
      Files.deleteIfExists(file);
    } catch (IOException e) {
      throw new UncheckedIOException("cannot remove " + file, e);
    }
  }

  private int step(String text, int steps) {
    if (text == null || !text.matches("\\d{1,6}") || Integer.parseInt(text) > steps) {
      throw new IllegalArgumentException(
          "%s: step %s; expected a number up to %d".formatted(file, text, steps));
    }
    return Integer.parseInt(text);
  }

  private Tensor tensor(Safetensors state, String name) {
    if (!state.has(name) || !state.dtype(name).equals("F32")) {
      throw new IllegalArgumentException(
          "%s is no run's state: it has no FP32 tensor \"%s\"".formatted(file, name));
    }
    return state.tensor(name);
  }
}

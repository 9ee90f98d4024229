package io.github.sparsevdit.pipeline;

import io.github.sparsevdit.AttentionPlan;
import io.github.sparsevdit.Backend;
import io.github.sparsevdit.internal.io.Sha256;
import io.github.sparsevdit.model.AttentionFunction;
import io.github.sparsevdit.model.AttentionProvider;
import io.github.sparsevdit.model.Conditioning;
import io.github.sparsevdit.model.VideoTransformer;
import io.github.sparsevdit.pattern.ModelShape;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Schedule;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.search.capture.CalibrationSource;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Q, K and V of a denoiser as it runs, densely, over some prompts: every step, layer and guidance
 * branch. A visit runs each sample as far as the last step that is wanted of it.
 *
 * <p>Visits may come from any thread, one at a time. The transformer and the prompts stay the
 * caller's.
 */
public final class DenoiserSource implements CalibrationSource {
  private final VideoTransformer transformer;
  private final DenoisingLoop loop;
  private final String description;
  private final List<RunInputs> samples;
  private final long[] latentShape;
  private final Sequence sequence;
  private final AttentionPlan dense;
  private final int layers;
  private final int branches;

  /**
   * @param scheduler of every run; not used elsewhere while this is
   * @param latentShape of the noise, as the transformer takes it
   * @param samples all with a negative prompt, or none
   */
  public DenoiserSource(
      Backend backend,
      VideoTransformer transformer,
      Scheduler scheduler,
      Guidance guidance,
      long[] latentShape,
      List<RunInputs> samples) {
    if (samples.isEmpty()) {
      throw new IllegalArgumentException("a source needs at least one sample");
    }
    this.transformer = transformer;
    this.samples = List.copyOf(samples);
    this.latentShape = latentShape.clone();
    loop = new DenoisingLoop(transformer, scheduler, guidance);
    branches = samples.get(0).negative() == null ? 1 : 2;
    int text = samples.get(0).prompt().textTokens();
    for (RunInputs sample : samples) {
      if ((sample.negative() == null ? 1 : 2) != branches) {
        throw new IllegalArgumentException(
            "either all samples have a negative prompt, or none has one");
      }
      requireSequence(sample.prompt(), text);
      if (branches == 2) {
        requireSequence(sample.negative(), text);
      }
    }
    ModelShape shape = transformer.shape();
    sequence = transformer.sequence(latentShape, text);
    layers = shape.layers();
    description =
        backend.arithmetic()
            + " "
            + shape
            + " "
            + sequence
            + " "
            + transformer.type()
            + " "
            + scheduler.schedule()
            + " "
            + scheduler.fingerprint()
            + " "
            + guidance
            + " "
            + Arrays.toString(latentShape);
    dense =
        backend.plan(
            sequence,
            transformer.type(),
            shape.headDim(),
            128,
            Collections.nCopies(shape.heads(), Pattern.full()));
  }

  private void requireSequence(Conditioning conditioning, int text) {
    int tokens = conditioning.textTokens();
    if (!transformer
        .sequence(latentShape, tokens)
        .equals(transformer.sequence(latentShape, text))) {
      throw new IllegalArgumentException(
          "all prompts must have %d text tokens, as the first has, since this model's self-attention sees them; one has %d"
              .formatted(text, tokens));
    }
  }

  @Override
  public ModelShape model() {
    return transformer.shape();
  }

  @Override
  public Sequence sequence() {
    return sequence;
  }

  @Override
  public ElementType type() {
    return transformer.type();
  }

  @Override
  public Schedule schedule() {
    return loop.schedule();
  }

  @Override
  public List<Integer> networkStarts() {
    List<Double> timesteps = schedule().timesteps();
    return IntStream.range(1, timesteps.size())
        .filter(step -> timesteps.get(step - 1) >= transformer.boundary())
        .filter(step -> timesteps.get(step) < transformer.boundary())
        .boxed()
        .toList();
  }

  @Override
  public String checkpointSha256() {
    return transformer.checkpointSha256();
  }

  @Override
  public int samples() {
    return samples.size();
  }

  @Override
  public long points() {
    return (long) samples.size() * schedule().steps() * layers * branches;
  }

  @Override
  public String sha256() {
    Sha256 digest = new Sha256().update(transformer.fingerprint() + " " + description);
    for (RunInputs sample : samples) {
      digest.update(" seed " + sample.seed());
      update(digest, sample.noise());
      update(digest, sample.prompt());
      if (sample.negative() != null) {
        update(digest, sample.negative());
      }
    }
    return digest.hex();
  }

  static Sha256 update(Sha256 digest, Conditioning c) {
    digest.update(" " + c.textValid() + " " + c.guidance() + " " + c.offset());
    for (Conditioning.Part part : Conditioning.Part.values()) {
      Tensor tensor = c.part(part);
      digest.update((byte) (tensor == null ? 0 : 1)); // which parts there are
      update(digest, tensor);
    }
    return digest;
  }

  static Sha256 update(Sha256 digest, Tensor tensor) {
    if (tensor != null) {
      digest.update(tensor.toString());
      byte[] bytes = new byte[Math.toIntExact(tensor.elements() * tensor.type().bytes())];
      tensor.copyTo(MemorySegment.ofArray(bytes));
      digest.update(bytes);
    }
    return digest;
  }

  @Override
  public void visit(Visitor visitor) {
    int steps = schedule().steps();
    try (Arena arena = Arena.ofShared()) {
      long elements = Arrays.stream(latentShape).reduce(1, Math::multiplyExact);
      Tensor latents =
          Tensor.of(
              arena.allocate(ValueLayout.JAVA_FLOAT, elements), ElementType.FP32, latentShape);
      for (int sample = 0; sample < samples.size(); sample++) {
        boolean[] wanted = new boolean[steps * branches * layers];
        int stepsToRun = 0;
        for (int step = 0; step < steps; step++) {
          for (int branch = 0; branch < branches; branch++) {
            for (int layer = 0; layer < layers; layer++) {
              if (visitor.wants(new Key(sample, step, layer, branch))) {
                wanted[(step * branches + branch) * layers + layer] = true;
                stepsToRun = step + 1;
              }
            }
          }
        }
        if (stepsToRun > 0) {
          Noise.fill(latents, samples.get(sample).seed(), samples.get(sample).noise());
          run(sample, latents, wanted, stepsToRun, visitor);
        }
      }
    }
  }

  private void run(int sample, Tensor latents, boolean[] wanted, int steps, Visitor visitor) {
    RunInputs inputs = samples.get(sample);
    AttentionFunction plain = AttentionProvider.of(dense).at(0, 0);
    AttentionProvider attention =
        (step, branch) -> {
          double timestep = schedule().timesteps().get(step);
          return (layer, q, k, v, textValid, out) -> {
            if (wanted[(step * branches + branch) * layers + layer]) {
              visitor.accept(
                  new Point(
                      new Key(sample, step, layer, branch),
                      timestep,
                      q,
                      k,
                      v,
                      transformer.outProjection(timestep, layer),
                      textValid == null ? null : textValid.clone()));
            }
            plain.attend(layer, q, k, v, textValid, out);
          };
        };
    loop.run(latents, inputs.prompt(), inputs.negative(), attention, DenoisingProgress.NONE, steps);
  }

  @Override
  public void close() {
    dense.close();
  }
}

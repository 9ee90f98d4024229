package io.github.sparsevdit.jmh;

import io.github.sparsevdit.pattern.ModelShape;
import io.github.sparsevdit.pattern.Schedule;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.search.capture.CalibrationSource;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.random.RandomGenerator;
import java.util.random.RandomGeneratorFactory;

/** Calibration points in memory: a model of one layer, one step, two samples. */
final class RandomPoints implements CalibrationSource {
  /** How many. */
  static final int POINTS = 2;

  private final Arena arena = Arena.ofShared();
  private final Sequence sequence;
  private final ElementType type;
  private final ModelShape model;
  private final List<Point> points = new ArrayList<>();

  RandomPoints(Sequence sequence, ElementType type, int heads, int headDim) {
    this.sequence = sequence;
    this.type = type;
    model = new ModelShape("random", 1, heads, headDim);
    RandomGenerator random = RandomGeneratorFactory.of("L64X128MixRandom").create(11);
    for (int sample = 0; sample < POINTS; sample++) {
      Key key = new Key(sample, 0, 0, 0);
      double timestep = schedule().timesteps().get(0);
      points.add(
          new Point(key, timestep, tensor(random), tensor(random), tensor(random), null, null));
    }
  }

  List<Point> all() {
    return points;
  }

  @Override
  public ModelShape model() {
    return model;
  }

  @Override
  public Sequence sequence() {
    return sequence;
  }

  @Override
  public ElementType type() {
    return type;
  }

  @Override
  public Schedule schedule() {
    return new Schedule(List.of(999.0));
  }

  @Override
  public int samples() {
    return POINTS;
  }

  @Override
  public long points() {
    return POINTS;
  }

  @Override
  public String sha256() {
    return "0".repeat(64);
  }

  @Override
  public void visit(Visitor visitor) {
    for (Point point : points) {
      if (visitor.wants(point.key())) {
        visitor.accept(point);
      }
    }
  }

  @Override
  public void close() {
    arena.close();
  }

  private Tensor tensor(RandomGenerator random) {
    int count = model.heads() * sequence.tokens() * model.headDim();
    return Tensor.of(
            arena.allocate((long) count * type.bytes(), 64),
            type,
            1,
            model.heads(),
            sequence.tokens(),
            model.headDim())
        .copyFrom(Inputs.gaussian(random, count));
  }
}

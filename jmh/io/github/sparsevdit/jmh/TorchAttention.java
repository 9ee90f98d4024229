package io.github.sparsevdit.jmh;

import ai.djl.MalformedModelException;
import ai.djl.Model;
import ai.djl.inference.Predictor;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import ai.djl.translate.NoopTranslator;
import ai.djl.translate.TranslateException;
import io.github.sparsevdit.tensor.ElementType;
import java.io.IOException;
import java.io.UncheckedIOException;

/**
 * PyTorch's {@code scaled_dot_product_attention} through DJL, on views of [S, H, D] tensors. The
 * engine takes its threads from {@code ai.djl.pytorch.num_threads} and downloads nothing: its
 * native library is on the class path.
 */
final class TorchAttention implements Attention {
  static {
    System.setProperty("ai.djl.offline", "true");
    System.setProperty("ai.djl.pytorch.num_threads", Integer.toString(THREADS));
    System.setProperty("ai.djl.pytorch.num_interop_threads", "1");
    System.setProperty("OPT_OUT_TRACKING", "true");
  }

  /** A TorchScript module and what calls it. */
  private record Module(Model model, Predictor<NDList, NDList> predictor) implements AutoCloseable {
    static Module of(String expression) {
      Model model = Model.newInstance("attention", "PyTorch");
      try {
        model.load(TorchModel.of(expression));
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      } catch (MalformedModelException e) {
        throw new IllegalStateException(e);
      }
      return new Module(model, model.newPredictor(new NoopTranslator()));
    }

    NDList apply(NDList inputs) {
      try {
        return predictor.predict(inputs);
      } catch (TranslateException e) {
        throw new IllegalStateException(e);
      }
    }

    @Override
    public void close() {
      predictor.close();
      model.close();
    }
  }

  private final ElementType type;
  private final Module attention = Module.of(TorchModel.ATTENTION);
  private final NDManager manager;
  private final NDList inputs;
  private NDList outputs = new NDList();

  TorchAttention(Inputs from, ElementType type) {
    this.type = type;
    manager = attention.model.getNDManager().newSubManager();
    inputs = new NDList(tensor(from, from.q), tensor(from, from.k), tensor(from, from.v));
  }

  @Override
  public ElementType type() {
    return type;
  }

  @Override
  public void run() {
    outputs.close();
    outputs = attention.apply(inputs);
  }

  @Override
  public float[] output() {
    try (NDArray stored =
        converted(outputs.singletonOrThrow(), TorchModel.TO_FP32).transpose(0, 2, 1, 3)) {
      return stored.toFloatArray();
    }
  }

  @Override
  public void close() {
    outputs.close();
    manager.close();
    attention.close();
  }

  private NDArray tensor(Inputs from, float[] values) {
    NDArray stored =
        manager.create(values, new Shape(1, from.sequence.tokens(), from.heads, from.headDim));
    return converted(stored.transpose(0, 2, 1, 3), TorchModel.TO_BF16);
  }

  private NDArray converted(NDArray tensor, String expression) {
    if (type == ElementType.FP32) {
      return tensor;
    }
    try (Module module = Module.of(expression)) {
      NDArray converted = module.apply(new NDList(tensor, tensor, tensor)).singletonOrThrow();
      converted.attach(manager);
      return converted;
    }
  }
}

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
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;

/**
 * A TorchScript program of many tensors through DJL: what else PyTorch would be asked from Python.
 */
public final class TorchProgram implements AutoCloseable {
  private final Model model;
  private final Predictor<NDList, NDList> predictor;

  private TorchProgram(Model model) {
    this.model = model;
    predictor = model.newPredictor(new NoopTranslator());
  }

  /** Compiled from the text of a forward function. */
  private static TorchProgram of(String forward) {
    Model model = Model.newInstance("attention", "PyTorch");
    try {
      model.load(TorchModel.program(forward));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (MalformedModelException e) {
      throw new IllegalStateException(e);
    }
    return new TorchProgram(model);
  }

  /** Runs it; the outputs are the caller's, who closes them by way of the session. */
  public List<Object> run(List<Object> inputs) {
    NDList list = new NDList();
    inputs.forEach(input -> list.add((NDArray) input));
    try {
      NDList outputs = predictor.predict(list);
      return new ArrayList<>(outputs);
    } catch (TranslateException e) {
      throw new IllegalStateException(e);
    }
  }

  @Override
  public void close() {
    predictor.close();
    model.close();
  }

  /** Begins a session of so many threads, whose tensors are of a type. */
  public static Session session(int threads, ElementType type) {
    System.setProperty("ai.djl.offline", "true");
    System.setProperty("ai.djl.pytorch.num_threads", Integer.toString(threads));
    System.setProperty("ai.djl.pytorch.num_interop_threads", "1");
    System.setProperty("OPT_OUT_TRACKING", "true");
    return new Session(type);
  }

  /** Tensors, and what runs on them. */
  public static final class Session implements AutoCloseable {
    private final NDManager manager = NDManager.newBaseManager("PyTorch");
    private final ElementType type;
    private final TorchProgram toBf16 =
        of(
            "def forward(self: __torch__.Attention,\n    q: Tensor) -> Tensor:\n  return "
                + TorchModel.TO_BF16
                + "\n");
    private final TorchProgram toFp32 =
        of(
            "def forward(self: __torch__.Attention,\n    q: Tensor) -> Tensor:\n  return "
                + TorchModel.TO_FP32
                + "\n");

    private Session(ElementType type) {
      this.type = type;
    }

    /** A tensor of the session's type. */
    public Object tensor(float[] values, long... shape) {
      NDArray tensor = manager.create(values, new Shape(shape));
      if (type == ElementType.FP32) {
        return tensor;
      }
      NDArray converted = (NDArray) toBf16.run(List.of(tensor)).getFirst();
      converted.attach(manager);
      tensor.close();
      return converted;
    }

    public float[] floats(Object tensor) {
      NDArray wide = (NDArray) toFp32.run(List.of(tensor)).getFirst();
      return wide.toFloatArray();
    }

    public void close(Object tensor) {
      ((NDArray) tensor).close();
    }

    /** A program from the text of its forward function. */
    public TorchProgram compile(String forward, int inputs) {
      return of(forward);
    }

    @Override
    public void close() {
      toBf16.close();
      toFp32.close();
      manager.close();
    }
  }

  public static byte[] bytes(float[] values) {
    ByteBuffer buffer = ByteBuffer.allocate(values.length * 4).order(ByteOrder.LITTLE_ENDIAN);
    buffer.asFloatBuffer().put(values);
    return buffer.array();
  }

  public static float[] floats(byte[] bytes) {
    float[] values = new float[bytes.length / 4];
    ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().get(values);
    return values;
  }
}

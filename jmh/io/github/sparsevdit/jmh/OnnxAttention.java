package io.github.sparsevdit.jmh;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import io.github.sparsevdit.tensor.ElementType;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.Map;

/**
 * ONNX Runtime's {@code MultiHeadAttention} in fp32: tensors over direct buffers, the output
 * written where it is wanted.
 */
final class OnnxAttention implements Attention {
  private final OrtEnvironment environment = OrtEnvironment.getEnvironment();
  private final OrtSession session;
  private final Map<String, OnnxTensor> tensors;
  private final Map<String, OnnxTensor> outputs;
  private final FloatBuffer out;

  OnnxAttention(Inputs inputs) {
    byte[] model =
        OnnxModel.multiHeadAttention(inputs.sequence.tokens(), inputs.heads, inputs.headDim);
    long[] shape = {1, inputs.sequence.tokens(), (long) inputs.heads * inputs.headDim};
    try (OrtSession.SessionOptions options = new OrtSession.SessionOptions()) {
      options.setIntraOpNumThreads(THREADS);
      options.setInterOpNumThreads(1);
      options.setOptimizationLevel(OrtSession.SessionOptions.OptLevel.ALL_OPT);
      session = environment.createSession(model, options);
      tensors =
          Map.of(
              "q", OnnxTensor.createTensor(environment, buffer(inputs.q), shape),
              "k", OnnxTensor.createTensor(environment, buffer(inputs.k), shape),
              "v", OnnxTensor.createTensor(environment, buffer(inputs.v), shape));
      out = buffer(new float[inputs.q.length]);
      outputs = Map.of("out", OnnxTensor.createTensor(environment, out, shape));
    } catch (OrtException e) {
      throw new IllegalStateException(e);
    }
  }

  @Override
  public ElementType type() {
    return ElementType.FP32;
  }

  @Override
  public void run() {
    try (OrtSession.Result result = session.run(tensors, outputs)) {
      if (result.size() != 1) {
        throw new IllegalStateException("one output was expected: " + result.size());
      }
    } catch (OrtException e) {
      throw new IllegalStateException(e);
    }
  }

  @Override
  public float[] output() {
    float[] values = new float[out.capacity()];
    out.get(0, values);
    return values;
  }

  @Override
  public void close() {
    tensors.values().forEach(OnnxTensor::close);
    outputs.values().forEach(OnnxTensor::close);
    try {
      session.close();
    } catch (OrtException e) {
      throw new IllegalStateException(e);
    }
  }

  private static FloatBuffer buffer(float[] values) {
    return ByteBuffer.allocateDirect(values.length * Float.BYTES)
        .order(ByteOrder.nativeOrder())
        .asFloatBuffer()
        .put(0, values);
  }
}

package io.github.sparsevdit.model.parts;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.BackendUnavailableException;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** The same as {@link EncoderOperationsTest} on a CUDA device. */
@Tag("cuda")
class CudaEncoderOperationsTest {
  @Test
  void onTheDevice() {
    try {
      Backend.probe(Backend.Kind.CUDA, 0);
    } catch (BackendUnavailableException none) {
      assumeTrue(false, none.getMessage());
    }
    try (Backend backend = Backend.cuda(0)) {
      new EncoderOperationsTest.OperationChecks(backend).all();
    }
  }
}

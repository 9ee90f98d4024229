package io.github.sparsevdit.model.parts;

import static org.junit.jupiter.api.Assertions.assertNull;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.internal.Resources;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.tensor.ElementType;
import org.junit.jupiter.api.Test;

class WorkspaceTest {
  private static final class Plain extends Workspace {
    Plain(Resources owned, Backend backend) {
      super(
          owned,
          backend,
          ElementType.FP32,
          new ModelDims(2, 64),
          Sequence.video(1, 2, 2),
          null,
          4,
          4);
    }
  }

  /** A model without RoPE passes no table. */
  @Test
  void closesWithoutARotaryTable() {
    try (Backend backend = Backend.cpu();
        Workspace plain = Resources.make(owned -> new Plain(owned, backend))) {
      assertNull(plain.rotary);
    }
  }
}

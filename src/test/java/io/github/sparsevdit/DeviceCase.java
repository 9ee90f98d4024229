package io.github.sparsevdit;

import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/**
 * A random call with its tensors on a CUDA device; the host's copies and the float64 reference are
 * those of the random case. What is written there first is NaN.
 */
final class DeviceCase implements AutoCloseable {
  final RandomCase host;
  final Tensor q;
  final Tensor k;
  final Tensor v;
  final Tensor out;
  final Tensor lse;
  private final List<Tensor> owned = new ArrayList<>();

  /** Small, of what CUDA computes. host is a backend of the CPU. */
  DeviceCase(long seed, Backend cpu, Backend cuda) {
    this(seed, seed % 2 == 0 ? ElementType.BF16 : ElementType.FP16, cpu, cuda);
  }

  /** The same in that type. */
  DeviceCase(long seed, ElementType type, Backend cpu, Backend cuda) {
    host = new RandomCase(seed, type, cpu, 4, new int[] {64, 128}, new int[] {64, 128});
    q = copy(cuda, host.q);
    k = copy(cuda, host.k);
    v = copy(cuda, host.v);
    out = copy(cuda, host.out);
    lse = copy(cuda, host.lse);
    poison();
  }

  AttentionPlan plan(Backend backend) {
    return host.plan(backend);
  }

  /** A call of plan with what the case says beside the tensors. */
  AttentionCall call(AttentionPlan plan) {
    return plan.call().lse(lse).textValid(host.textValid).scale(host.scale);
  }

  /** Writes NaN to out and lse. */
  void poison() {
    for (Tensor tensor : List.of(out, lse)) {
      long bytes = tensor.elements() * tensor.type().bytes();
      try (Arena arena = Arena.ofConfined()) {
        memory(tensor).copyFrom(arena.allocate(bytes).fill((byte) 0xff));
      }
    }
  }

  /** Throws unless out and lse, as the device holds them now, keep the accuracy bound. */
  void requireAccurate() {
    fetch(out, host.out);
    fetch(lse, host.lse);
    host.requireAccurate(host.type);
  }

  /** Fills the host's tensor with the device's elements. */
  private void fetch(Tensor device, Tensor host) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment bytes = arena.allocate(device.elements() * device.type().bytes(), 16);
      memory(device).copyTo(bytes);
      Tensor same = Tensor.of(bytes, device.type(), memory(device).shape());
      host.copyFrom(this.host.tokensBeforeHeads && host.rank() == 4 ? same.transpose(1, 2) : same);
    }
  }

  private Tensor copy(Backend cuda, Tensor from) {
    Tensor plain = memory(from);
    Tensor memory = cuda.allocate(plain.type(), plain.shape());
    owned.add(memory);
    memory.copyFrom(plain.segment());
    return host.tokensBeforeHeads && from.rank() == 4 ? memory.transpose(1, 2) : memory;
  }

  /** As it lies in memory, contiguous. */
  private Tensor memory(Tensor tensor) {
    return host.tokensBeforeHeads && tensor.rank() == 4 ? tensor.transpose(1, 2) : tensor;
  }

  @Override
  public void close() {
    owned.forEach(Tensor::close);
    host.close();
  }

  @Override
  public String toString() {
    return host.toString();
  }
}

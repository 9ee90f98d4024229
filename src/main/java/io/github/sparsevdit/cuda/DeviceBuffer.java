package io.github.sparsevdit.cuda;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.internal.Access;
import io.github.sparsevdit.internal.DeviceCopy;
import io.github.sparsevdit.internal.Memory;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;
import java.lang.foreign.MemorySegment;

/**
 * Plain bytes where a backend computes: allocated by {@link Backend#buffer}, or wrapped from
 * another library on the same device. Tensors view it ({@link #tensor}), and a call's {@code
 * textValid} may be in it.
 *
 * <p>Works from any thread.
 */
public final class DeviceBuffer implements AutoCloseable {
  static {
    Access.ofBuffers(buffer -> ((DeviceBuffer) buffer).memory, DeviceBuffer::new);
  }

  private final Memory memory;

  private DeviceBuffer(Memory memory) {
    this.memory = memory;
  }

  /**
   * Memory of a CUDA device that another library owns. It is not freed here; closing the result
   * waits for the work that uses it, and refuses more. The caller waits for work of the other
   * library's streams.
   *
   * @param address where it begins, on the device; attention needs multiples of 16
   * @param bytes how long it is
   * @param device the CUDA device it is on
   * @param owner retained (reachable) as long as the buffer or a tensor over it is, and until the
   *     work of this library that uses it is done; null if the caller ensures that
   */
  public static DeviceBuffer wrap(long address, long bytes, int device, Object owner) {
    CudaStream.requireDevice(device);
    if (address == 0) {
      throw new IllegalArgumentException("address is 0: expected memory of CUDA device " + device);
    }
    if (bytes < 1 || address > 0 && address + bytes < 0) {
      throw new IllegalArgumentException(
          "bytes is " + bytes + ": expected at least one, and no more than there are addresses");
    }
    return new DeviceBuffer(Memory.wrap(address, bytes, device, owner));
  }

  /** Where it begins. */
  public long address() {
    return memory.address();
  }

  /** How long it is. */
  public long bytes() {
    return memory.bytes();
  }

  /** A contiguous tensor over the first bytes. It owns nothing. */
  public Tensor tensor(ElementType type, long... shape) {
    return tensor(0, type, shape);
  }

  /** A contiguous tensor over the bytes from offset on. It owns nothing. */
  public Tensor tensor(long offset, ElementType type, long... shape) {
    return Access.<Tensor, ElementType>tensors().over(memory, offset, type, shape);
  }

  /** Fills the first bytes with values, in stream order after the work that uses the buffer. */
  public void copyFrom(int... values) {
    copyFrom(MemorySegment.ofArray(values));
  }

  /** Fills the first bytes with those of host; done when it returns. */
  public void copyFrom(MemorySegment host) {
    requireRoom(host);
    if (memory.device() == Memory.HOST) {
      MemorySegment.copy(host, 0, memory.segment(), 0, host.byteSize());
    } else {
      DeviceCopy.toDevice(memory, 0, host);
    }
  }

  /** Fills host with the first bytes, once the work that uses the buffer is done. */
  public void copyTo(MemorySegment host) {
    requireRoom(host);
    if (memory.device() == Memory.HOST) {
      MemorySegment.copy(memory.segment(), 0, host, 0, host.byteSize());
    } else {
      DeviceCopy.toHost(memory, 0, host);
    }
  }

  /**
   * Waits for the work that uses it; then frees what was allocated, and refuses further use. May be
   * called twice.
   */
  @Override
  public void close() {
    memory.close();
  }

  @Override
  public String toString() {
    return memory + " at 0x" + Long.toHexString(memory.address());
  }

  private void requireRoom(MemorySegment host) {
    if (!memory.alive()) {
      throw new IllegalStateException("the buffer is closed");
    }
    if (host.byteSize() > memory.bytes()) {
      throw new IllegalArgumentException(
          "the segment has " + host.byteSize() + " bytes; the buffer " + memory.bytes());
    }
  }
}

package io.github.sparsevdit.tensor;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * Another library's side of DLPack, written out byte by byte from the published header (dlpack.h of
 * 1.0) and from nothing of this library's.
 */
final class ForeignTensor {
  private static final FunctionDescriptor DELETER = FunctionDescriptor.ofVoid(ValueLayout.ADDRESS);

  final MemorySegment struct;
  private final ByteBuffer bytes;
  private final int tensor;
  private volatile int deleted;
  private volatile long deletedAddress;

  /** A managed tensor whose deleter counts its calls. */
  ForeignTensor(
      Arena arena, boolean versioned, long data, int device, int code, int bits, long... shape) {
    struct = arena.allocate(versioned ? 80 : 64, 8);
    bytes = struct.asByteBuffer().order(ByteOrder.LITTLE_ENDIAN);
    tensor = versioned ? 32 : 0;
    if (versioned) {
      bytes.putInt(0, 1).putInt(4, 1); // version 1.1
    }
    bytes.putLong(versioned ? 16 : 56, deleter(arena));
    bytes.putLong(tensor, data);
    bytes.putInt(tensor + 8, device).putInt(tensor + 12, 0);
    bytes.putInt(tensor + 16, shape.length);
    bytes.put(tensor + 20, (byte) code).put(tensor + 21, (byte) bits);
    bytes.putShort(tensor + 22, (short) 1);
    bytes.putLong(tensor + 24, arena.allocateFrom(ValueLayout.JAVA_LONG, shape).address());
  }

  ForeignTensor strides(Arena arena, long... strides) {
    bytes.putLong(tensor + 32, arena.allocateFrom(ValueLayout.JAVA_LONG, strides).address());
    return this;
  }

  ForeignTensor byteOffset(long offset) {
    bytes.putLong(tensor + 40, offset);
    return this;
  }

  ForeignTensor putInt(int offset, int value) {
    bytes.putInt(offset, value);
    return this;
  }

  ForeignTensor putShort(int offset, int value) {
    bytes.putShort(offset, (short) value);
    return this;
  }

  /** How often the deleter was called, each time with this struct. */
  int deleted() {
    return deletedAddress == struct.address() || deleted == 0 ? deleted : -1;
  }

  /** What a consumer does with a struct that it is done with. */
  static void delete(MemorySegment struct, boolean versioned) throws Throwable {
    long deleter = struct.get(ValueLayout.JAVA_LONG, versioned ? 16 : 56);
    MethodHandle call =
        Linker.nativeLinker().downcallHandle(MemorySegment.ofAddress(deleter), DELETER);
    call.invokeExact(struct);
  }

  private long deleter(Arena arena) {
    try {
      MethodHandle handle =
          MethodHandles.lookup()
              .bind(this, "onDelete", MethodType.methodType(void.class, MemorySegment.class));
      return Linker.nativeLinker().upcallStub(handle, DELETER, arena).address();
    } catch (ReflectiveOperationException e) {
      throw new AssertionError(e);
    }
  }

  private synchronized void onDelete(MemorySegment self) {
    deletedAddress = self.address();
    deleted++;
  }
}

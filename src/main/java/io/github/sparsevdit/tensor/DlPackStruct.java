package io.github.sparsevdit.tensor;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * A managed tensor of DLPack 1.x as it lies in memory (dmlc/dlpack, include/dlpack/dlpack.h):
 * DLManagedTensor, or DLManagedTensorVersioned, which has a version and flags and puts the tensor
 * last. Offsets are those of 64-bit platforms.
 */
final class DlPackStruct {
  static final int MAJOR = 1;
  static final int MINOR = 0;
  static final long READ_ONLY = 1;
  static final int CPU = 1;
  static final int CUDA = 2;
  static final int FLOAT = 2;
  static final int BFLOAT = 4;

  private static final long TENSOR_BYTES = 48;
  private static final long UNVERSIONED_BYTES = TENSOR_BYTES + 16;
  private static final long VERSIONED_BYTES = 32 + TENSOR_BYTES;
  private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG;
  private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT;

  private final MemorySegment struct;
  private final boolean versioned;
  private final long tensor; // where the DLTensor begins

  private DlPackStruct(MemorySegment struct, boolean versioned) {
    this.struct = struct;
    this.versioned = versioned;
    this.tensor = versioned ? 32 : 0;
  }

  static long bytes(boolean versioned) {
    return versioned ? VERSIONED_BYTES : UNVERSIONED_BYTES;
  }

  /** At the address of pointer, however long that segment is. */
  static DlPackStruct at(MemorySegment pointer, boolean versioned) {
    return new DlPackStruct(pointer.reinterpret(bytes(versioned)), versioned);
  }

  MemorySegment segment() {
    return struct;
  }

  int major() {
    return struct.get(INT, 0);
  }

  int minor() {
    return struct.get(INT, 4);
  }

  void version(int major, int minor) {
    struct.set(INT, 0, major);
    struct.set(INT, 4, minor);
  }

  long context() {
    return struct.get(LONG, versioned ? 8 : TENSOR_BYTES);
  }

  void context(long context) {
    struct.set(LONG, versioned ? 8 : TENSOR_BYTES, context);
  }

  long deleter() {
    return struct.get(LONG, versioned ? 16 : TENSOR_BYTES + 8);
  }

  void deleter(long address) {
    struct.set(LONG, versioned ? 16 : TENSOR_BYTES + 8, address);
  }

  /** 0 where it has none. */
  long flags() {
    return versioned ? struct.get(LONG, 24) : 0;
  }

  void flags(long flags) {
    struct.set(LONG, 24, flags);
  }

  long data() {
    return struct.get(LONG, tensor);
  }

  void data(long address) {
    struct.set(LONG, tensor, address);
  }

  int deviceType() {
    return struct.get(INT, tensor + 8);
  }

  int deviceId() {
    return struct.get(INT, tensor + 12);
  }

  void device(int type, int id) {
    struct.set(INT, tensor + 8, type);
    struct.set(INT, tensor + 12, id);
  }

  int rank() {
    return struct.get(INT, tensor + 16);
  }

  void rank(int rank) {
    struct.set(INT, tensor + 16, rank);
  }

  int typeCode() {
    return struct.get(ValueLayout.JAVA_BYTE, tensor + 20) & 0xff;
  }

  int typeBits() {
    return struct.get(ValueLayout.JAVA_BYTE, tensor + 21) & 0xff;
  }

  int typeLanes() {
    return struct.get(ValueLayout.JAVA_SHORT, tensor + 22) & 0xffff;
  }

  void type(int code, int bits) {
    struct.set(ValueLayout.JAVA_BYTE, tensor + 20, (byte) code);
    struct.set(ValueLayout.JAVA_BYTE, tensor + 21, (byte) bits);
    struct.set(ValueLayout.JAVA_SHORT, tensor + 22, (short) 1);
  }

  long[] shape() {
    return longs(struct.get(LONG, tensor + 24));
  }

  /** Null where it has none: row-major without gaps. */
  long[] strides() {
    long address = struct.get(LONG, tensor + 32);
    return address == 0 ? null : longs(address);
  }

  /** Both outlive the struct. */
  void shape(MemorySegment shape, MemorySegment strides) {
    struct.set(LONG, tensor + 24, shape.address());
    struct.set(LONG, tensor + 32, strides.address());
  }

  long byteOffset() {
    return struct.get(LONG, tensor + 40);
  }

  void byteOffset(long bytes) {
    struct.set(LONG, tensor + 40, bytes);
  }

  private long[] longs(long address) {
    return rank() == 0
        ? new long[0]
        : MemorySegment.ofAddress(address).reinterpret(rank() * 8L).toArray(LONG);
  }
}

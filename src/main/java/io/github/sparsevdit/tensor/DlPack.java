package io.github.sparsevdit.tensor;

import io.github.sparsevdit.internal.Access;
import io.github.sparsevdit.internal.BackendHandle;
import io.github.sparsevdit.internal.Memory;
import java.lang.System.Logger.Level;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.util.Arrays;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Tensors from and to other libraries by DLPack 1.x, without a copy: CPU and CUDA memory; BF16,
 * FP16 and FP32. DLPack has two structs that only the caller can tell apart:
 * DLManagedTensorVersioned ({@code importVersioned}, {@code exportVersioned}; Python's capsule
 * {@code "dltensor_versioned"}) and the older DLManagedTensor ({@code importTensor}, {@code
 * export}; {@code "dltensor"}).
 *
 * <p>Importing takes ownership of the struct. Closing the tensor calls its deleter once, on any
 * thread, when no call and no stream's work uses the memory any more. A refused import takes no
 * ownership. Exporting gives ownership of a struct to the consumer, who calls its deleter once,
 * from any thread. Until then memory that a tensor owns is retained, even if the tensor is closed.
 * A caller's own segment must stay open.
 *
 * <p>Callers order CUDA work. Importing does not wait: the producer's queued work must be done.
 * Exporting waits for the work of this library that uses the tensor.
 */
public final class DlPack {
  private static final System.Logger LOGGER = System.getLogger("io.github.sparsevdit");
  private static final int MAX_RANK = 64;

  private static final FunctionDescriptor DELETER = FunctionDescriptor.ofVoid(ValueLayout.ADDRESS);
  private static final MethodHandle CALL_DELETER = Linker.nativeLinker().downcallHandle(DELETER);

  private static final Map<Long, Export> EXPORTS = new ConcurrentHashMap<>(); // by manager_ctx
  private static final AtomicLong NEXT_EXPORT = new AtomicLong(1);

  private DlPack() {}

  /** What a struct that was given away keeps until its deleter is called. */
  private record Export(Memory memory, Arena arena) {}

  /**
   * The tensor of a DLManagedTensor. The caller closes it.
   *
   * @param managedTensor its address; the segment may have any size
   */
  public static Tensor importTensor(MemorySegment managedTensor) {
    return importStruct(managedTensor, false);
  }

  /** The same for a DLManagedTensorVersioned of version 1.x. */
  public static Tensor importVersioned(MemorySegment managedTensor) {
    return importStruct(managedTensor, true);
  }

  /**
   * A DLManagedTensor of tensor, which has no flags: a read-only tensor is refused. The consumer
   * calls its deleter.
   */
  public static MemorySegment export(Tensor tensor) {
    return exportStruct(tensor, false);
  }

  /** A DLManagedTensorVersioned of tensor, of version 1.0; read-only where tensor is. */
  public static MemorySegment exportVersioned(Tensor tensor) {
    return exportStruct(tensor, true);
  }

  /** How many exported structs' deleters have not been called. */
  public static int exported() {
    return EXPORTS.size();
  }

  private static Tensor importStruct(MemorySegment pointer, boolean versioned) {
    if (pointer.address() == 0) {
      throw new IllegalArgumentException("the DLPack tensor is NULL");
    }
    DlPackStruct struct = DlPackStruct.at(pointer, versioned);
    if (versioned && struct.major() != DlPackStruct.MAJOR) {
      throw new IllegalArgumentException(
          "a tensor of DLPack " + struct.major() + "." + struct.minor() + ": expected version 1.x");
    }
    if ((struct.flags() & DlPackStruct.READ_ONLY) != 0) {
      throw new IllegalArgumentException(
          "the DLPack tensor's flags are "
              + struct.flags()
              + ", READ_ONLY: expected one that may be written; export a copy");
    }
    int device = device(struct);
    ElementType type = type(struct);
    if (struct.rank() < 0 || struct.rank() > MAX_RANK) {
      throw new IllegalArgumentException(
          "the DLPack tensor has " + struct.rank() + " dimensions: expected 0 to " + MAX_RANK);
    }
    long[] shape = struct.shape();
    long contiguous = Tensor.bytes(type, shape);
    long[] strides = strides(struct.strides(), shape, contiguous);
    long bytes = Strides.spanBytes(type, contiguous, shape, strides);
    long address = struct.data() + struct.byteOffset();
    if (struct.data() == 0 && bytes > 0) {
      throw new IllegalArgumentException("the DLPack tensor's data is NULL");
    }
    long deleter = struct.deleter();
    Memory memory =
        Memory.imported(
            address,
            bytes,
            device,
            () -> delete(struct.segment(), deleter),
            "a DLPack tensor " + type + " " + Arrays.toString(shape));
    return Tensor.strided(memory, 0, type, shape, strides, true);
  }

  private static void delete(MemorySegment struct, long deleter) {
    if (deleter == 0) {
      return;
    }
    try {
      CALL_DELETER.invokeExact(MemorySegment.ofAddress(deleter), struct);
    } catch (Throwable failure) { // native code throws nothing
      throw new AssertionError(failure);
    }
  }

  private static int device(DlPackStruct struct) {
    if (struct.deviceType() == DlPackStruct.CPU) {
      return Memory.HOST;
    }
    if (struct.deviceType() == DlPackStruct.CUDA && struct.deviceId() >= 0) {
      BackendHandle.shared(struct.deviceId()); // BackendUnavailableException where there is none
      return struct.deviceId();
    }
    throw new IllegalArgumentException(
        "the DLPack tensor is on device type "
            + struct.deviceType()
            + ", id "
            + struct.deviceId()
            + ": expected 1 (kDLCPU) or 2 (kDLCUDA)");
  }

  private static ElementType type(DlPackStruct struct) {
    for (ElementType type : ElementType.values()) {
      if (type.tensorType() == type
          && struct.typeCode() == code(type)
          && struct.typeBits() == 8 * type.bytes()
          && struct.typeLanes() == 1) {
        return type;
      }
    }
    throw new IllegalArgumentException(
        "the DLPack tensor's type has code "
            + struct.typeCode()
            + ", "
            + struct.typeBits()
            + " bits, "
            + struct.typeLanes()
            + " lanes: expected BF16 (4, 16, 1), FP16 (2, 16, 1) or FP32 (2, 32, 1)");
  }

  private static int code(ElementType type) {
    return type == ElementType.BF16 ? DlPackStruct.BFLOAT : DlPackStruct.FLOAT;
  }

  /**
   * Those of dimensions that need none are what producers like; here they are the row-major ones.
   */
  private static long[] strides(long[] given, long[] shape, long contiguousBytes) {
    long[] strides = Tensor.rowMajor(shape);
    if (given != null && contiguousBytes > 0) {
      for (int dim = 0; dim < shape.length; dim++) {
        strides[dim] = shape[dim] > 1 ? given[dim] : strides[dim];
      }
    }
    return strides;
  }

  private static MemorySegment exportStruct(Tensor tensor, boolean versioned) {
    Memory memory = Access.memory(tensor);
    boolean readOnly = memory.segment().isReadOnly();
    if (readOnly && !versioned) {
      throw new IllegalArgumentException(
          tensor + " is read-only, which a DLManagedTensor cannot say: use exportVersioned()");
    }
    memory.retain();
    try {
      memory.awaitWork();
      Arena arena = Arena.ofAuto(); // freed once nobody refers to it: the map does until the end
      MemorySegment segment = arena.allocate(DlPackStruct.bytes(versioned), 8);
      DlPackStruct struct = DlPackStruct.at(segment, versioned);
      boolean host = memory.device() == Memory.HOST;
      long[] strides = new long[tensor.rank()];
      Arrays.setAll(strides, tensor::stride);
      struct.data(tensor.address());
      struct.device(host ? DlPackStruct.CPU : DlPackStruct.CUDA, host ? 0 : memory.device());
      struct.rank(tensor.rank());
      struct.type(code(tensor.type()), 8 * tensor.type().bytes());
      struct.shape(
          arena.allocateFrom(ValueLayout.JAVA_LONG, tensor.shape()),
          arena.allocateFrom(ValueLayout.JAVA_LONG, strides));
      struct.byteOffset(0);
      struct.deleter(versioned ? Deleters.VERSIONED : Deleters.UNVERSIONED);
      if (versioned) {
        struct.version(DlPackStruct.MAJOR, DlPackStruct.MINOR);
        struct.flags(readOnly ? DlPackStruct.READ_ONLY : 0);
      }
      long id = NEXT_EXPORT.getAndIncrement();
      struct.context(id);
      EXPORTS.put(id, new Export(memory, arena));
      return MemorySegment.ofAddress(segment.address()).reinterpret(segment.byteSize());
    } catch (RuntimeException | Error failure) {
      memory.release();
      throw failure;
    }
  }

  /** Native function pointers, made with the first export and never freed. */
  private static final class Deleters {
    static final long UNVERSIONED = stub("deleteUnversioned");
    static final long VERSIONED = stub("deleteVersioned");

    private static long stub(String method) {
      try {
        MethodHandle handle =
            MethodHandles.lookup()
                .findStatic(
                    Deleters.class, method, MethodType.methodType(void.class, MemorySegment.class));
        return Linker.nativeLinker().upcallStub(handle, DELETER, Arena.global()).address();
      } catch (ReflectiveOperationException e) {
        throw new AssertionError(e);
      }
    }

    static void deleteUnversioned(MemorySegment struct) {
      delete(struct, false);
    }

    static void deleteVersioned(MemorySegment struct) {
      delete(struct, true);
    }

    /** Nothing may leave an upcall: it would end the process. */
    private static void delete(MemorySegment struct, boolean versioned) {
      try {
        long id = DlPackStruct.at(struct, versioned).context();
        Export export = EXPORTS.remove(id);
        if (export == null) {
          LOGGER.log(Level.WARNING, "a DLPack tensor's deleter was called twice");
        } else {
          export.memory().release();
        }
      } catch (Throwable failure) {
        LOGGER.log(Level.WARNING, "while giving back a DLPack tensor", failure);
      }
    }
  }
}

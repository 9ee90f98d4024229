package io.github.sparsevdit;

/**
 * What a backend runs on.
 *
 * @param kind CPU or CUDA
 * @param device the CUDA device; 0 on the CPU
 * @param threads threads that compute (CPU)
 * @param tier instructions in use (CPU), never AUTO but on CUDA
 * @param computeCapability 10 × major + minor (CUDA)
 * @param multiprocessors of the device (CUDA)
 * @param driverVersion the newest CUDA version the driver serves, 1000 × major + 10 × minor; 0
 *     without a driver
 * @param runtimeVersion the CUDA runtime built in, likewise; 0 without one
 * @param memoryBytes of the device, or of this machine
 * @param memoryFreeBytes when this was asked
 * @param memoryUsedBytes what tensors, buffers and workspaces of this backend take of it
 * @param pinnedBytes what its pinned tensors take of the host's memory (CUDA)
 * @param name of the device or processor
 */
public record BackendInfo(
    Backend.Kind kind,
    int device,
    int threads,
    CpuOptions.Tier tier,
    int computeCapability,
    int multiprocessors,
    int driverVersion,
    int runtimeVersion,
    long memoryBytes,
    long memoryFreeBytes,
    long memoryUsedBytes,
    long pinnedBytes,
    String name) {}

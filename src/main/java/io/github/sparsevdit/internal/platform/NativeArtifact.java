package io.github.sparsevdit.internal.platform;

/**
 * A jar that carries the native library for one platform. Its module provides this, only so that on
 * the module path it is resolved wherever this module is; the library itself is found as a
 * resource, as it is on the class path. Nobody calls the implementations.
 */
public interface NativeArtifact {}

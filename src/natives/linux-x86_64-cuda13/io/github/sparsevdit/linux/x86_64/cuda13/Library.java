package io.github.sparsevdit.linux.x86_64.cuda13;

import io.github.sparsevdit.internal.platform.NativeArtifact;

/** Makes the module of this jar known. */
public final class Library implements NativeArtifact {}

/** The native library of Sparse-vDiT for Linux on x86-64, with the CPU and the CUDA 13 backend. */
@SuppressWarnings("module") // a platform is named as it is, digits and all
module io.github.sparsevdit.linux.x86_64.cuda13 {
  requires io.github.sparsevdit;

  provides io.github.sparsevdit.internal.platform.NativeArtifact with
      io.github.sparsevdit.linux.x86_64.cuda13.Library;
}

package io.github.sparsevdit.internal;

import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;

/** The native library was loaded, or could not be. */
@Name("svdit.LibraryLoad")
@Label("Native Library Load")
@Category("Sparse-vDiT")
@Description("Loading the native library and comparing it with the bindings")
final class LibraryLoadEvent extends Event {
  @Label("Path")
  String path;

  @Label("Origin")
  @Description("By which way it was found")
  String origin;

  @Label("Build")
  String build;

  @Label("Failure")
  @Description("Why it could not be loaded")
  String failure;
}

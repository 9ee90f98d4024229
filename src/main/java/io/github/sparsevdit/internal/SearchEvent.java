package io.github.sparsevdit.internal;

import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/** A search measured its candidates, or was stopped. */
@Name("svdit.Search")
@Label("Search")
@Category("Sparse-vDiT")
@Description("Measuring the candidates of an offline search")
@StackTrace(false)
public final class SearchEvent extends Event {
  @Label("Model")
  public String model;

  @Label("Sequence")
  public String sequence;

  @Label("Samples")
  public int samples;

  @Label("Candidates")
  public int candidates;

  @Label("Finished")
  @Description("False where it was cancelled or failed")
  public boolean finished;
}

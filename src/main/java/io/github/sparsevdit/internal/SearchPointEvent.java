package io.github.sparsevdit.internal;

import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/** A search scored one calibration point. */
@Name("svdit.SearchPoint")
@Label("Search Point")
@Category("Sparse-vDiT")
@Description("Scoring the candidates on one calibration point")
@StackTrace(false)
public final class SearchPointEvent extends Event {
  @Label("Stage")
  public String stage;

  @Label("Sample")
  public int sample;

  @Label("Step")
  public int step;

  @Label("Layer")
  public int layer;

  @Label("Branch")
  @Description("0 conditional, 1 unconditional")
  public int branch;
}

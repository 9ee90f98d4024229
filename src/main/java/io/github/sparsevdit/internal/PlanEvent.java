package io.github.sparsevdit.internal;

import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;

/** A plan was built. */
@Name("svdit.Plan")
@Label("Attention Plan")
@Category("Sparse-vDiT")
@Description("Compiling one layer's patterns for a sequence, element type and backend")
public final class PlanEvent extends Event {
  @Label("Sequence")
  public String sequence;

  @Label("Element Type")
  public String type;

  @Label("Block")
  public int block;

  @Label("Heads")
  public int heads;

  @Label("Groups")
  @Description("Sets of heads that share a launch")
  public int groups;

  @Label("Patterns")
  @Description("The patterns chosen, one per head")
  public String patterns;

  @Label("Density")
  @Description("Mean over the heads")
  public double density;
}

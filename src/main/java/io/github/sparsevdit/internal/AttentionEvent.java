package io.github.sparsevdit.internal;

import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;

/** One attention call. */
@Name("svdit.Attention")
@Label("Attention")
@Category("Sparse-vDiT")
@Description("One layer's attention; heads by mode")
@StackTrace(false)
public final class AttentionEvent extends Event {
  /**
   * Asked before each call: as long as no recording wants the event it answers false at no cost.
   */
  public static final AttentionEvent PROBE = new AttentionEvent();

  @Label("Sequence")
  public String sequence;

  @Label("Batch")
  public int batch;

  @Label("Full Heads")
  public int full;

  @Label("Skipped Heads")
  public int skip;

  @Label("Diagonal Heads")
  public int diagonal;

  @Label("Multi-Diagonal Heads")
  public int multiDiagonal;

  @Label("Vertical Stripe Heads")
  public int verticalStripe;

  @Label("Block List Heads")
  public int blocks;

  @Label("Groups")
  public int groups;

  @Label("Density")
  @Description("Mean over the plan's heads, with all text valid")
  public double density;
}

package io.github.sparsevdit.model.parts;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.bindings.Svdit;
import io.github.sparsevdit.bindings.svdit_conv_args;
import io.github.sparsevdit.bindings.svdit_group_norm_args;
import io.github.sparsevdit.bindings.svdit_spread_args;
import io.github.sparsevdit.cuda.DeviceBuffer;
import io.github.sparsevdit.internal.HeldCall;
import io.github.sparsevdit.tensor.Tensor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * Operations on clips: matrices [frames · height · width, channels] with a row for each pixel, in
 * order of frame, row and column. Otherwise as {@link Operations}. On a device it owns a workspace
 * of {@link #WORKSPACE_BYTES}, allocated when it is first needed.
 */
public final class ClipOperations extends Operations {
  /** Device memory that convolutions and group norms work in; none on the CPU. */
  public static final long WORKSPACE_BYTES = 64L << 20;

  private final Backend backend;
  private final Arena arena = Arena.ofAuto();
  private final MemorySegment conv = svdit_conv_args.allocate(arena);
  private final MemorySegment groupNorm = svdit_group_norm_args.allocate(arena);
  private final MemorySegment spread = svdit_spread_args.allocate(arena);
  private DeviceBuffer workspace; // null on the CPU, and until it is needed

  /** As {@link Operations#Operations(Backend)}. */
  public ClipOperations(Backend backend) {
    super(backend);
    this.backend = backend;
    svdit_conv_args.struct_bytes(conv, (int) svdit_conv_args.sizeof());
    svdit_group_norm_args.struct_bytes(groupNorm, (int) svdit_group_norm_args.sizeof());
    svdit_spread_args.struct_bytes(spread, (int) svdit_spread_args.sizeof());
  }

  /**
   * A convolution, accumulated in fp32.
   *
   * @param x clip of the given frames, height and width, BF16 or FP32
   * @param earlier one frame, the one before {@code before}, or null
   * @param before one frame, the one before x, or null
   * @param layers weight [out, kernel rows · columns · frames · in] and bias, as {@link
   *     Weights#convolution} gives them
   * @param y clip of x's type or FP32
   */
  public void conv(
      Tensor x,
      int frames,
      int height,
      int width,
      Tensor earlier,
      Tensor before,
      Linear layers,
      ConvLayout layout,
      Tensor y) {
    calls.describe();
    int kept = (earlier == null ? 0 : 1) + (before == null ? 0 : 1);
    svdit_conv_args.padding(conv, pad(layout.replicate()));
    calls.matrix(conv, svdit_conv_args.x$offset(), x);
    calls.matrix(conv, svdit_conv_args.earlier$offset(), earlier);
    calls.matrix(conv, svdit_conv_args.before$offset(), before);
    calls.matrix(conv, svdit_conv_args.weight$offset(), layers.weight());
    calls.matrix(conv, svdit_conv_args.bias$offset(), layers.bias());
    calls.written(conv, svdit_conv_args.y$offset(), y);
    svdit_conv_args.frames(conv, frames);
    svdit_conv_args.height(conv, height);
    svdit_conv_args.width(conv, width);
    svdit_conv_args.kernel_frames(conv, layout.kernel().frames());
    svdit_conv_args.kernel_height(conv, layout.kernel().height());
    svdit_conv_args.kernel_width(conv, layout.kernel().width());
    svdit_conv_args.stride_frames(conv, layout.stride().frames());
    svdit_conv_args.stride_height(conv, layout.stride().height());
    svdit_conv_args.stride_width(conv, layout.stride().width());
    svdit_conv_args.pad_frames(conv, layout.padFrames() - kept);
    svdit_conv_args.pad_top(conv, layout.padTop());
    svdit_conv_args.pad_bottom(conv, layout.padBottom());
    svdit_conv_args.pad_left(conv, layout.padLeft());
    svdit_conv_args.pad_right(conv, layout.padRight());
    svdit_conv_args.repeat(conv, layout.repeat());
    svdit_conv_args.repeat_frames(conv, layout.repeatFrames().ordinal());
    svdit_conv_args.padding_frames(conv, pad(layout.replicateFrames()));
    if (useWorkspace()) {
      svdit_conv_args.workspace(conv, MemorySegment.ofAddress(workspace.address()));
      svdit_conv_args.workspace_bytes(conv, WORKSPACE_BYTES);
    }
    begin(true);
    try {
      calls.make(HeldCall.CONV, conv, null);
    } finally {
      end();
    }
  }

  private static int pad(boolean replicate) {
    return replicate ? Svdit.SVDIT_PAD_REPLICATE() : Svdit.SVDIT_PAD_ZERO();
  }

  /**
   * y = activation(n · scale + shift), where n is x normalised over all rows and the channels of a
   * group, times weight, plus bias. y may be x.
   *
   * @param weight [channels], as bias; each may be null
   * @param maps what scales and shifts; null for nothing
   * @param silu whether the activation is SiLU; else there is none
   */
  public void groupNorm(
      Tensor x,
      int frames,
      int height,
      int width,
      int groups,
      Tensor weight,
      Tensor bias,
      float epsilon,
      Maps maps,
      boolean silu,
      Tensor y) {
    calls.describe();
    svdit_group_norm_args.activation(
        groupNorm, (silu ? Activation.SILU : Activation.NONE).ordinal());
    calls.matrix(groupNorm, svdit_group_norm_args.x$offset(), x);
    calls.written(groupNorm, svdit_group_norm_args.y$offset(), y);
    calls.matrix(groupNorm, svdit_group_norm_args.weight$offset(), weight);
    calls.matrix(groupNorm, svdit_group_norm_args.bias$offset(), bias);
    calls.matrix(groupNorm, svdit_group_norm_args.scale$offset(), maps == null ? null : maps.scale);
    calls.matrix(groupNorm, svdit_group_norm_args.shift$offset(), maps == null ? null : maps.shift);
    svdit_group_norm_args.groups(groupNorm, groups);
    svdit_group_norm_args.epsilon(groupNorm, epsilon);
    svdit_group_norm_args.frames(groupNorm, maps == null ? 0 : frames);
    svdit_group_norm_args.height(groupNorm, maps == null ? 0 : height);
    svdit_group_norm_args.width(groupNorm, maps == null ? 0 : width);
    svdit_group_norm_args.map_frames(groupNorm, maps == null ? 0 : maps.frames);
    svdit_group_norm_args.map_height(groupNorm, maps == null ? 0 : maps.height);
    svdit_group_norm_args.map_width(groupNorm, maps == null ? 0 : maps.width);
    if (useWorkspace()) {
      svdit_group_norm_args.workspace(groupNorm, MemorySegment.ofAddress(workspace.address()));
      svdit_group_norm_args.workspace_bytes(groupNorm, WORKSPACE_BYTES);
    }
    run(HeldCall.GROUP_NORM, groupNorm, null);
  }

  /** Two clips of one size, whose nearest pixel scales and shifts a pixel of a larger clip. */
  public record Maps(Tensor scale, Tensor shift, int frames, int height, int width) {}

  /**
   * y += x with each pixel's channels dealt out to factorFrames frames of factor · factor pixels; y
   * begins with the frame {@code first} of those, and may end before the last. Wan 2.2's shortcut
   * around an upsampling (diffusers: DupUp3D).
   */
  public void spread(
      Tensor x,
      int frames,
      int height,
      int width,
      int factorFrames,
      int factor,
      int first,
      Tensor y) {
    calls.describe();
    calls.matrix(spread, svdit_spread_args.x$offset(), x);
    calls.written(spread, svdit_spread_args.y$offset(), y);
    svdit_spread_args.frames(spread, frames);
    svdit_spread_args.height(spread, height);
    svdit_spread_args.width(spread, width);
    svdit_spread_args.factor_frames(spread, factorFrames);
    svdit_spread_args.factor(spread, factor);
    svdit_spread_args.first(spread, first);
    run(HeldCall.SPREAD, spread, null);
  }

  /** Frees what loading took. */
  public void freeStaging() {
    super.close();
  }

  private boolean useWorkspace() {
    if (backend.kind() == Backend.Kind.CPU) {
      return false;
    }
    if (workspace == null) {
      workspace = backend.buffer(WORKSPACE_BYTES);
    }
    return true;
  }

  @Override
  public void close() {
    super.close();
    if (workspace != null) {
      workspace.close();
      workspace = null;
    }
  }
}

package io.github.sparsevdit.model.wan;

import io.github.sparsevdit.AttentionPlan;
import io.github.sparsevdit.Backend;
import io.github.sparsevdit.internal.Resources;
import io.github.sparsevdit.model.parts.RotaryTable;
import io.github.sparsevdit.model.parts.Workspace;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.tensor.ElementType;
import io.github.sparsevdit.tensor.Tensor;

/**
 * Wan's buffers for one sequence, text length, image length (0 without an image) and number of
 * frames that are given.
 */
final class WanWorkspace extends Workspace {
  /**
   * In a model with an image branch, image and text tokens follow each other, and the last 512 are
   * what the text's keys are made of, as diffusers has it: all of the text, as long as prompts are
   * padded to 512.
   */
  private static final int IMAGE_MODEL_TEXT_KEYS = 512;

  final Tensor hidden; // FP32: the residual stream
  final Tensor normed;
  final Tensor q;
  final Tensor k;
  final Tensor v;
  final Tensor normedHeads;
  final Tensor qHeads;
  final Tensor kHeads;
  final Tensor vHeads;
  final Tensor ffn;
  final Span[] spans; // the frames that are given, if any, and the others
  final Tensor imageTokens; // null without an image
  final Tensor textTokens;
  final Keys text;
  final Keys image; // null where no tokens are left for it

  /** Frames that share a timestep: their rows, and what modulates them. */
  final class Span {
    final int frames;
    final Tensor hidden;
    final Tensor normed;
    final Tensor q;
    final Tensor time = buffer(ElementType.FP32, 1, dims.width());
    final Tensor timeActivated;
    final Tensor timeProjection = buffer(ElementType.FP32, 1, 6L * dims.width());
    final Tensor modulation = buffer(ElementType.FP32, 1, 6L * dims.width()); // of one block
    final Tensor[] m = parts(modulation, 6);
    final Tensor headModulation = buffer(ElementType.FP32, 1, 2L * dims.width());
    final Tensor[] headParts = parts(headModulation, 2);

    Span(int fromFrame, int toFrame) {
      frames = toFrame - fromFrame;
      long frame = (long) sequence.height() * sequence.width();
      hidden = WanWorkspace.this.hidden.slice(0, fromFrame * frame, toFrame * frame);
      normed = WanWorkspace.this.normed.slice(0, fromFrame * frame, toFrame * frame);
      q = WanWorkspace.this.q.slice(0, fromFrame * frame, toFrame * frame);
      timeActivated = buffer(q.type(), 1, dims.width());
    }
  }

  /** Tokens that are attended to across, and their keys and values in one block. */
  final class Keys {
    final Tensor tokens;
    final Tensor k;
    final Tensor v;
    final Tensor kHeads;
    final Tensor vHeads;
    final AttentionPlan plan;

    Keys(Tensor tokens) {
      this.tokens = tokens;
      int count = Math.toIntExact(tokens.size(0));
      k = buffer(type, count, dims.width());
      v = buffer(type, count, dims.width());
      kHeads = heads(k);
      vHeads = heads(v);
      plan = crossPlan(sequence.tokens(), count);
    }
  }

  WanWorkspace(
      Resources owned,
      Backend backend,
      WanConfig config,
      ElementType type,
      Sequence sequence,
      int textTokens,
      int imageTokens,
      int givenFrames) {
    super(
        owned,
        backend,
        type,
        config.dims(),
        sequence,
        RotaryTable.of(backend, sequence, config.rotaryDims(), config.rotaryTheta()),
        (long) config.inChannels() * config.patches().volume(),
        (long) config.outChannels() * config.patches().volume());
    long tokens = sequence.tokens();
    int d = dims.width();
    hidden = buffer(ElementType.FP32, tokens, d);
    normed = buffer(type, tokens, d);
    q = buffer(type, tokens, d);
    k = buffer(type, tokens, d);
    v = buffer(type, tokens, d);
    normedHeads = heads(normed);
    qHeads = heads(q);
    kHeads = heads(k);
    vHeads = heads(v);
    ffn = chunkBuffer(type, tokens, config.ffn());
    spans =
        givenFrames == 0
            ? new Span[] {new Span(0, sequence.frames())}
            : new Span[] {new Span(0, givenFrames), new Span(givenFrames, sequence.frames())};
    int all = imageTokens + textTokens;
    Tensor context = buffer(type, all, d);
    this.imageTokens = imageTokens == 0 ? null : context.slice(0, 0, imageTokens);
    this.textTokens = context.slice(0, imageTokens, all);
    int imageKeys = imageTokens == 0 ? 0 : Math.max(0, all - IMAGE_MODEL_TEXT_KEYS);
    text = new Keys(context.slice(0, imageKeys, all));
    image = imageKeys == 0 ? null : new Keys(context.slice(0, 0, imageKeys));
  }

  /** Whether this is for so many of each; the sequence is another matter. */
  boolean fits(int textTokens, int imageTokens, int givenFrames) {
    return (spans.length == 1 ? 0 : spans[0].frames) == givenFrames
        && this.textTokens.size(0) == textTokens
        && (this.imageTokens == null ? 0 : this.imageTokens.size(0)) == imageTokens;
  }
}

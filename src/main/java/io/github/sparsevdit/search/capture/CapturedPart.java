package io.github.sparsevdit.search.capture;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.github.sparsevdit.internal.io.Json;
import io.github.sparsevdit.pattern.ModelShape;
import io.github.sparsevdit.pattern.Sequence;
import io.github.sparsevdit.search.capture.CalibrationSource.QueryBlocks;
import io.github.sparsevdit.tensor.Tensor;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;

/**
 * How much of each point a capture holds: some heads, and the queries of some video query blocks.
 *
 * @param heads ascending; empty for all
 * @param queries null for all rows
 */
record CapturedPart(List<Integer> heads, QueryBlocks queries) {
  static final CapturedPart WHOLE = new CapturedPart(List.of(), null);

  /** As the manifest has it; IllegalArgumentException where that does not fit the model. */
  static CapturedPart read(Json json, ModelShape model, Sequence sequence) {
    List<Integer> heads =
        json.has("heads") ? ascending(json.field("heads"), model.heads()) : List.of();
    QueryBlocks queries = null;
    if (json.has("queries")) {
      int block = json.field("queries").field("block").integer(1);
      Json blocks = json.field("queries").field("blocks");
      queries = new QueryBlocks(block, ascending(blocks, sequence.videoBlocks(block)));
    }
    return new CapturedPart(heads, queries);
  }

  private static List<Integer> ascending(Json list, int end) {
    List<Integer> values = new ArrayList<>();
    int previous = -1;
    for (Json value : list.array()) {
      int number = value.integer(0);
      if (number <= previous || number >= end) {
        throw list.expected("ascending numbers below " + end);
      }
      previous = number;
      values.add(number);
    }
    if (values.isEmpty()) {
      throw list.expected("at least one");
    }
    return List.copyOf(values);
  }

  void write(ObjectNode json) {
    if (!heads.isEmpty()) {
      heads.forEach(json.putArray("heads")::add);
    }
    if (queries != null) {
      ObjectNode node = json.putObject("queries").put("block", queries.block());
      queries.blocks().forEach(node.putArray("blocks")::add);
    }
  }

  /** The model with the captured heads alone. */
  ModelShape of(ModelShape model) {
    return heads.isEmpty()
        ? model
        : new ModelShape(model.name(), model.layers(), heads.size(), model.headDim());
  }

  /** The rows that Q holds, ascending; null for all. */
  int[] rows(Sequence sequence) {
    if (queries == null) {
      return null;
    }
    int video = sequence.videoTokens();
    int place = sequence.height() * sequence.width();
    int firstVideo = sequence.textFirst() ? sequence.text() : 0;
    int firstText = sequence.textFirst() ? 0 : video;
    BitSet rows = new BitSet(sequence.tokens());
    rows.set(firstText, firstText + sequence.text());
    for (int block : queries.blocks()) {
      int end = (int) Math.min((block + 1L) * queries.block(), video);
      for (int at = block * queries.block(); at < end; at++) {
        rows.set(firstVideo + at); // frame-major
        rows.set(firstVideo + at % sequence.frames() * place + at / sequence.frames());
      }
    }
    return rows.stream().toArray();
  }

  /**
   * Q with a row for every token, those that were not captured 0.
   *
   * @param stored [B, H, rows, D]
   */
  Tensor spread(Tensor stored, Sequence sequence, Arena arena) {
    int[] rows = rows(sequence);
    if (rows == null) {
      return stored;
    }
    long[] shape = {stored.size(0), stored.size(1), sequence.tokens(), stored.size(3)};
    long elements = shape[0] * shape[1] * shape[2] * shape[3];
    Tensor all =
        Tensor.of(arena.allocate(elements * stored.type().bytes(), 64), stored.type(), shape);
    for (int from = 0; from < rows.length; ) {
      int to = from + 1;
      while (to < rows.length && rows[to] == rows[to - 1] + 1) {
        to++;
      }
      all.slice(2, rows[from], rows[to - 1] + 1L).copyFrom(stored.slice(2, from, to));
      from = to;
    }
    return all;
  }

  /** The columns of an output projection [d, H·D] that the captured heads meet. */
  Tensor columns(Tensor projection, int headDim, Arena arena) {
    if (heads.isEmpty()) {
      return projection;
    }
    long outputs = projection.size(0);
    long width = (long) heads.size() * headDim;
    Tensor some =
        Tensor.of(
            arena.allocate(outputs * width * projection.type().bytes(), 64),
            projection.type(),
            outputs,
            width);
    for (int i = 0; i < heads.size(); i++) {
      long head = (long) heads.get(i) * headDim;
      some.slice(1, (long) i * headDim, (i + 1L) * headDim)
          .copyFrom(projection.slice(1, head, head + headDim));
    }
    return some;
  }
}

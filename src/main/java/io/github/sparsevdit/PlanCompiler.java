package io.github.sparsevdit;

import io.github.sparsevdit.bindings.Svdit;
import io.github.sparsevdit.bindings.svdit_pattern;
import io.github.sparsevdit.bindings.svdit_plan_desc;
import io.github.sparsevdit.bindings.svdit_sequence;
import io.github.sparsevdit.internal.BackendHandle;
import io.github.sparsevdit.internal.NativeCalls;
import io.github.sparsevdit.pattern.Mode;
import io.github.sparsevdit.pattern.Order;
import io.github.sparsevdit.pattern.Pattern;
import io.github.sparsevdit.pattern.Sequence;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;

/** Writes patterns as the C ABI's structs and has them compiled. */
final class PlanCompiler {
  private PlanCompiler() {}

  /** The new svdit_plan. */
  static MemorySegment compile(BackendHandle backend, AttentionPlan.Source source) {
    List<Pattern> patterns = source.patterns();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment desc = svdit_plan_desc.allocate(arena);
      svdit_plan_desc.struct_bytes(desc, (int) svdit_plan_desc.sizeof());
      svdit_plan_desc.element_type(desc, source.type().code());
      write(source.sequence(), svdit_plan_desc.sequence(desc));
      svdit_plan_desc.key_tokens(desc, source.keyTokens());
      svdit_plan_desc.block(desc, source.block());
      svdit_plan_desc.heads(desc, patterns.size());
      svdit_plan_desc.head_dim(desc, source.headDim());
      MemorySegment array = svdit_pattern.allocateArray(patterns.size(), arena);
      for (int head = 0; head < patterns.size(); head++) {
        write(patterns.get(head), svdit_pattern.asSlice(array, head), arena);
      }
      svdit_plan_desc.patterns(desc, array);
      MemorySegment out = arena.allocate(ValueLayout.ADDRESS);
      NativeCalls.check(error -> Svdit.svdit_plan_create(backend.pointer(), desc, out, error));
      return out.get(ValueLayout.ADDRESS, 0);
    }
  }

  private static void write(Sequence sequence, MemorySegment to) {
    svdit_sequence.struct_bytes(to, (int) svdit_sequence.sizeof());
    svdit_sequence.frames(to, sequence.frames());
    svdit_sequence.height(to, sequence.height());
    svdit_sequence.width(to, sequence.width());
    svdit_sequence.text(to, sequence.text());
    svdit_sequence.text_first(to, sequence.textFirst() ? 1 : 0);
  }

  private static void write(Pattern pattern, MemorySegment to, Arena arena) {
    svdit_pattern.struct_bytes(to, (int) svdit_pattern.sizeof());
    svdit_pattern.mode(
        to, pattern.mode().ordinal()); // a test compares the ordinals with the bindings
    Order order = pattern.order();
    svdit_pattern.order(to, order.kind().ordinal());
    svdit_pattern.tile_t(to, order.tileT());
    svdit_pattern.tile_h(to, order.tileH());
    svdit_pattern.tile_w(to, order.tileW());
    svdit_pattern.window(to, pattern.window());
    if (pattern.mode() != Mode.BLOCKS) {
      svdit_pattern.blocks(to, ints(pattern.blocks(), arena));
      svdit_pattern.block_count(to, pattern.blocks().size());
      return;
    }
    List<List<Integer>> lists = pattern.lists();
    long[] offsets = new long[lists.size() + 1];
    for (int i = 0; i < lists.size(); i++) {
      offsets[i + 1] = offsets[i] + lists.get(i).size();
    }
    svdit_pattern.blocks(to, ints(lists.stream().flatMap(List::stream).toList(), arena));
    svdit_pattern.block_count(to, offsets[lists.size()]);
    svdit_pattern.list_offsets(to, arena.allocateFrom(ValueLayout.JAVA_LONG, offsets));
    svdit_pattern.list_count(to, lists.size());
  }

  private static MemorySegment ints(List<Integer> values, Arena arena) {
    if (values.isEmpty()) {
      return MemorySegment.NULL;
    }
    return arena.allocateFrom(
        ValueLayout.JAVA_INT, values.stream().mapToInt(Integer::intValue).toArray());
  }
}

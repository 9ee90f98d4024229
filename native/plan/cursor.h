// Which keys a query block sees, as ascending runs of positions.
//
// Compiled for host and device alike: plain structs, no standard containers, no allocation. A
// position counts tokens as a head's pattern lines them up: the text segment keeps its place, the
// video segment is in the pattern's order. A mode is a function of a few lines that fills a
// BlockSet; all else is shared.
#ifndef SVDIT_PLAN_CURSOR_H
#define SVDIT_PLAN_CURSOR_H

#include <stdint.h>

#if defined(__CUDACC__)
#define SVDIT_HD __host__ __device__
#else
#define SVDIT_HD
#endif

namespace svdit {

// SVDIT_MODE_* of svdit.h.
enum class Mode : int32_t { kFull, kSkip, kDiagonal, kMultiDiagonal, kVerticalStripe, kBlocks };

// Positions begin .. end - 1.
struct Run {
  int32_t begin, end;
};

// Where the segments of the queries and of the keys lie, and how they are cut. The two differ only
// in cross-attention, where all keys are text.
struct Layout {
  int32_t block;
  int32_t query_video_begin, query_video, query_text_begin, query_text;
  int32_t key_video_begin, key_video, key_text_begin, key_text;
  int32_t query_video_blocks, query_blocks;  // text query blocks follow the video ones
  int32_t key_video_blocks;

  SVDIT_HD Run key_video_run() const { return {key_video_begin, key_video_begin + key_video}; }
  SVDIT_HD Run key_text_run() const { return {key_text_begin, key_text_begin + key_text}; }
  SVDIT_HD bool is_key_text(int32_t position) const {
    return position >= key_text_begin && position < key_text_begin + key_text;
  }
  // The segment that a key position lies in.
  SVDIT_HD Run key_segment(int32_t position) const {
    return is_key_text(position) ? key_text_run() : key_video_run();
  }

  // The positions of query block i.
  SVDIT_HD Run query_run(int32_t i) const {
    const bool video = i < query_video_blocks;
    const int32_t at = (video ? i : i - query_video_blocks) * block;
    const int32_t left = (video ? query_video : query_text) - at;
    const int32_t begin = (video ? query_video_begin : query_text_begin) + at;
    return {begin, begin + (left < block ? left : block)};
  }
};

// One head's pattern; its block lists are stretches of the plan's flat arrays, so that the arrays
// can be copied to a device as they are.
struct HeadPattern {
  Mode mode;
  int32_t order;          // index into the plan's orders
  int64_t window;         // DIAGONAL, MULTI_DIAGONAL: in tokens, at most the video tokens
  int64_t blocks_begin;   // first of the head's elements of PatternArrays::blocks
  int64_t block_count;    // anchors or stripes
  int64_t offsets_begin;  // BLOCKS: first of the head's video blocks + 1 elements of list_offsets
};

struct PatternArrays {
  const int32_t *blocks;
  const int64_t *list_offsets;  // relative to the head's blocks_begin
};

// Video key blocks: a band of neighbours, and a strictly ascending list (which may meet the band).
struct BlockSet {
  int32_t band_begin, band_end;
  const int32_t *list;
  int32_t listed;  // elements of the list
};

// ---- the modes ----------------------------------------------------------------------------------

SVDIT_HD inline BlockSet full_blocks(const Layout &layout) {
  return {0, layout.key_video_blocks, nullptr, 0};
}

SVDIT_HD inline BlockSet no_blocks() { return {0, 0, nullptr, 0}; }

// Blocks whose token distance to the query block is at most the window, and the anchors.
SVDIT_HD inline BlockSet diagonal_blocks(const Layout &layout, const HeadPattern &head,
                                         const PatternArrays &arrays, int32_t query_block) {
  const int64_t block = layout.block;
  const int64_t first = query_block * block;
  const int64_t end = first + block < layout.key_video ? first + block : layout.key_video;
  // Block b ends at token (b + 1) * block - 1 and must reach first - window; it starts at b * block
  // and may start no later than end - 1 + window.
  const int64_t below = first - head.window;
  const int64_t above = (end - 1 + head.window) / block + 1;
  return {below > 0 ? (int32_t)(below / block) : 0,
          above < layout.key_video_blocks ? (int32_t)above : layout.key_video_blocks,
          arrays.blocks + head.blocks_begin, (int32_t)head.block_count};
}

SVDIT_HD inline BlockSet stripe_blocks(const HeadPattern &head, const PatternArrays &arrays) {
  return {0, 0, arrays.blocks + head.blocks_begin, (int32_t)head.block_count};
}

SVDIT_HD inline BlockSet listed_blocks(const HeadPattern &head, const PatternArrays &arrays,
                                       int32_t query_block) {
  const int64_t *offsets = arrays.list_offsets + head.offsets_begin + query_block;
  return {0, 0, arrays.blocks + head.blocks_begin + offsets[0], (int32_t)(offsets[1] - offsets[0])};
}

// The video key blocks that query_block of a head sees.
SVDIT_HD inline BlockSet visible_blocks(const Layout &layout, const HeadPattern &head,
                                        const PatternArrays &arrays, int32_t query_block) {
  if (head.mode == Mode::kSkip) return no_blocks();
  if (query_block >= layout.query_video_blocks) return full_blocks(layout);  // text sees all
  switch (head.mode) {
    case Mode::kDiagonal:
    case Mode::kMultiDiagonal:
      return diagonal_blocks(layout, head, arrays, query_block);
    case Mode::kVerticalStripe:
      return stripe_blocks(head, arrays);
    case Mode::kBlocks:
      return listed_blocks(head, arrays, query_block);
    default:
      return full_blocks(layout);
  }
}

// ---- runs ---------------------------------------------------------------------------------------

// Yields a query block's runs, ascending; what touches is one run.
class RunCursor {
 public:
  // text_valid: how many of the text keys are valid, 0 <= text_valid <= layout.key_text.
  SVDIT_HD RunCursor(const Layout &layout, const HeadPattern &head, const PatternArrays &arrays,
                     int32_t query_block, int32_t text_valid)
      : blocks_(visible_blocks(layout, head, arrays, query_block)),
        block_(layout.block),
        video_begin_(layout.key_video_begin),
        video_end_(layout.key_video_begin + layout.key_video),
        text_{layout.key_text_begin,
              layout.key_text_begin + (head.mode == Mode::kSkip ? 0 : text_valid)},
        text_first_(layout.key_text_begin < layout.key_video_begin),
        pending_(piece()) {}

  // Writes the next run and returns true, or returns false at the end.
  SVDIT_HD bool next(Run *run) {
    if (pending_.begin == pending_.end) return false;
    *run = pending_;
    for (pending_ = piece(); pending_.begin == run->end && pending_.begin != pending_.end;
         pending_ = piece()) {
      run->end = pending_.end;
    }
    return true;
  }

 private:
  // The next stretch of text or of video blocks, not yet merged with its neighbours; empty at the
  // end.
  SVDIT_HD Run piece() {
    if (text_first_ && text_.begin != text_.end) return take_text();
    const bool band = blocks_.band_begin < blocks_.band_end;
    const bool list = blocks_.listed > 0;
    if (band && (!list || *blocks_.list >= blocks_.band_begin)) {
      const Run run = video(blocks_.band_begin, blocks_.band_end);
      while (blocks_.listed > 0 && *blocks_.list < blocks_.band_end) next_listed();
      blocks_.band_begin = blocks_.band_end;
      return run;
    }
    if (list) {
      const int32_t block = *blocks_.list;
      next_listed();
      return video(block, block + 1);
    }
    return take_text();
  }

  SVDIT_HD void next_listed() {
    ++blocks_.list;
    --blocks_.listed;
  }

  SVDIT_HD Run video(int32_t block_begin, int32_t block_end) const {
    const int32_t begin = video_begin_ + block_begin * block_;
    const int32_t left = video_end_ - begin;
    // In int64: block_end * block_ may pass the last token, and with it the range of int32.
    const int64_t wanted = (int64_t)(block_end - block_begin) * block_;
    return {begin, begin + (wanted < left ? (int32_t)wanted : left)};
  }

  SVDIT_HD Run take_text() {
    const Run run = text_;
    text_.begin = text_.end;
    return run;
  }

  BlockSet blocks_;
  int32_t block_, video_begin_, video_end_;
  Run text_;
  bool text_first_;
  Run pending_;
};

}  // namespace svdit

#endif

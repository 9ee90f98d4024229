// In which order a sweep adds keys, and where its stops lie. Compiled for host and device alike, as
// cursor.h is.
#ifndef SVDIT_PLAN_SWEEP_CURSOR_H
#define SVDIT_PLAN_SWEEP_CURSOR_H

#include <stdint.h>

#include "plan/cursor.h"

namespace svdit {

// What a sweep's arguments say of it; heads count from the first one swept.
struct SweepRule {
  bool ranked;  // SVDIT_SWEEP_RANKED, else DISTANCE
  int32_t stop_count;
  const int64_t *stops;
  const int32_t *first;  // the listed blocks of all heads, and where each head's begin
  const int64_t *first_offsets;
  const uint32_t *listed;  // [heads][words] a bit for each video block that is in the head's list
  int32_t words;           // ceil(video blocks / 32)
};

// How far a cursor has come: enough to go on with another one.
struct SweepPlace {
  int32_t index;  // 0: before the text; else the video block to come is number index - 1
  int32_t stop;   // the next one
};

// Yields a query block's keys: the valid text, the head's listed blocks, then the others (DISTANCE:
// by distance, the earlier of two equally far ones first; RANKED, and for a text query block:
// ascending). Between them, each stop that some key lies beyond; the stops that are left at the end
// leave nothing out.
class SweepCursor {
 public:
  enum Kind { kEnd, kKeys, kStop };

  SVDIT_HD SweepCursor(const Layout &layout, const SweepRule &rule, int32_t head,
                       int32_t query_block, int32_t text_valid, SweepPlace place)
      : layout_(layout),
        rule_(rule),
        first_(rule.first + rule.first_offsets[head]),
        listed_(rule.listed + (int64_t)head * rule.words),
        list_length_((int32_t)(rule.first_offsets[head + 1] - rule.first_offsets[head])),
        query_block_(query_block),
        text_valid_(text_valid),
        place_(place) {}

  // kKeys: *run is a video block, or the text. kStop: the next stop is reached.
  SVDIT_HD Kind next(Run *run) {
    if (place_.index == 0) {
      ++place_.index;
      *run = {layout_.key_text_begin, layout_.key_text_begin + text_valid_};
      if (text_valid_ > 0) return kKeys;
    }
    for (;; ++place_.index) {
      const int32_t number = place_.index - 1, rank = number - list_length_;
      if (rank >= layout_.key_video_blocks) return kEnd;
      const int32_t block = rank < 0 ? first_[number] : ranked_block(rank);
      if (rank >= 0 && (listed_[block / 32] >> block % 32 & 1) != 0) continue;
      if (place_.stop < rule_.stop_count && beyond(number, rank, block)) {
        ++place_.stop;
        return kStop;
      }
      ++place_.index;
      const int32_t begin = layout_.key_video_begin + block * layout_.block;
      const int32_t left = layout_.key_video_begin + layout_.key_video - begin;
      *run = {begin, begin + (left < layout_.block ? left : layout_.block)};
      return kKeys;
    }
  }

  SVDIT_HD SweepPlace place() const { return place_; }

 private:
  SVDIT_HD bool text_query() const { return query_block_ >= layout_.query_video_blocks; }

  // The video block whose turn it is after rank others, listed ones counted too.
  SVDIT_HD int32_t ranked_block(int32_t rank) const {
    if (rule_.ranked || text_query()) return rank;
    // Neighbours in turn, below and above, as far as there are both; then those of one side.
    const int32_t below = query_block_, above = layout_.key_video_blocks - 1 - query_block_;
    const int32_t both = below < above ? below : above;
    if (rank > 2 * (int64_t)both) {
      const int32_t far = rank - both;
      return below > above ? query_block_ - far : query_block_ + far;
    }
    return rank % 2 == 1 ? query_block_ - (rank + 1) / 2 : query_block_ + rank / 2;
  }

  // Whether a block is no part of what the next stop allows. For text queries none leaves anything
  // out.
  SVDIT_HD bool beyond(int32_t number, int32_t rank, int32_t block) const {
    if (text_query()) return false;
    const int64_t stop = rule_.stops[place_.stop];
    if (rule_.ranked) return number >= stop;
    if (rank < 0 || block == query_block_) return false;
    // Token distance: all blocks between two are whole.
    const int64_t apart = block < query_block_ ? query_block_ - block : block - query_block_;
    return (apart - 1) * layout_.block + 1 > stop;
  }

  const Layout &layout_;
  const SweepRule &rule_;
  const int32_t *first_;
  const uint32_t *listed_;
  int32_t list_length_, query_block_, text_valid_;
  SweepPlace place_;
};

}  // namespace svdit

#endif

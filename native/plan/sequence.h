// The tokens of one attention call: a video segment and a text segment before or after it.
#ifndef SVDIT_PLAN_SEQUENCE_H
#define SVDIT_PLAN_SEQUENCE_H

#include "plan/cursor.h"
#include "svdit.h"

namespace svdit {

// A validated svdit_sequence; tokens() fits an int32.
struct Sequence {
  int32_t frames, height, width, text;
  bool text_first;

  int32_t video() const { return frames * height * width; }
  int32_t tokens() const { return video() + text; }
};

// Throws Error for sizes out of range and for more tokens than a position can name.
Sequence check_sequence(const svdit_sequence &sequence);

// Segments and blocks of self-attention (key_tokens = 0), or of cross-attention to key_tokens text
// keys.
Layout make_layout(const Sequence &sequence, int32_t key_tokens, int32_t block);

}  // namespace svdit

#endif

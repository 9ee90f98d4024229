#include "plan/sequence.h"

#include "base/error.h"

namespace svdit {

Sequence check_sequence(const svdit_sequence &s) {
  if (s.struct_bytes != sizeof(svdit_sequence)) {
    fail(SVDIT_INVALID_ARGUMENT, "svdit_sequence.struct_bytes is %u, this library's is %zu",
         s.struct_bytes, sizeof(svdit_sequence));
  }
  if (s.reserved[0] != 0 || s.reserved[1] != 0) {
    fail(SVDIT_INVALID_ARGUMENT, "svdit_sequence.reserved is not zero");
  }
  if (s.frames < 1 || s.height < 1 || s.width < 1) {
    fail(SVDIT_INVALID_ARGUMENT,
         "the video segment is %d x %d x %d (frames x height x width), each must be at least 1",
         s.frames, s.height, s.width);
  }
  if (s.text < 0) fail(SVDIT_INVALID_ARGUMENT, "text is %d tokens, expected 0 or more", s.text);
  if (s.text_first != 0 && s.text_first != 1) {
    fail(SVDIT_INVALID_ARGUMENT, "text_first is %d, expected 0 or 1", s.text_first);
  }
  // Rounded up to the largest block the result must still be an int32.
  const int64_t most = INT32_MAX - 256;
  const int64_t plane = (int64_t)s.frames * s.height;
  if (plane > most || plane * s.width > most - s.text) {
    fail(SVDIT_INVALID_ARGUMENT,
         "%d x %d x %d video tokens and %d text tokens are more than %lld tokens", s.frames,
         s.height, s.width, s.text, (long long)most);
  }
  return {s.frames, s.height, s.width, s.text, s.text_first == 1};
}

Layout make_layout(const Sequence &sequence, int32_t key_tokens, int32_t block) {
  const int32_t video = sequence.video();
  Layout layout{};
  layout.block = block;
  layout.query_video_begin = sequence.text_first ? sequence.text : 0;
  layout.query_video = video;
  layout.query_text_begin = sequence.text_first ? 0 : video;
  layout.query_text = sequence.text;
  layout.query_video_blocks = (video + block - 1) / block;
  layout.query_blocks = layout.query_video_blocks + (sequence.text + block - 1) / block;
  if (key_tokens > 0) {
    layout.key_text = key_tokens;
  } else {
    layout.key_video_begin = layout.query_video_begin;
    layout.key_video = video;
    layout.key_text_begin = layout.query_text_begin;
    layout.key_text = sequence.text;
    layout.key_video_blocks = layout.query_video_blocks;
  }
  return layout;
}

}  // namespace svdit

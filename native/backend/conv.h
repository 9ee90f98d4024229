// Where the kernel of svdit_conv stands: what every backend counts alike.
#ifndef SVDIT_BACKEND_CONV_H
#define SVDIT_BACKEND_CONV_H

#include <cstdint>

#include "svdit.h"

namespace svdit {

// Of arguments that are checked; pads included where it says padded.
struct ConvPlaces {
  int64_t kept;                                          // frames before x
  int64_t frames, height, width;                         // x as it is seen, not padded
  int64_t padded_frames, padded_height, padded_width;    // with all before it
  int64_t out_frames, out_height, out_width;             // of y; < 1 where the kernel does not fit

  explicit ConvPlaces(const svdit_conv_args &a)
      : kept((a.before.data != nullptr ? 1 : 0) + (a.earlier.data != nullptr ? 1 : 0)),
        frames(a.repeat_frames == SVDIT_FRAMES_ONCE    ? a.frames
               : a.repeat_frames == SVDIT_FRAMES_TWICE ? 2 * int64_t{a.frames}
                                                       : 2 * int64_t{a.frames} - 1),
        height(int64_t{a.height} * a.repeat),
        width(int64_t{a.width} * a.repeat),
        padded_frames(a.pad_frames + kept + frames),
        padded_height(a.pad_top + height + a.pad_bottom),
        padded_width(a.pad_left + width + a.pad_right),
        out_frames(places(padded_frames, a.kernel_frames, a.stride_frames)),
        out_height(places(padded_height, a.kernel_height, a.stride_height)),
        out_width(places(padded_width, a.kernel_width, a.stride_width)) {}

 private:
  static int64_t places(int64_t size, int64_t kernel, int64_t stride) {
    return size < kernel ? 0 : (size - kernel) / stride + 1;
  }
};

// The frame that a padded frame shows: of x, or -1 for `before`, -2 for `earlier`, kPadded for
// zeros.
inline constexpr int64_t kPadded = -3;
inline int64_t conv_frame(const svdit_conv_args &a, const ConvPlaces &places, int64_t padded) {
  if (padded < a.pad_frames) {
    if (a.padding_frames == SVDIT_PAD_ZERO) return kPadded;
    padded = a.pad_frames;
  }
  const int64_t seen = padded - a.pad_frames - places.kept;
  if (seen < 0) return seen;
  if (a.repeat_frames == SVDIT_FRAMES_ONCE) return seen;
  return a.repeat_frames == SVDIT_FRAMES_TWICE ? seen / 2 : (seen + 1) / 2;
}

// Which of a norm's map frames counts for frame t of x.
inline int64_t map_frame(int64_t t, int64_t frames, int64_t map_frames) {
  if (frames > 1 && frames % 2 == 1)
    return t == 0 ? 0 : 1 + (t - 1) * (map_frames - 1) / (frames - 1);
  return t * map_frames / frames;
}

}  // namespace svdit

#endif

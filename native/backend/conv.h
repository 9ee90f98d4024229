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

// Whether every place sees one pixel of x, in order: a product of matrices.
inline bool is_product(const svdit_conv_args &a) {
  return a.kernel_frames == 1 && a.kernel_height == 1 && a.kernel_width == 1 &&
         a.stride_frames == 1 && a.stride_height == 1 && a.stride_width == 1 &&
         a.pad_frames == 0 && a.pad_top == 0 && a.pad_bottom == 0 && a.pad_left == 0 &&
         a.pad_right == 0 && a.repeat == 1 && a.repeat_frames == SVDIT_FRAMES_ONCE &&
         a.before.data == nullptr;
}

// The frame that a padded frame shows, by the pad_frames, repeat_frames and padding_frames of the
// arguments and the number of kept frames: of x, or -1 for `before`, -2 for `earlier`, kPadded for
// zeros.
inline constexpr int64_t kPadded = -3;
constexpr int64_t conv_frame(int64_t padded, int64_t pad, int64_t kept, uint32_t repeat,
                             uint32_t padding) {
  if (padded < pad) {
    if (padding == SVDIT_PAD_ZERO) return kPadded;
    padded = pad;
  }
  const int64_t seen = padded - pad - kept;
  if (seen < 0 || repeat == SVDIT_FRAMES_ONCE) return seen;
  return repeat == SVDIT_FRAMES_TWICE ? seen / 2 : (seen + 1) / 2;
}

// Which of a norm's map frames counts for frame t of x.
constexpr int64_t map_frame(int64_t t, int64_t frames, int64_t map_frames) {
  if (frames > 1 && frames % 2 == 1)
    return t == 0 ? 0 : 1 + (t - 1) * (map_frames - 1) / (frames - 1);
  return t * map_frames / frames;
}

}  // namespace svdit

#endif

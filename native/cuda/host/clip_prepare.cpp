// The arguments of a video autoencoder's kernels (ops_prepare.h).
#include <algorithm>
#include <cinttypes>

#include "backend/conv.h"
#include "base/error.h"
#include "cuda/host/ops_prepare.h"

namespace svdit::cuda {
namespace {

constexpr int64_t kMostPieces = INT32_MAX;
constexpr int64_t kLeastPlaces = 128;
constexpr uint64_t kLeastStatistics = uint64_t{1} << 20;
constexpr int64_t kElementsPerSplit = 256 * 16;
constexpr int64_t kMostSplits = 1024;

int64_t element_bytes(uint32_t type) { return type == SVDIT_FP32 ? 4 : 2; }

RowsView view_of(const svdit_matrix &m) {
  return {static_cast<char *>(m.data), m.row_stride * element_bytes(m.element_type),
          m.element_type};
}

RowVector vector_of(const svdit_matrix &m) {
  if (m.data == nullptr) return {};
  return {static_cast<const char *>(m.data), static_cast<int32_t>(m.columns), m.element_type};
}

bool aligned(const svdit_matrix &m) {
  if (m.data == nullptr) return true;
  if (reinterpret_cast<uintptr_t>(m.data) % 16 != 0) return false;
  return m.rows == 1 || m.row_stride * element_bytes(m.element_type) % 16 == 0;
}

template <class Params>
void count_pieces(int64_t rows, int64_t columns, Params *params) {
  const int64_t pieces_per_row = (columns + kPiece - 1) / kPiece;
  if (columns > INT32_MAX - kPiece || rows > kMostPieces / pieces_per_row) {
    fail(SVDIT_UNSUPPORTED,
         "the CUDA kernels do not count the elements of [%" PRId64 ", %" PRId64 "]", rows, columns);
  }
  params->columns = static_cast<int32_t>(columns);
  params->pieces_per_row = static_cast<uint32_t>(pieces_per_row);
  params->pieces = static_cast<uint32_t>(rows * pieces_per_row);
}

int64_t row_bytes(const svdit_conv_args &args) {
  return args.weight.columns * element_bytes(args.x.element_type);
}

}  // namespace

int64_t places_at_once(const svdit_conv_args &args, uint64_t bytes) {
  const int64_t all = args.y.rows, row = row_bytes(args);
  const int64_t most = std::min<int64_t>(static_cast<int64_t>(bytes) / row,
                                         kMostPieces / (row / element_bytes(args.x.element_type)));
  if (most < std::min(all, kLeastPlaces)) {
    fail(SVDIT_INVALID_ARGUMENT,
         "workspace_bytes is %" PRIu64 "; expected at least %" PRId64
         ", twice %" PRId64 " rows of weight",
         args.workspace_bytes, 2 * std::min(all, kLeastPlaces) * row, std::min(all, kLeastPlaces));
  }
  return most >= kLeastPlaces ? most / kLeastPlaces * kLeastPlaces : most;
}

GatherParams prepare_gather(const svdit_conv_args &a, void *to, int64_t first, int64_t places) {
  const ConvPlaces all(a);
  GatherParams p{};
  p.x = view_of(a.x);
  p.before = static_cast<const char *>(a.before.data);
  p.earlier = static_cast<const char *>(a.earlier.data);
  p.before_stride = view_of(a.before).stride;
  p.earlier_stride = view_of(a.earlier).stride;
  p.to = static_cast<char *>(to);
  p.first = first;
  p.channels = static_cast<int32_t>(a.x.columns);
  p.height = a.height;
  p.width = a.width;
  p.kernel_frames = a.kernel_frames;
  p.kernel_height = a.kernel_height;
  p.kernel_width = a.kernel_width;
  p.stride_frames = a.stride_frames;
  p.stride_height = a.stride_height;
  p.stride_width = a.stride_width;
  p.pad_frames = a.pad_frames;
  p.kept = static_cast<int32_t>(all.kept);
  p.pad_top = a.pad_top;
  p.pad_left = a.pad_left;
  p.repeat = a.repeat;
  p.seen_height = static_cast<int32_t>(all.height);
  p.seen_width = static_cast<int32_t>(all.width);
  p.out_height = static_cast<int32_t>(all.out_height);
  p.out_width = static_cast<int32_t>(all.out_width);
  p.repeat_frames = a.repeat_frames;
  p.padding = a.padding;
  p.padding_frames = a.padding_frames;
  const int64_t bytes = a.x.columns * element_bytes(a.x.element_type);
  p.whole_pieces = bytes % 16 == 0 && aligned(a.x) && aligned(a.before) && aligned(a.earlier);
  p.pieces_per_tap = static_cast<uint32_t>(p.whole_pieces ? bytes / 16 : a.x.columns);
  p.pieces = static_cast<uint32_t>(places * a.kernel_frames * a.kernel_height * a.kernel_width *
                                   p.pieces_per_tap);
  return p;
}

GroupNormLaunch prepare_group_norm(const svdit_group_norm_args &a) {
  const int64_t rows = a.x.rows, columns = a.x.columns;
  GroupNormLaunch launch{};
  GroupSumParams &sum = launch.sum;
  sum.x = view_of(a.x);
  sum.rows = rows;
  sum.groups = a.groups;
  sum.group = static_cast<int32_t>(columns / a.groups);
  const int64_t bytes = static_cast<int64_t>(a.workspace_bytes);
  // Factors and offsets begin at a multiple of 16 bytes.
  const int64_t channels = (columns * 4 + 15) / 16 * 16;
  const int64_t splits = (bytes - 2 * channels) / (a.groups * 8);
  if (a.workspace_bytes < kLeastStatistics || splits < 1) {
    fail(SVDIT_INVALID_ARGUMENT, "workspace_bytes is %" PRIu64 "; expected at least %" PRIu64,
         a.workspace_bytes, std::max<uint64_t>(kLeastStatistics, 2 * channels + a.groups * 8));
  }
  sum.splits = static_cast<int32_t>(
      std::clamp<int64_t>(rows * sum.group / kElementsPerSplit, 1,
                          std::min({splits, rows, kMostSplits, INT32_MAX / int64_t{a.groups}})));
  char *const workspace = static_cast<char *>(a.workspace);
  GroupFoldParams &fold = launch.fold;
  fold.factor = reinterpret_cast<float *>(workspace);
  fold.offset = reinterpret_cast<float *>(workspace + channels);
  fold.partial = sum.partial = reinterpret_cast<float *>(workspace + 2 * channels);
  fold.weight = vector_of(a.weight);
  fold.bias = vector_of(a.bias);
  fold.rows = rows;
  fold.group = sum.group;
  fold.groups = sum.groups;
  fold.splits = sum.splits;
  fold.epsilon = a.epsilon;
  AffineParams &affine = launch.affine;
  affine.x = view_of(a.x);
  affine.y = view_of(a.y);
  affine.factor = fold.factor;
  affine.offset = fold.offset;
  if (a.scale.data != nullptr) {
    affine.scale = view_of(a.scale);
    affine.shift = view_of(a.shift);
  }
  affine.frames = a.frames;
  affine.height = a.height;
  affine.width = a.width;
  affine.map_frames = a.map_frames;
  affine.map_height = a.map_height;
  affine.map_width = a.map_width;
  affine.silu = a.activation == SVDIT_ACTIVATION_SILU;
  affine.whole_pieces = aligned(a.x) && aligned(a.y) && aligned(a.scale) && aligned(a.shift);
  count_pieces(rows, columns, &affine);
  return launch;
}

SpreadParams prepare_spread(const svdit_spread_args &a) {
  SpreadParams p{};
  p.x = view_of(a.x);
  p.y = view_of(a.y);
  p.height = a.height;
  p.width = a.width;
  p.factor_frames = a.factor_frames;
  p.factor = a.factor;
  p.first = a.first;
  p.channels = static_cast<int32_t>(a.x.columns);
  p.whole_pieces = aligned(a.y);
  count_pieces(a.y.rows, a.y.columns, &p);
  return p;
}

}  // namespace svdit::cuda

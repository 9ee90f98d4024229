// The simulator's sm_90a primitives against the PTX ISA's layouts, spelled out element by element,
// and against plain matrix products in double precision.
#include <bit>
#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "cases.h"
#include "cuda/ptx_sm90.cuh"

namespace {

using namespace svdit;
using cuda::Swizzle;
using test::check;

float bf16(std::uint32_t bits) { return std::bit_cast<float>(bits << 16); }
float fp16(std::uint32_t bits) {
  return static_cast<float>(std::bit_cast<_Float16>(static_cast<std::uint16_t>(bits)));
}
// The format's definition: 1 sign bit, 4 of the exponent (bias 7), 3 of the mantissa; no infinity.
float e4m3(std::uint32_t bits) {
  const int exponent = bits >> 3 & 15, mantissa = bits & 7;
  if (exponent == 15 && mantissa == 7) return NAN;
  const double size =
      exponent == 0 ? mantissa / 8.0 / 64 : (1 + mantissa / 8.0) * std::pow(2.0, exponent - 7);
  return static_cast<float>(bits & 0x80 ? -size : size);
}

// Where byte `byte` of row `row` lies under a 128-byte swizzle: the figure of the ISA, as a table
// of 16-byte chunks of eight rows.
std::uint32_t swizzled(int row, int byte) {
  static constexpr int kChunk[8][8] = {{0, 1, 2, 3, 4, 5, 6, 7}, {1, 0, 3, 2, 5, 4, 7, 6},
                                       {2, 3, 0, 1, 6, 7, 4, 5}, {3, 2, 1, 0, 7, 6, 5, 4},
                                       {4, 5, 6, 7, 0, 1, 2, 3}, {5, 4, 7, 6, 1, 0, 3, 2},
                                       {6, 7, 4, 5, 2, 3, 0, 1}, {7, 6, 5, 4, 3, 2, 1, 0}};
  return row * 128 + kChunk[row % 8][byte / 16] * 16 + byte % 16;
}

// ---- products ---------------------------------------------------------------------------------

enum Type { kBf16, kFp16, kE4m3 };
enum { kSteps = 2 };  // instructions along k, so that the descriptor's way ahead is tried

template <Type kType>
struct Matrices {
  static constexpr int kDepth = kType == kE4m3 ? 32 : 16, kK = kDepth * kSteps;
  static constexpr int kBytes = kType == kE4m3 ? 1 : 2;
  int n;
  std::vector<std::uint16_t> a, b;  // 64 x kK, kK x n, bits

  explicit Matrices(int columns) : n(columns), a(64 * kK), b(kK * columns) {
    std::mt19937 random(5 + columns);
    std::normal_distribution<float> normal;
    const auto draw = [&] {
      const float x = normal(random);
      const std::uint32_t bits = kType == kBf16   ? ptx::pack_bf16(x, 0)
                                 : kType == kFp16 ? ptx::pack_fp16(x, 0)
                                                  : ptx::pack_e4m3(x, 0, 0, 0);
      return static_cast<std::uint16_t>(bits & (kBytes == 1 ? 0xff : 0xffff));
    };
    for (auto &x : a) x = draw();
    for (auto &x : b) x = draw();
  }
  static double value(std::uint16_t bits) {
    return kType == kBf16 ? bf16(bits) : kType == kFp16 ? fp16(bits) : e4m3(bits);
  }
};

constexpr std::uint32_t kA = 0, kB = 8192, kProductBytes = kB + 64 * 1024;

// One warpgroup: A k-major in shared memory or in registers, B k-major or n-major, all stored by
// the tables above. Started from the number of the row and column.
template <Type kType, int kN, bool kRegisters, bool kTransposed>
void product() {
  const Matrices<kType> m(kN);
  constexpr int kDepth = Matrices<kType>::kDepth, kK = Matrices<kType>::kK;
  constexpr int kBytes = Matrices<kType>::kBytes;
  std::vector<unsigned char> image(kProductBytes);
  const auto put = [&](std::uint32_t at, std::uint16_t bits) {
    std::memcpy(image.data() + at, &bits, kBytes);
  };
  for (int row = 0; row < 64; ++row) {
    for (int k = 0; k < kK; ++k) put(kA + swizzled(row, k * kBytes), m.a[row * kK + k]);
  }
  for (int k = 0; k < kK; ++k) {
    for (int n = 0; n < kN; ++n) {
      // Transposed: a row for each k, 64 columns long; the next 64 columns lie a tile further on.
      put(kB + (kTransposed ? n / 64 * (kK * 128) + swizzled(k, n % 64 * 2)
                            : swizzled(n, k * kBytes)),
          m.b[k * kN + n]);
    }
  }
  std::vector<float> got(64 * kN);
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    sim::launch({.blocks = 1, .threads = 128, .shared_bytes = kProductBytes, .seed = seed}, [&] {
      const int thread = ptx::thread_index(), warp = thread / 32, lane = thread % 32;
      const std::uint32_t shared = ptx::shared_memory();
      for (std::uint32_t at = 16 * thread; at < kProductBytes; at += 16 * 128) {
        ptx::Bits128 chunk;
        std::memcpy(&chunk, image.data() + at, 16);
        ptx::store_shared_16(shared + at, chunk);
      }
      ptx::fence_async_proxy();
      ptx::barrier();
      float d[kN / 2];
      for (int i = 0; i < kN / 2; ++i) {
        const int row = 16 * warp + lane / 4 + (i & 2 ? 8 : 0);
        const int column = i / 4 * 8 + lane % 4 * 2 + (i & 1);
        d[i] = static_cast<float>(row - column);
      }
      std::uint32_t a[kSteps][4] = {};
      for (int step = 0; step < kSteps; ++step) {
        for (int r = 0; r < 4; ++r) {
          for (int e = 0; e < 4 / kBytes; ++e) {
            const int row = 16 * warp + lane / 4 + (r & 1 ? 8 : 0);
            const int k = step * kDepth + (r & 2 ? kDepth / 2 : 0) + lane % 4 * (4 / kBytes) + e;
            a[step][r] |= static_cast<std::uint32_t>(m.a[row * kK + k]) << (8 * kBytes * e);
          }
        }
      }
      ptx::wgmma_fence();
      for (int step = 0; step < kSteps; ++step) {
        const std::uint64_t a_there =
            cuda::descriptor_ahead(cuda::k_major_descriptor(shared + kA), 32 * step);
        const std::uint64_t b_there =
            kTransposed ? cuda::descriptor_ahead(cuda::n_major_descriptor(shared + kB, kK * 128),
                                                 2048 * step)
                        : cuda::descriptor_ahead(cuda::k_major_descriptor(shared + kB), 32 * step);
        if constexpr (kType == kE4m3) {
          if constexpr (kRegisters)
            ptx::wgmma_e4m3(d, a[step], b_there, true);
          else
            ptx::wgmma_e4m3(d, a_there, b_there, true);
        } else if constexpr (kType == kBf16) {
          if constexpr (kRegisters)
            ptx::wgmma_bf16<kTransposed>(d, a[step], b_there, true);
          else
            ptx::wgmma_bf16<kTransposed>(d, a_there, b_there, true);
        } else {
          if constexpr (kRegisters)
            ptx::wgmma_fp16<kTransposed>(d, a[step], b_there, true);
          else
            ptx::wgmma_fp16<kTransposed>(d, a_there, b_there, true);
        }
      }
      ptx::wgmma_commit();
      for (float x : d) check(std::isnan(x), "an accumulator can be read before the wait");
      ptx::wgmma_wait<0>();
      for (int i = 0; i < kN / 2; ++i) {
        const int row = 16 * warp + lane / 4 + (i & 2 ? 8 : 0);
        got[row * kN + i / 4 * 8 + lane % 4 * 2 + (i & 1)] = d[i];
      }
    });
    for (int row = 0; row < 64; ++row) {
      for (int n = 0; n < kN; ++n) {
        double want = row - n;
        for (int k = 0; k < kK; ++k) {
          want += m.value(m.a[row * kK + k]) * m.value(m.b[k * kN + n]);
        }
        check(std::fabs(got[row * kN + n] - want) < 1e-4, "d[%d][%d] is %g, expected %g", row, n,
              got[row * kN + n], want);
      }
    }
  }
}

// Rows of 64 bytes, and a product that does not add.
void product_of_short_rows() {
  std::vector<float> got(64 * 16);
  sim::launch({.blocks = 1, .threads = 128, .shared_bytes = 8192}, [&] {
    const int thread = ptx::thread_index();
    const std::uint32_t shared = ptx::shared_memory();
    // A(row, k) = row + 1 where k = 3, else 0; B(k, n) = n where k = 3, else 5.
    for (int i = thread; i < 8192 / 4; i += 128) ptx::store_shared(shared + 4 * i, 0);
    ptx::barrier();
    const auto at = [](int row, int k) {
      return row * 64 + ((k * 2 / 16) ^ (row / 2 % 4)) * 16 + k * 2 % 16;
    };
    if (thread < 64) {
      ptx::store_shared(shared + at(thread, 2), ptx::pack_bf16(0, static_cast<float>(thread + 1)));
    } else if (thread < 80) {
      const int n = thread - 64;
      for (int k = 0; k < 16; k += 2) {
        const float high = k == 2 ? static_cast<float>(n) : 5;
        ptx::store_shared(shared + 4096 + at(n, k), ptx::pack_bf16(5, high));
      }
    }
    ptx::fence_async_proxy();
    ptx::barrier();
    float d[8];
    for (float &x : d) x = 1000;
    ptx::wgmma_fence();
    ptx::wgmma_bf16<false>(d, cuda::k_major_descriptor(shared, Swizzle::k64, 512),
                           cuda::k_major_descriptor(shared + 4096, Swizzle::k64, 512), false);
    ptx::wgmma_commit();
    ptx::wgmma_wait<0>();
    for (int i = 0; i < 8; ++i) {
      const int row = thread / 32 * 16 + thread % 32 / 4 + i / 2 % 2 * 8;
      got[row * 16 + i / 4 * 8 + thread % 4 * 2 + i % 2] = d[i];
    }
  });
  for (int row = 0; row < 64; ++row) {
    for (int n = 0; n < 16; ++n) {
      check(got[row * 16 + n] == (row + 1) * n, "d[%d][%d] is %g", row, n, got[row * 16 + n]);
    }
  }
}

// Two groups under way: the older one's results are there after wgmma_wait<1>, the newer one's not.
void groups_follow_each_other() {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    sim::launch({.blocks = 2, .threads = 256, .shared_bytes = 16384, .seed = seed}, [] {
      const int thread = ptx::thread_index();
      const std::uint32_t shared = ptx::shared_memory();
      const std::uint32_t ones = ptx::pack_fp16(1, 1);
      for (int i = thread; i < 16384 / 4; i += 256) ptx::store_shared(shared + 4 * i, ones);
      ptx::fence_async_proxy();
      ptx::barrier();
      float first[8] = {}, second[8] = {};
      const std::uint64_t a = cuda::k_major_descriptor(shared);
      const std::uint64_t b = cuda::k_major_descriptor(shared + 8192);
      ptx::wgmma_fence();
      ptx::wgmma_fp16<false>(first, a, b, false);
      ptx::wgmma_fp16<false>(first, a, b, true);
      ptx::wgmma_commit();
      ptx::wgmma_fp16<false>(second, a, b, true);
      ptx::wgmma_commit();
      ptx::wgmma_wait<1>();
      for (int i = 0; i < 8; ++i) {
        check(first[i] == 32 && std::isnan(second[i]), "%g and %g", first[i], second[i]);
      }
      ptx::wgmma_fence();
      ptx::wgmma_fp16<false>(first, a, b, true);
      ptx::wgmma_commit();
      ptx::wgmma_wait<0>();
      for (int i = 0; i < 8; ++i) check(first[i] == 48 && second[i] == 16, "the second wait");
    });
  }
}

// ---- tensor copies ----------------------------------------------------------------------------

struct Aligned {
  explicit Aligned(std::size_t bytes)
      : data(static_cast<unsigned char *>(std::aligned_alloc(128, (bytes + 127) / 128 * 128)),
             &std::free) {}
  std::unique_ptr<unsigned char, decltype(&std::free)> data;
};

// An array [batch][head][token][2][64] of bytes' pairs (as D 128 is cut for a 128-byte swizzle), a
// box that reaches beyond it in two dimensions.
template <int kRank>
void boxes_go_there_and_back(Swizzle swizzle) {
  constexpr int kTokens = 21, kHeads = 3, kBatch = kRank == 5 ? 2 : 1;
  const int row_elements = swizzle == Swizzle::k64 ? 32 : 64;
  const int halves = kRank == 3 ? 1 : 2;
  const int row_bytes = 2 * row_elements;
  const int token_bytes = halves * row_bytes + 32;  // there is something between tokens
  const int head_bytes = kTokens * token_bytes, bytes = kBatch * kHeads * head_bytes;
  Aligned from(bytes), to(bytes);
  for (int i = 0; i < bytes; ++i) {
    from.data.get()[i] = static_cast<unsigned char>(i * 7 + i / 251);
    to.data.get()[i] = 0xee;
  }
  cuda::TensorShape shape{from.data.get(), kRank, 2, {}, {}, {}, swizzle};
  const std::uint64_t extent[5] = {static_cast<std::uint64_t>(row_elements), kTokens,
                                   kRank == 3 ? kHeads : 2u, kHeads, kBatch};
  const std::uint64_t stride[5] = {2, static_cast<std::uint64_t>(token_bytes),
                                   static_cast<std::uint64_t>(kRank == 3 ? head_bytes : row_bytes),
                                   static_cast<std::uint64_t>(head_bytes),
                                   static_cast<std::uint64_t>(kHeads * head_bytes)};
  const std::uint32_t box[5] = {static_cast<std::uint32_t>(row_elements), 8, kRank == 3 ? 1u : 2u,
                                1, 1};
  for (int i = 0; i < kRank; ++i) {
    shape.extent[i] = extent[i];
    shape.stride[i] = stride[i];
    shape.box[i] = box[i];
  }
  const cuda::TensorMap source = cuda::encode_tensor_map(shape);
  shape.data = to.data.get();
  const cuda::TensorMap target = cuda::encode_tensor_map(shape);
  const int box_bytes = 8 * halves * row_bytes;
  constexpr int kFirst[4] = {0, 8, 16,
                             -5};  // tokens; of the box at 16 five are inside, at -5 three
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    std::vector<unsigned char> seen(4 * box_bytes);
    sim::launch({.blocks = 1, .threads = 64, .shared_bytes = 4 * 2048 + 8, .seed = seed}, [&] {
      const std::uint32_t shared = ptx::shared_memory(), bar = shared + 4 * 2048;
      const int thread = ptx::thread_index();
      if (thread == 0) {
        ptx::mbarrier_init(bar, 1);
        ptx::fence_mbarrier_init();
      }
      ptx::barrier();
      if (thread < 32 && ptx::elect_one()) {
        ptx::prefetch_tensor_map(source);
        ptx::mbarrier_arrive_expect(bar, 4 * box_bytes);
        for (int i = 0; i < 4; ++i) {
          if constexpr (kRank == 3)
            ptx::tensor_load(shared + 2048 * i, source, {0, kFirst[i], 1}, bar);
          if constexpr (kRank == 4)
            ptx::tensor_load(shared + 2048 * i, source, {0, kFirst[i], 0, 1}, bar);
          if constexpr (kRank == 5)
            ptx::tensor_load(shared + 2048 * i, source, {0, kFirst[i], 0, 1, 1}, bar);
        }
      }
      ptx::mbarrier_wait(bar, 0);
      for (int i = 0; i < 4; ++i) {
        for (int at = 16 * thread; at < box_bytes; at += 16 * 64) {
          const ptx::Bits128 chunk = ptx::load_shared_16(shared + 2048 * i + at);
          std::memcpy(seen.data() + i * box_bytes + at, &chunk, 16);
        }
      }
      ptx::barrier();
      if (thread < 32 && ptx::elect_one()) {
        for (int i = 0; i < 4; ++i) {
          if constexpr (kRank == 3) ptx::tensor_store(target, {0, kFirst[i], 1}, shared + 2048 * i);
          if constexpr (kRank == 4)
            ptx::tensor_store(target, {0, kFirst[i], 0, 1}, shared + 2048 * i);
          if constexpr (kRank == 5)
            ptx::tensor_store(target, {0, kFirst[i], 0, 1, 1}, shared + 2048 * i);
          ptx::tensor_store_commit();
        }
        ptx::tensor_store_wait_read<1>();
        ptx::store_shared(shared, 7);  // the first three have been read
        ptx::tensor_store_wait<0>();
      }
    });
    const std::size_t head_at = (kRank == 5 ? kHeads * head_bytes : 0) + head_bytes;
    for (int i = 0; i < 4; ++i) {
      for (int half = 0; half < halves; ++half) {
        for (int row = 0; row < 8; ++row) {
          for (int byte = 0; byte < row_bytes; ++byte) {
            const int token = kFirst[i] + row, line = half * 8 + row;
            const bool inside = token >= 0 && token < kTokens;
            const std::size_t at = head_at + token * token_bytes + half * row_bytes + byte;
            const unsigned want = inside ? from.data.get()[at] : 0;
            std::uint32_t place = line * row_bytes + byte;
            if (swizzle == Swizzle::k128) place = swizzled(line, byte);
            if (swizzle == Swizzle::k64)
              place = line * 64 + ((byte / 16) ^ (line / 2 % 4)) * 16 + byte % 16;
            check(seen[i * box_bytes + place] == want,
                  "box %d half %d row %d byte %d is %d, not %d", i, half, row, byte,
                  seen[i * box_bytes + place], want);
          }
        }
      }
    }
    for (std::size_t i = 0; i < static_cast<std::size_t>(bytes); ++i) {
      const bool in_head = i >= head_at && i < head_at + head_bytes;
      const bool stored = in_head && (i - head_at) % token_bytes < std::size_t(halves * row_bytes);
      check(to.data.get()[i] == (stored ? from.data.get()[i] : 0xee), "byte %zu after the store",
            i);
    }
  }
}

// One byte elements, and a map of each wrong kind.
void maps_that_break_a_rule() {
  Aligned array(4096);
  const cuda::TensorShape good{array.data.get(), 3, 1, {128, 8, 2}, {1, 128, 1024}, {128, 8, 1},
                               Swizzle::k128};
  cuda::encode_tensor_map(good);
  const auto refused = [&](auto change) {
    cuda::TensorShape shape = good;
    change(shape);
    try {
      cuda::encode_tensor_map(shape);
    } catch (const std::exception &error) {
      check(std::strstr(error.what(), "tensor map: ") != nullptr, "\"%s\"", error.what());
      return;
    }
    throw std::runtime_error("a shape that breaks a rule was accepted");
  };
  refused([](auto &s) { s.rank = 2; });
  refused([](auto &s) { s.element_bytes = 4; });
  refused([](auto &s) { s.data = static_cast<const char *>(s.data) + 8; });
  refused([](auto &s) { s.stride[1] = 136; });
  refused([](auto &s) { s.extent[2] = 0; });
  refused([](auto &s) { s.box[1] = 257; });
  refused([](auto &s) { s.box[0] = 64; });
}

// ---- mbarriers, registers ---------------------------------------------------------------------

// A ring of two stages: warp 0 produces with tensor copies, two warpgroups' worth of warps consume;
// every number arrives once, in order.
void ring_of_two_stages() {
  Aligned array(64 * 1024);
  auto *numbers = reinterpret_cast<std::uint32_t *>(array.data.get());
  for (int i = 0; i < 16 * 1024; ++i) numbers[i] = i;
  const cuda::TensorMap map = cuda::encode_tensor_map(
      {numbers, 3, 2, {64, 512, 1}, {2, 128, 65536}, {64, 8, 1}, Swizzle::k128});
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    int seen = 0;
    sim::launch({.blocks = 2, .threads = 96, .shared_bytes = 2048 + 64, .seed = seed}, [&] {
      const std::uint32_t shared = ptx::shared_memory(), full = shared + 2048, empty = full + 16;
      const int warp = ptx::thread_index() / 32, lane = ptx::thread_index() % 32;
      if (ptx::thread_index() == 0) {
        for (int stage = 0; stage < 2; ++stage) {
          ptx::mbarrier_init(full + 8 * stage, 1);
          ptx::mbarrier_init(empty + 8 * stage, 2);
        }
        ptx::fence_mbarrier_init();
      }
      ptx::barrier();
      constexpr int kTiles = 9;
      if (warp == 0) {
        if (!ptx::elect_one()) return;
        for (int tile = 0; tile < kTiles; ++tile) {
          const int stage = tile % 2, round = tile / 2;
          ptx::mbarrier_wait(empty + 8 * stage, (round & 1) ^ 1);
          ptx::mbarrier_arrive_expect(full + 8 * stage, 1024);
          ptx::tensor_load(shared + 1024 * stage, map, {0, 8 * tile, 0}, full + 8 * stage);
        }
        return;
      }
      for (int tile = 0; tile < kTiles; ++tile) {
        const int stage = tile % 2, round = tile / 2;
        ptx::mbarrier_wait(full + 8 * stage, round & 1);
        for (int i = lane; i < 256; i += 32) {
          const int row = i / 32, chunk = i % 32 / 4;
          const std::uint32_t got = ptx::load_shared(shared + 1024 * stage + 128 * row +
                                                     ((chunk ^ row) * 16) + i % 4 * 4);
          check(got == std::uint32_t(256 * tile + i), "tile %d number %d is %u", tile, i, got);
        }
        ptx::warp_sync();
        if (lane == 0) {
          ++seen;
          ptx::mbarrier_arrive(empty + 8 * stage);
        }
      }
    });
    check(seen == 2 * 2 * 9, "%d tiles were seen", seen);
  }
}

void registers_change_hands() {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    sim::launch({.blocks = 2, .threads = 384, .shared_bytes = 16, .seed = seed}, [] {
      if (ptx::thread_index() < 128) {
        ptx::give_registers<24>();
      } else {
        ptx::take_registers<240>();
      }
    });
  }
}

void all_lanes_but_one_are_not_elected() {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    int elected = 0;
    sim::launch({.blocks = 1, .threads = 64, .seed = seed}, [&] {
      const bool first = ptx::elect_one();
      check(first == ptx::elect_one(), "another lane the second time");
      elected += first;
    });
    check(elected == 2, "%d lanes of two warps", elected);
  }
}

// ---- stmatrix, e4m3 ---------------------------------------------------------------------------

template <int N>
void stmatrix_is_the_reverse_of_ldmatrix() {
  sim::launch({.blocks = 1, .threads = 32, .shared_bytes = 4096}, [] {
    const int lane = ptx::thread_index();
    const std::uint32_t shared = ptx::shared_memory();
    std::uint32_t given[N], got[N];
    for (int i = 0; i < N; ++i) given[i] = 1000 * i + lane;
    const std::uint32_t address = lane < 8 * N ? shared + 16 * (lane * 5 % 32) : 0xfffffff0u;
    ptx::stmatrix(address, given);
    ptx::warp_sync();
    ptx::ldmatrix(got, address);
    for (int i = 0; i < N; ++i) check(got[i] == given[i], "matrix %d of lane %d", i, lane);
  });
}

void e4m3_rounds_to_nearest_even() {
  // Every finite value is itself, and what lies between two goes to the nearer, ties to even.
  std::vector<float> values;
  for (std::uint32_t bits = 0; bits < 0x7f; ++bits) values.push_back(e4m3(bits));
  const auto packed = [](float x) { return ptx::pack_e4m3(x, 0, 0, 0) & 0xff; };
  for (std::uint32_t i = 0; i + 1 < values.size(); ++i) {
    const float middle = (values[i] + values[i + 1]) / 2;
    check(packed(values[i]) == i && packed(-values[i]) == (i | 0x80), "%g", values[i]);
    check(packed(middle) == (i % 2 == 0 ? i : i + 1), "the tie %g", middle);
    check(packed(std::nextafter(middle, 1000.0f)) == i + 1, "above %g", middle);
    check(packed(std::nextafter(middle, 0.0f)) == i, "below %g", middle);
  }
  check(packed(1e9f) == 0x7e && packed(-INFINITY) == 0xfe && packed(449) == 0x7e, "saturation");
  check((packed(NAN) & 0x7f) == 0x7f, "NaN");
  check(ptx::pack_e4m3(1, 2, -3, 0.5f) == 0x30c44038, "the order of four");
}

}  // namespace

int main() {
  test::Cases cases;
  cases.run("wgmma m64n16k16 bf16", product<kBf16, 16, false, false>);
  cases.run("wgmma m64n128k16 bf16", product<kBf16, 128, false, false>);
  cases.run("wgmma m64n176k16 bf16", product<kBf16, 176, false, false>);
  cases.run("wgmma m64n64k16 bf16, B transposed", product<kBf16, 64, false, true>);
  cases.run("wgmma m64n128k16 fp16, B transposed", product<kFp16, 128, false, true>);
  cases.run("wgmma m64n192k16 bf16, A registers, B transposed", product<kBf16, 192, true, true>);
  cases.run("wgmma m64n128k16 fp16, A registers, B transposed", product<kFp16, 128, true, true>);
  cases.run("wgmma m64n96k16 fp16, A registers", product<kFp16, 96, true, false>);
  cases.run("wgmma m64n128k32 e4m3", product<kE4m3, 128, false, false>);
  cases.run("wgmma m64n64k32 e4m3, A registers", product<kE4m3, 64, true, false>);
  cases.run("wgmma of rows of 64 bytes", product_of_short_rows);
  cases.run("groups of products follow each other", groups_follow_each_other);
  cases.run("boxes of 3 dimensions", [] { boxes_go_there_and_back<3>(Swizzle::k128); });
  cases.run("boxes of 4 dimensions", [] { boxes_go_there_and_back<4>(Swizzle::k128); });
  cases.run("boxes of 5 dimensions", [] { boxes_go_there_and_back<5>(Swizzle::k128); });
  cases.run("boxes with 64-byte swizzle", [] { boxes_go_there_and_back<4>(Swizzle::k64); });
  cases.run("boxes without swizzle", [] { boxes_go_there_and_back<4>(Swizzle::kNone); });
  cases.run("tensor maps that break a rule are refused", maps_that_break_a_rule);
  cases.run("a ring of two stages", ring_of_two_stages);
  cases.run("registers change hands", registers_change_hands);
  cases.run("one lane is elected", all_lanes_but_one_are_not_elected);
  cases.run("stmatrix x1", stmatrix_is_the_reverse_of_ldmatrix<1>);
  cases.run("stmatrix x2", stmatrix_is_the_reverse_of_ldmatrix<2>);
  cases.run("stmatrix x4", stmatrix_is_the_reverse_of_ldmatrix<4>);
  cases.run("e4m3 rounds to nearest even", e4m3_rounds_to_nearest_even);
  return cases.finish();
}

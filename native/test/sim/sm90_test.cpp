// The simulator's other sm_90a primitives, tensor copies, mbarriers, stmatrix, conversions, against
// the PTX ISA's layouts, spelled out element by element.
#include <cmath>
#include <cstring>
#include <memory>
#include <vector>

#include "cases.h"
#include "cuda/ptx/ptx_sm90.cuh"
#include "layouts.h"

namespace {

using namespace svdit;
using cuda::Swizzle;
using test::check;
using test::e4m3;
using test::swizzled;

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

// Runs of three lengths from three places into one phase, in whatever order they arrive.
void runs_arrive() {
  constexpr std::uint32_t kFrom[3] = {16, 400, 0}, kTo[3] = {64, 16, 640},
                          kBytes[3] = {512, 16, 128};
  Aligned array(528);  // what the longest run needs and no more: AddressSanitizer watches the rest
  for (int i = 0; i < 528; ++i) array.data.get()[i] = static_cast<unsigned char>(i * 11 + i / 256);
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    std::vector<unsigned char> seen(1024, 0xee);
    sim::launch({.blocks = 2, .threads = 64, .shared_bytes = 1024 + 8, .seed = seed}, [&] {
      const std::uint32_t shared = ptx::shared_memory(), bar = shared + 1024;
      const int thread = ptx::thread_index();
      if (thread == 32) {
        ptx::mbarrier_init(bar, 1);
        ptx::fence_mbarrier_init();
        ptx::mbarrier_arrive_expect(bar, kBytes[0] + kBytes[1] + kBytes[2]);
        for (int i = 0; i < 3; ++i) {
          ptx::bulk_load(shared + kTo[i], array.data.get() + kFrom[i], kBytes[i], bar);
        }
      }
      ptx::barrier();
      ptx::mbarrier_wait(bar, 0);
      for (int i = 0; i < 3; ++i) {
        for (std::uint32_t at = 4 * thread; at < kBytes[i]; at += 4 * 64) {
          const std::uint32_t word = ptx::load_shared(shared + kTo[i] + at);
          std::memcpy(seen.data() + kTo[i] + at, &word, 4);
        }
      }
    });
    for (std::uint32_t i = 0; i < 1024; ++i) {
      unsigned want = 0xee;
      for (int run = 0; run < 3; ++run) {
        if (i >= kTo[run] && i < kTo[run] + kBytes[run]) {
          want = array.data.get()[kFrom[run] + i - kTo[run]];
        }
      }
      check(seen[i] == want, "byte %u is %u, not %u", i, seen[i], want);
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
  cases.run("boxes of 3 dimensions", [] { boxes_go_there_and_back<3>(Swizzle::k128); });
  cases.run("boxes of 4 dimensions", [] { boxes_go_there_and_back<4>(Swizzle::k128); });
  cases.run("boxes of 5 dimensions", [] { boxes_go_there_and_back<5>(Swizzle::k128); });
  cases.run("boxes with 64-byte swizzle", [] { boxes_go_there_and_back<4>(Swizzle::k64); });
  cases.run("boxes without swizzle", [] { boxes_go_there_and_back<4>(Swizzle::kNone); });
  cases.run("runs of bytes", runs_arrive);
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

// The simulator's primitives against the layouts as the PTX ISA's figures give them, element by
// element, and against plain matrix products in double precision.
#include <bit>
#include <cmath>
#include <random>

#include "cases.h"
#include "cuda/ptx/ptx.cuh"

namespace {

using namespace svdit;
using test::check;

const sim::Launch kWarp{.blocks = 1, .threads = 32, .shared_bytes = 4096};

// The ISA's figures for m16n8k16, spelled out per element: which lane and which of its elements
// hold it.
struct Holder {
  int lane, element;
};
Holder holder_of_a(int row, int column) {
  return {row % 8 * 4 + column % 8 / 2, (row >= 8 ? 2 : 0) + (column >= 8 ? 4 : 0) + column % 2};
}
Holder holder_of_b(int row, int column) {
  return {column * 4 + row % 8 / 2, (row >= 8 ? 2 : 0) + row % 2};
}
Holder holder_of_c(int row, int column) {
  return {row % 8 * 4 + column / 2, (row >= 8 ? 2 : 0) + column % 2};
}

float bf16(std::uint32_t bits) { return std::bit_cast<float>(bits << 16); }
float fp16(std::uint32_t bits) {
  return static_cast<float>(std::bit_cast<_Float16>(static_cast<std::uint16_t>(bits)));
}

template <bool kBf16>
void mma_follows_the_layout() {
  std::mt19937 random(7);
  std::normal_distribution<float> normal;
  double a[16][16], b[16][8], c[16][8];
  std::uint32_t a_registers[32][4] = {}, b_registers[32][2] = {};
  float d_registers[32][4];
  const auto put = [&](std::uint32_t *registers, int element, double &value) {
    const float drawn = normal(random);
    const std::uint32_t bits =
        (kBf16 ? ptx::pack_bf16(drawn, 0) : ptx::pack_fp16(drawn, 0)) & 0xffff;
    value = kBf16 ? bf16(bits) : fp16(bits);
    registers[element / 2] |= bits << (element % 2 * 16);
  };
  for (int i = 0; i < 16; ++i) {
    for (int j = 0; j < 16; ++j) {
      const Holder h = holder_of_a(i, j);
      put(a_registers[h.lane], h.element, a[i][j]);
    }
    for (int j = 0; j < 8; ++j) {
      const Holder h = holder_of_b(i, j);
      put(b_registers[h.lane], h.element, b[i][j]);
      const Holder hc = holder_of_c(i, j);
      c[i][j] = d_registers[hc.lane][hc.element] = normal(random);
    }
  }
  sim::launch(kWarp, [&] {
    const int lane = ptx::thread_index();
    if constexpr (kBf16) {
      ptx::mma_bf16(d_registers[lane], a_registers[lane], b_registers[lane][0],
                    b_registers[lane][1]);
    } else {
      ptx::mma_fp16(d_registers[lane], a_registers[lane], b_registers[lane][0],
                    b_registers[lane][1]);
    }
  });
  for (int i = 0; i < 16; ++i) {
    for (int j = 0; j < 8; ++j) {
      double want = c[i][j];
      for (int k = 0; k < 16; ++k) want += a[i][k] * b[k][j];
      const Holder h = holder_of_c(i, j);
      const float got = d_registers[h.lane][h.element];
      check(std::fabs(got - want) < 1e-5, "d[%d][%d] is %g, expected %g", i, j, got, want);
    }
  }
}

template <int N, bool kTransposed>
void ldmatrix_follows_the_layout() {
  sim::launch(kWarp, [] {
    const int lane = ptx::thread_index();
    const std::uint32_t shared = ptx::shared_memory();
    // Element (row, column) of matrix i is 64 i + 8 row + column; the rows lie scattered.
    const auto row_address = [&](int row) { return shared + 16 * (row * 5 % 32); };
    const std::uint32_t first = lane * 8;
    ptx::store_shared_16(row_address(lane),
                         {first | (first + 1) << 16, (first + 2) | (first + 3) << 16,
                          (first + 4) | (first + 5) << 16, (first + 6) | (first + 7) << 16});
    ptx::warp_sync();
    std::uint32_t r[N];
    // Lanes past the matrices' rows point nowhere: their addresses must not matter.
    const std::uint32_t address = lane < 8 * N ? row_address(lane) : 0xfffffff0u;
    if constexpr (kTransposed) {
      ptx::ldmatrix_transposed(r, address);
    } else {
      ptx::ldmatrix(r, address);
    }
    for (int i = 0; i < N; ++i) {
      for (int half = 0; half < 2; ++half) {
        const int a = lane / 4, b = lane % 4 * 2 + half;
        const std::uint32_t want = 64 * i + (kTransposed ? 8 * b + a : 8 * a + b);
        const std::uint32_t got = r[i] >> (16 * half) & 0xffff;
        check(got == want, "lane %d matrix %d half %d is %u, expected %u", lane, i, half, got,
              want);
      }
    }
  });
}

// As the attention kernel uses them: rows of shared memory through ldmatrix into mma give a
// product.
void matrices_through_shared_memory() {
  std::mt19937 random(11);
  std::normal_distribution<float> normal;
  float a[16][16], b_columns[8][16], b_rows[16][8];
  std::uint32_t a_words[16][8], b_words[8][8], b_row_words[16][4];
  for (auto &row : a)
    for (float &x : row) x = bf16(ptx::pack_bf16(normal(random), 0));
  for (int n = 0; n < 8; ++n) {
    for (int k = 0; k < 16; ++k)
      b_rows[k][n] = b_columns[n][k] = bf16(ptx::pack_bf16(normal(random), 0));
  }
  for (int i = 0; i < 16; ++i) {
    for (int j = 0; j < 8; ++j) a_words[i][j] = ptx::pack_bf16(a[i][2 * j], a[i][2 * j + 1]);
    for (int j = 0; j < 4; ++j)
      b_row_words[i][j] = ptx::pack_bf16(b_rows[i][2 * j], b_rows[i][2 * j + 1]);
  }
  for (int i = 0; i < 8; ++i) {
    for (int j = 0; j < 8; ++j)
      b_words[i][j] = ptx::pack_bf16(b_columns[i][2 * j], b_columns[i][2 * j + 1]);
  }
  float d[2][16][8];
  sim::launch(kWarp, [&] {
    const int lane = ptx::thread_index();
    const std::uint32_t shared = ptx::shared_memory();
    for (int i = lane; i < 128; i += 32) ptx::store_shared(shared + 4 * i, a_words[i / 8][i % 8]);
    for (int i = lane; i < 64; i += 32)
      ptx::store_shared(shared + 512 + 4 * i, b_words[i / 8][i % 8]);
    for (int i = lane; i < 64; i += 32)
      ptx::store_shared(shared + 768 + 4 * i, b_row_words[i / 4][i % 4]);
    ptx::warp_sync();
    std::uint32_t fa[4], fb[2], fc[2];
    ptx::ldmatrix(fa, shared + 32 * (lane % 16) + 16 * (lane / 16));
    ptx::ldmatrix(fb, shared + 512 + 32 * (lane % 8) + 16 * (lane / 8 % 2));
    ptx::ldmatrix_transposed(fc, shared + 768 + 16 * (lane % 16));
    float sums[2][4] = {};
    ptx::mma_bf16(sums[0], fa, fb[0], fb[1]);
    ptx::mma_bf16(sums[1], fa, fc[0], fc[1]);
    for (int way = 0; way < 2; ++way) {
      for (int r = 0; r < 4; ++r)
        d[way][lane / 4 + 8 * (r / 2)][lane % 4 * 2 + r % 2] = sums[way][r];
    }
  });
  for (int way = 0; way < 2; ++way) {
    for (int i = 0; i < 16; ++i) {
      for (int j = 0; j < 8; ++j) {
        double want = 0;
        for (int k = 0; k < 16; ++k) want += double(a[i][k]) * b_rows[k][j];
        check(std::fabs(d[way][i][j] - want) < 1e-5, "way %d [%d][%d] is %g, expected %g", way, i,
              j, d[way][i][j], want);
      }
    }
  }
}

void conversions() {
  // Ties to even, overflow, infinities and NaN, as cvt.rn does them.
  check(ptx::pack_bf16(1.0f, -2.0f) == 0xc0003f80, "bf16 halves");
  check(ptx::pack_bf16(std::bit_cast<float>(0x3f808000u), std::bit_cast<float>(0x3f818000u)) ==
            0x3f823f80,
        "bf16 ties");
  check(ptx::pack_bf16(3.4e38f, INFINITY) == 0x7f807f80, "bf16 overflow");
  check((ptx::pack_bf16(NAN, 0) & 0x7fff) > 0x7f80, "bf16 NaN");
  check(ptx::pack_fp16(1.0f, -2.0f) == 0xc0003c00, "fp16 halves");
  check(ptx::pack_fp16(1.0f + 1.0f / 2048, 1.0f + 3.0f / 2048) == 0x3c023c00, "fp16 ties");
  check(ptx::pack_fp16(65520.0f, 65519.0f) == 0x7bff7c00, "fp16 overflow");
  check(ptx::pack_fp16(std::ldexp(1.0f, -24), std::ldexp(1.0f, -26)) == 0x00000001,
        "fp16 subnormals");
}

void exponentials() {
  check(ptx::exp2_approx(-INFINITY) == 0 && ptx::exp2_approx(0) == 1, "exp2 at -inf and 0");
  check(ptx::exp2_approx(-126.5f) == 0, "exp2 flushes subnormals");
  check(std::isnan(ptx::exp2_approx(NAN)), "exp2 of NaN");
  check(std::fabs(ptx::exp2_approx(-3.3f) - std::exp2(-3.3)) < 1e-7, "exp2");
  check(ptx::log2_approx(8) == 3 && ptx::log2_approx(0) == -INFINITY, "log2");
}

void shuffles() {
  sim::launch(kWarp, [] {
    const int lane = ptx::thread_index();
    for (int mask : {1, 2, 4, 8, 16}) {
      check(ptx::shuffle_xor(static_cast<float>(lane), mask) == static_cast<float>(lane ^ mask),
            "xor");
    }
    check(ptx::shuffle(lane * 3, (lane + 1) % 32) == std::uint32_t((lane + 1) % 32 * 3), "index");
  });
}

}  // namespace

int main() {
  test::Cases cases;
  cases.run("mma bf16 layout", mma_follows_the_layout<true>);
  cases.run("mma fp16 layout", mma_follows_the_layout<false>);
  cases.run("ldmatrix x1", ldmatrix_follows_the_layout<1, false>);
  cases.run("ldmatrix x2", ldmatrix_follows_the_layout<2, false>);
  cases.run("ldmatrix x4", ldmatrix_follows_the_layout<4, false>);
  cases.run("ldmatrix x1 transposed", ldmatrix_follows_the_layout<1, true>);
  cases.run("ldmatrix x2 transposed", ldmatrix_follows_the_layout<2, true>);
  cases.run("ldmatrix x4 transposed", ldmatrix_follows_the_layout<4, true>);
  cases.run("products through shared memory", matrices_through_shared_memory);
  cases.run("conversions", conversions);
  cases.run("exp2 and log2", exponentials);
  cases.run("shuffles", shuffles);
  return cases.finish();
}

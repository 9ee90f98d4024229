// The simulator and the kernels' descriptors against what CuTe states (layouts/README.md).
#include "layouts.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

#include "cases.h"
#include "cuda/kernels/shape_e4m3_sm90.cuh"
#include "cuda/ptx/ptx_sm90.cuh"

namespace {

using namespace svdit;
using test::check;

// A line's fields; those that are numbers, as numbers.
struct Line {
  std::vector<std::string> text;
  int operator[](int i) const { return std::stoi(text[i]); }
};

std::vector<Line> lines_of(const char *file) {
  const std::string path = std::string("native/test/sim/layouts/") + file + ".csv";
  std::ifstream in(path);
  check(static_cast<bool>(in), "%s cannot be read", path.c_str());
  std::vector<Line> lines;
  std::string row;
  std::getline(in, row);  // names
  while (std::getline(in, row)) {
    Line line;
    std::istringstream fields(row);
    for (std::string field; std::getline(fields, field, ',');) line.text.push_back(field);
    lines.push_back(line);
  }
  check(lines.size() > 100, "%s has %zu lines", path.c_str(), lines.size());
  return lines;
}

// Small integers, so that products are exact; no row or column is like another.
int a_number(int row, int k) { return (row * 7 + k * 3 + row * k) % 5 - 2; }
int b_number(int k, int n) { return (k * 5 + n * 11 + k * n) % 7 - 3; }
float product(int row, int n, int depth) {
  int sum = 0;
  for (int k = 0; k < depth; ++k) sum += a_number(row, k) * b_number(k, n);
  return static_cast<float>(sum);
}

std::uint32_t bf16(int x) { return std::bit_cast<std::uint32_t>(static_cast<float>(x)) >> 16; }
std::uint32_t e4m3(int x) { return ptx::pack_e4m3(static_cast<float>(x), 0, 0, 0) & 0xff; }

void mma() {
  std::uint32_t a[32][4] = {}, b[32][2] = {};
  const std::vector<Line> lines = lines_of("mma_m16n8k16");
  for (const Line &l : lines) {
    const int thread = l[1], value = l[2], row = l[3], column = l[4];
    if (l.text[0] == "A") a[thread][value / 2] |= bf16(a_number(row, column)) << value % 2 * 16;
    if (l.text[0] == "B") b[thread][value / 2] |= bf16(b_number(column, row)) << value % 2 * 16;
  }
  float d[32][4] = {};
  sim::launch({.blocks = 1, .threads = 32, .shared_bytes = 16}, [&] {
    const int lane = ptx::thread_index();
    ptx::mma_bf16(d[lane], a[lane], b[lane][0], b[lane][1]);
  });
  int results = 0;
  for (const Line &l : lines) {
    if (l.text[0] != "C") continue;
    ++results;
    check(d[l[1]][l[2]] == product(l[3], l[4], 16), "thread %d value %d is %g, not [%d, %d]", l[1],
          l[2], d[l[1]][l[2]], l[3], l[4]);
  }
  check(results == 128, "%d results", results);
}

template <int N>
void load_matrices(std::uint32_t address, bool transposed, std::uint32_t *out) {
  std::uint32_t r[N];
  if (transposed) {
    ptx::ldmatrix_transposed(r, address);
  } else {
    ptx::ldmatrix(r, address);
  }
  std::memcpy(out, r, sizeof r);
}

// Halves are numbered 8 * (lane that points at their row) + element.
void ldmatrix() {
  for (const char *name : {"x1", "x2", "x4", "x1.trans", "x2.trans", "x4.trans"}) {
    const int count = name[1] - '0';
    const bool transposed = std::strlen(name) > 2;
    std::uint32_t got[32][4] = {};
    sim::launch({.blocks = 1, .threads = 32, .shared_bytes = 512}, [&] {
      const int lane = ptx::thread_index();
      const std::uint32_t row = ptx::shared_memory() + 16 * lane;
      for (int i = 0; i < 4; ++i) {
        const std::uint32_t first = 8 * lane + 2 * i;
        ptx::store_shared(row + 4 * i, first | (first + 1) << 16);
      }
      ptx::warp_sync();
      if (count == 1) load_matrices<1>(row, transposed, got[lane]);
      if (count == 2) load_matrices<2>(row, transposed, got[lane]);
      if (count == 4) load_matrices<4>(row, transposed, got[lane]);
    });
    int halves = 0;
    for (const Line &l : lines_of("ldmatrix")) {
      if (l.text[0] != name) continue;
      ++halves;
      const int half = static_cast<int>(got[l[1]][l[2]] >> l[3] * 16 & 0xffff);
      check(half == 8 * l[4] + l[5], "%s: thread %d register %d half %d is %d", name, l[1], l[2],
            l[3], half);
    }
    check(halves == 64 * count, "%s: %d halves", name, halves);
  }
}

template <int N>
void store_matrices(std::uint32_t address, const std::uint32_t *registers) {
  std::uint32_t r[N];
  std::memcpy(r, registers, sizeof r);
  ptx::stmatrix(address, r);
}

void stmatrix() {
  for (const char *name : {"x1", "x2", "x4"}) {
    const int count = name[1] - '0';
    std::uint32_t registers[32][4] = {};
    int halves = 0;
    for (const Line &l : lines_of("stmatrix")) {
      if (l.text[0] != name) continue;
      ++halves;
      registers[l[1]][l[2]] |= static_cast<std::uint32_t>(8 * l[4] + l[5]) << l[3] * 16;
    }
    check(halves == 64 * count, "%s: %d halves", name, halves);
    std::uint32_t got[32][4] = {};
    sim::launch({.blocks = 1, .threads = 32, .shared_bytes = 512}, [&] {
      const int lane = ptx::thread_index();
      const std::uint32_t row = ptx::shared_memory() + 16 * lane;
      if (count == 1) store_matrices<1>(row, registers[lane]);
      if (count == 2) store_matrices<2>(row, registers[lane]);
      if (count == 4) store_matrices<4>(row, registers[lane]);
      ptx::warp_sync();
      for (int i = 0; i < 4 && lane < 8 * count; ++i) got[lane][i] = ptx::load_shared(row + 4 * i);
    });
    for (int half = 0; half < 64 * count; ++half) {
      const int found = static_cast<int>(got[half / 8][half % 8 / 2] >> half % 2 * 16 & 0xffff);
      check(found == half, "%s: row %d element %d is %d", name, half / 8, half % 8, found);
    }
  }
}

// A from registers, B k-major as a tile of keys, accumulators: one product of each element size.
template <int kBits, int kN>
void wgmma(const char *keys) {
  constexpr int kDepth = 256 / kBits, kBytes = kBits / 8;
  std::vector<unsigned char> image(kN * 256);
  for (const Line &l : lines_of("tiles")) {
    if (l.text[0] != keys) continue;
    for (int i = 0; i < 16 / kBytes; ++i) {
      const int k = l[2] * (16 / kBytes) + i;
      if (k >= kDepth) continue;
      const std::uint32_t bits = kBits == 8 ? e4m3(b_number(k, l[1])) : bf16(b_number(k, l[1]));
      std::memcpy(&image[l[3] + i * kBytes], &bits, kBytes);
    }
  }
  std::uint32_t a[128][4] = {};
  for (const Line &l : lines_of("wgmma_a_registers")) {
    if (l[0] != kBits) continue;
    const std::uint32_t bits = kBits == 8 ? e4m3(a_number(l[3], l[4])) : bf16(a_number(l[3], l[4]));
    a[l[1]][l[2] * kBytes / 4] |= bits << l[2] * kBits % 32;
  }
  std::vector<float> got(128 * kN / 2);
  sim::launch({.blocks = 1, .threads = 128, .shared_bytes = kN * 256}, [&] {
    const int thread = ptx::thread_index();
    const std::uint32_t shared = ptx::shared_memory();
    for (int at = 16 * thread; at < kN * 256; at += 16 * 128) {
      ptx::Bits128 chunk;
      std::memcpy(&chunk, &image[at], 16);
      ptx::store_shared_16(shared + at, chunk);
    }
    ptx::fence_async_proxy();
    ptx::barrier();
    float d[kN / 2] = {};
    ptx::wgmma_fence();
    if constexpr (kBits == 8) ptx::wgmma_e4m3(d, a[thread], cuda::k_major_descriptor(shared), true);
    if constexpr (kBits == 16)
      ptx::wgmma_bf16<false>(d, a[thread], cuda::k_major_descriptor(shared), true);
    ptx::wgmma_commit();
    ptx::wgmma_wait<0>();
    std::memcpy(&got[thread * kN / 2], d, sizeof d);
  });
  int results = 0;
  for (const Line &l : lines_of("wgmma_d")) {
    if (l[1] >= kN / 2) continue;
    ++results;
    const float value = got[l[0] * kN / 2 + l[1]];
    check(value == product(l[2], l[3], kDepth), "thread %d value %d is %g, not [%d, %d]", l[0],
          l[1], value, l[2], l[3]);
  }
  check(results == 64 * kN, "%d results", results);
}

// A tile's name: operand, bits of an element, head dim.
struct Tile {
  char operand;
  int bits, head_dim;
  explicit Tile(const std::string &name)
      : operand(name[0]),
        bits(std::stoi(name.substr(1))),
        head_dim(std::stoi(name.substr(name.find('d') + 1))) {}
  int keys() const { return bits == 8 || head_dim == 64 ? 128 : 176; }
  int lines() const { return operand == 'q' ? 64 : keys(); }
};

// Where the producers and quantise_e4m3 put what the tensor cores read.
void tiles() {
  for (const Line &l : lines_of("tiles")) {
    const Tile tile(l.text[0]);
    const int line = l[1], chunk = l[2];
    std::uint32_t place;
    if (tile.bits == 16) {
      place = chunk / 8 * tile.lines() * 128 + test::swizzled(line, chunk % 8 * 16);
    } else if (tile.operand == 'v') {  // a unit of 64 keys after the other
      place = chunk / 4 * 64 * tile.head_dim + cuda::swizzled_chunk<64>(line, chunk % 4);
    } else {
      place = tile.head_dim == 128 ? cuda::swizzled_chunk<128>(line, chunk)
                                   : cuda::swizzled_chunk<64>(line, chunk);
    }
    check(place == static_cast<std::uint32_t>(l[3]), "%s line %d chunk %d: %u, CuTe has %d",
          l.text[0].c_str(), line, chunk, place, l[3]);
  }
}

// The words the arithmetic files make of a tile's address.
void descriptors() {
  using cuda::Swizzle;
  for (const Line &l : lines_of("descriptors")) {
    const Tile tile(l.text[0]);
    const auto base = static_cast<std::uint32_t>(l[1]);
    const int step = l[2];
    std::uint64_t own;
    if (tile.bits == 16 && tile.operand == 'v') {
      own = cuda::descriptor_ahead(
          cuda::n_major_descriptor(base, tile.head_dim == 64 ? 0 : tile.keys() * 128),
          step * 16 * 128);
    } else if (tile.bits == 16) {
      const int d = step * 16;
      own = cuda::descriptor_ahead(cuda::k_major_descriptor(base),
                                   d / 64 * tile.lines() * 128 + d % 64 * 2);
    } else if (tile.operand == 'v') {
      const int key = step * 32;
      own = cuda::descriptor_ahead(cuda::k_major_descriptor(base, Swizzle::k64, 512),
                                   key / 64 * 64 * tile.head_dim + key % 64);
    } else {
      own = cuda::descriptor_ahead(
          cuda::k_major_descriptor(base, tile.head_dim == 128 ? Swizzle::k128 : Swizzle::k64,
                                   8 * tile.head_dim),
          step * 32);
    }
    const std::uint64_t theirs = std::stoull(l.text[3], nullptr, 16);
    check(own == theirs, "%s at %u step %d: %016llx, CuTe has %016llx", l.text[0].c_str(), base,
          step, static_cast<unsigned long long>(own), static_cast<unsigned long long>(theirs));
  }
}

}  // namespace

int main() {
  test::Cases cases;
  cases.run("mma.m16n8k16: operands and result", mma);
  cases.run("ldmatrix", ldmatrix);
  cases.run("stmatrix", stmatrix);
  cases.run("wgmma m64n176k16: A in registers, a tile of keys, accumulators",
            [] { wgmma<16, 176>("k16_d128"); });
  cases.run("wgmma m64n128k32 e4m3: the same", [] { wgmma<8, 128>("k8_d128"); });
  cases.run("where tiles have their chunks", tiles);
  cases.run("matrix descriptors", descriptors);
  return cases.finish();
}

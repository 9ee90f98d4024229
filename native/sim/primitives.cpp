#include "primitives.h"

#include <bit>
#include <cfloat>
#include <cmath>
#include <cstring>

#include "base/bf16.h"

// mma's arithmetic works on arrays of its own; watching every element of them would make it ten
// times slower.
#define SVDIT_UNWATCHED __attribute__((no_sanitize("address", "undefined")))

namespace svdit::ptx {
namespace {

using sim::Access;
using sim::Collective;
using sim::current;
using sim::fail;
using sim::kLanes;
using sim::Lane;
using sim::Warp;

// ---- barriers ---------------------------------------------------------------------------------

struct BarrierOperands {
  int id, threads;
  bool wait;
};

bool execute_barrier(Warp &warp) {
  const auto &first = warp.operand<BarrierOperands>(0);
  for (int lane = 1; lane < kLanes; ++lane) {
    const auto &other = warp.operand<BarrierOperands>(lane);
    if (other.id != first.id || other.threads != first.threads) {
      fail("lanes of one warp name barriers %d and %d", first.id, other.id);
    }
  }
  if (first.threads <= 0 || first.threads % kLanes != 0) {
    fail("barrier %d for %d threads: not a multiple of 32", first.id, first.threads);
  }
  const BarrierOperands barrier = first;
  return warp.block->arrive(warp, barrier.id, barrier.threads, barrier.wait) || !barrier.wait;
}

void meet(const char *name, BarrierOperands operands, const Site &site) {
  if (sim::left_out(name, site)) return;
  current().rendezvous({name, execute_barrier, site}, &operands);
}

bool execute_warp_sync(Warp &warp) {
  warp.synchronised();
  return true;
}

// ---- ldmatrix ---------------------------------------------------------------------------------

struct MatrixOperands {
  std::uint32_t address;
  std::uint32_t *registers;
  int count;
  bool transposed;
};

// Matrix i's row r is the 16 bytes that lane 8 i + r points at. Lane l receives of every matrix
// elements (l / 4, 2 (l % 4)) and (l / 4, 2 (l % 4) + 1); transposed, (2 (l % 4), l / 4) and (2 (l
// % 4) + 1, l / 4).
bool execute_ldmatrix(Warp &warp) {
  const int count = warp.operand<MatrixOperands>(0).count;
  const bool transposed = warp.operand<MatrixOperands>(0).transposed;
  warp.touched = ~0u;
  for (int i = 0; i < count; ++i) {
    std::uint16_t matrix[8][8];
    std::uint32_t addresses[8];
    for (int row = 0; row < 8; ++row) {
      addresses[row] = warp.operand<MatrixOperands>(8 * i + row).address;
      warp.block->shared.read(warp.access(), addresses[row], matrix[row], 16);
    }
    const int passes = sim::wavefronts(addresses, 8, 16);
    sim::report().shared_wavefronts += passes;
    sim::report().bank_conflicts += passes - 1;
    for (int lane = 0; lane < kLanes; ++lane) {
      const int a = lane / 4, b = lane % 4 * 2;
      const std::uint32_t low = transposed ? matrix[b][a] : matrix[a][b];
      const std::uint32_t high = transposed ? matrix[b + 1][a] : matrix[a][b + 1];
      warp.operand<MatrixOperands>(lane).registers[i] = low | high << 16;
    }
  }
  return true;
}

// ---- mma --------------------------------------------------------------------------------------

struct MmaOperands {
  float *d;
  const std::uint32_t *a;
  std::uint32_t b[2];
};

SVDIT_UNWATCHED float from_bf16(std::uint32_t bits) { return std::bit_cast<float>(bits << 16); }
SVDIT_UNWATCHED float from_fp16(std::uint32_t bits) {
  return static_cast<float>(std::bit_cast<_Float16>(static_cast<std::uint16_t>(bits)));
}

// m16n8k16, A row-major, B column-major; g = lane / 4, t = lane % 4:
// A: register r holds row g + 8 (r % 2), columns 2t + 8 (r / 2) and the next;
// B: register r holds rows 2t + 8 r and the next, column g;  C, D: register r holds row g + 8 (r /
// 2), column 2t + r % 2.
template <float Convert(std::uint32_t)>
SVDIT_UNWATCHED bool execute_mma(Warp &warp) {
  float a[16][16], b[16][8], d[16][8];
  for (int lane = 0; lane < kLanes; ++lane) {
    const MmaOperands &own = *static_cast<MmaOperands *>(warp.operands.data()[lane]);
    const int g = lane / 4, t = lane % 4;
    for (int r = 0; r < 4; ++r) {
      a[g + 8 * (r % 2)][2 * t + 8 * (r / 2)] = Convert(own.a[r] & 0xffff);
      a[g + 8 * (r % 2)][2 * t + 8 * (r / 2) + 1] = Convert(own.a[r] >> 16);
      d[g + 8 * (r / 2)][2 * t + r % 2] = own.d[r];
    }
    for (int r = 0; r < 2; ++r) {
      b[2 * t + 8 * r][g] = Convert(own.b[r] & 0xffff);
      b[2 * t + 8 * r + 1][g] = Convert(own.b[r] >> 16);
    }
  }
  for (int row = 0; row < 16; ++row) {
    float sum[8] = {};
    for (int k = 0; k < 16; ++k) {
      for (int column = 0; column < 8; ++column) sum[column] += a[row][k] * b[k][column];
    }
    for (int column = 0; column < 8; ++column) d[row][column] += sum[column];
  }
  for (int lane = 0; lane < kLanes; ++lane) {
    const MmaOperands &own = *static_cast<MmaOperands *>(warp.operands.data()[lane]);
    for (int r = 0; r < 4; ++r) own.d[r] = d[lane / 4 + 8 * (r / 2)][2 * (lane % 4) + r % 2];
  }
  return true;
}

// ---- shuffles ---------------------------------------------------------------------------------

struct ShuffleOperands {
  std::uint32_t value;
  int source;
};

bool execute_shuffle(Warp &warp) {
  std::uint32_t values[kLanes];
  for (int lane = 0; lane < kLanes; ++lane)
    values[lane] = warp.operand<ShuffleOperands>(lane).value;
  for (int lane = 0; lane < kLanes; ++lane) {
    auto &own = warp.operand<ShuffleOperands>(lane);
    if (own.source < 0 || own.source >= kLanes) fail("shuffle from lane %d", own.source);
    own.value = values[own.source];
  }
  return true;
}

void check_global(const void *address) {
  if (reinterpret_cast<std::uintptr_t>(address) % 16 != 0)
    fail("16 bytes at %p: misaligned", address);
}

}  // namespace

void barrier(Site site) {
  const int threads = static_cast<int>(current().warp->block->warps.size()) * kLanes;
  meet("barrier", {0, threads, true}, site);
}
void barrier_sync(int id, int threads, Site site) {
  meet("barrier_sync", {id, threads, true}, site);
}
void barrier_arrive(int id, int threads, Site site) {
  meet("barrier_arrive", {id, threads, false}, site);
}
void warp_sync(Site site) {
  if (sim::left_out("warp_sync", site)) return;
  current().rendezvous({"warp_sync", execute_warp_sync, site, false}, nullptr);
}

std::uint32_t load_shared(std::uint32_t address, Site site) {
  Lane &lane = current();
  std::uint32_t value;
  lane.warp->block->shared.read(lane.access(), address, &value, 4);
  lane.note_shared_access(site, address, 4);
  return value;
}
void store_shared(std::uint32_t address, std::uint32_t value, Site site) {
  Lane &lane = current();
  lane.warp->block->shared.write(lane.access(), address, &value, 4);
  lane.note_shared_access(site, address, 4);
}
Bits128 load_shared_16(std::uint32_t address, Site site) {
  Lane &lane = current();
  Bits128 value;
  lane.warp->block->shared.read(lane.access(), address, &value, 16);
  lane.note_shared_access(site, address, 16);
  return value;
}
void store_shared_16(std::uint32_t address, const Bits128 &value, Site site) {
  Lane &lane = current();
  lane.warp->block->shared.write(lane.access(), address, &value, 16);
  lane.note_shared_access(site, address, 16);
}

void load_matrices(std::uint32_t *registers, int count, bool transposed, std::uint32_t address,
                   const Site &site) {
  MatrixOperands operands{address, registers, count, transposed};
  current().rendezvous({"ldmatrix", execute_ldmatrix, site}, &operands);
}

void copy_async_16(std::uint32_t to, const void *from, std::uint32_t valid_bytes, Site site) {
  if (valid_bytes > 16) fail("asynchronous copy of %u of 16 bytes", valid_bytes);
  Lane &lane = current();
  lane.copy_async(to, from, valid_bytes);
  lane.note_shared_access(site, to, 16);
}

Bits128 load_global_16(const void *from) {
  check_global(from);
  return *static_cast<const Bits128 *>(from);
}
void store_global_16(void *to, const Bits128 &value) {
  check_global(to);
  *static_cast<Bits128 *>(to) = value;
}
std::uint32_t atomic_add(std::uint32_t *at, std::uint32_t value) {
  const std::uint32_t before = *at;
  *at += value;
  return before;
}

float shuffle_xor(float value, int lane_mask, Site site) {
  ShuffleOperands operands{std::bit_cast<std::uint32_t>(value), current().index ^ lane_mask};
  current().rendezvous({"shuffle_xor", execute_shuffle, site}, &operands);
  return std::bit_cast<float>(operands.value);
}
std::uint32_t shuffle(std::uint32_t value, int lane, Site site) {
  ShuffleOperands operands{value, lane};
  current().rendezvous({"shuffle", execute_shuffle, site}, &operands);
  return operands.value;
}

void mma_bf16(float (&d)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1,
              Site site) {
  MmaOperands operands{d, a, {b0, b1}};
  current().rendezvous({"mma_bf16", execute_mma<from_bf16>, site}, &operands);
}
void mma_fp16(float (&d)[4], const std::uint32_t (&a)[4], std::uint32_t b0, std::uint32_t b1,
              Site site) {
  MmaOperands operands{d, a, {b0, b1}};
  current().rendezvous({"mma_fp16", execute_mma<from_fp16>, site}, &operands);
}

// The instruction makes every NaN this one.
static std::uint32_t to_bf16(float x) { return std::isnan(x) ? 0x7fff : svdit::to_bf16(x); }
static std::uint32_t to_fp16(float x) {
  if (std::isnan(x)) return 0x7fff;
  return std::bit_cast<std::uint16_t>(static_cast<_Float16>(x));
}
std::uint32_t pack_bf16(float low, float high) { return to_bf16(low) | to_bf16(high) << 16; }
std::uint32_t pack_fp16(float low, float high) { return to_fp16(low) | to_fp16(high) << 16; }
void unpack_fp16(std::uint32_t two, float &low, float &high) {
  low = from_fp16(two & 0xffff);
  high = from_fp16(two >> 16);
}

static float flush(float x) { return std::fabs(x) < FLT_MIN ? std::copysign(0.0f, x) : x; }
float exp2_approx(float x) { return flush(std::exp2(flush(x))); }
float log2_approx(float x) { return std::log2(flush(x)); }

}  // namespace svdit::ptx

#include "primitives_sm90.h"

#include <cmath>

namespace svdit::ptx {

using sim::current;
using sim::fail;
using sim::kLanes;
using sim::Lane;
using sim::Warp;

// ---- roles ------------------------------------------------------------------------------------

namespace {

// Any lane may be elected, as long as it is always the same.
bool execute_elect(Warp &warp) {
  for (int lane = 0; lane < kLanes; ++lane) {
    warp.operand<bool>(lane) = lane == static_cast<int>(sim::seed() % kLanes);
  }
  return true;
}

struct RegistersOperands {
  int count;
  bool take;
  const Site *site;
};

bool execute_registers(Warp &warp) {
  const auto &operands = warp.operand<RegistersOperands>(0);
  sim::Block &block = *warp.block;
  block.warpgroup(warp).note(warp, {sim::Warpgroup::kRegisters, operands.site->line(),
                                    operands.site->column(), operands.count, 0, 0, operands.take});
  if (operands.take) return block.registers.take(warp, operands.count);
  block.registers.give(warp, operands.count);
  return true;
}

}  // namespace

bool elect_one(Site site) {
  bool elected = false;
  current().rendezvous({"elect_one", execute_elect, site}, &elected);
  return elected;
}

void set_registers(int count, bool take, const Site &site) {
  RegistersOperands operands{count, take, &site};
  current().rendezvous({take ? "take_registers" : "give_registers", execute_registers, site},
                       &operands);
}

// ---- mbarriers --------------------------------------------------------------------------------

namespace {
sim::Mbarrier &used(std::uint32_t address) {
  Lane &lane = current();
  lane.warp->block->shared.use_mbarrier(lane.access(), address, false);
  return lane.warp->block->mbarrier(address);
}
}  // namespace

void mbarrier_init(std::uint32_t address, std::uint32_t arrivals) {
  current().warp->block->make_mbarrier(current(), address, arrivals);
}
void fence_mbarrier_init(Site site) {
  if (sim::left_out("fence_mbarrier_init", site)) return;
  Lane &lane = current();
  lane.warp->block->shared.fence_mbarriers(lane.access());
}
void mbarrier_invalidate(std::uint32_t address) {
  current().warp->block->remove_mbarrier(current(), address);
}
void mbarrier_arrive(std::uint32_t address, Site site) {
  if (!sim::left_out("mbarrier_arrive", site)) used(address).arrive(current());
}
void mbarrier_arrive_expect(std::uint32_t address, std::uint32_t bytes, Site site) {
  if (sim::left_out("mbarrier_arrive_expect", site)) return;
  sim::Mbarrier &mbarrier = used(address);
  mbarrier.expect(bytes);
  mbarrier.arrive(current());
}
void mbarrier_wait(std::uint32_t address, std::uint32_t parity, Site site) {
  if (!sim::left_out("mbarrier_wait", site)) current().wait_for(address, parity, site);
}

// ---- the asynchronous proxy, tensor copies ----------------------------------------------------

void fence_async_proxy(Site site) {
  if (sim::left_out("fence_async_proxy", site)) return;
  Lane &lane = current();
  lane.warp->block->shared.fence_proxy(lane.access());
}

void prefetch_tensor_map(const TensorMap &) {}

void load_box(std::uint32_t to, const TensorMap &map, const std::int32_t *at, int rank,
              std::uint32_t mbarrier) {
  sim::begin_load(current(), sim::Box(map, at, rank, to), mbarrier);
}
void bulk_load(std::uint32_t to, const void *from, std::uint32_t bytes, std::uint32_t mbarrier) {
  sim::begin_load(current(), sim::Run(from, bytes, to), mbarrier);
}
void store_box(const TensorMap &map, const std::int32_t *at, int rank, std::uint32_t from) {
  sim::begin_store(current(), sim::Box(map, at, rank, from));
}
void tensor_store_commit(Site site) {
  if (!sim::left_out("tensor_store_commit", site)) ++current().store_group;
}
void wait_for_stores(int newest_left, bool written, const Site &site) {
  if (sim::left_out(written ? "tensor_store_wait" : "tensor_store_wait_read", site)) return;
  sim::wait_for_stores(current(), newest_left, written);
}

// ---- warpgroup matrix products ----------------------------------------------------------------

namespace {

bool execute_fence(Warp &warp) {
  warp.block->warpgroup(warp).fence(warp, warp.collective.site);
  return true;
}
bool execute_product(Warp &warp) {
  warp.block->warpgroup(warp).multiply(warp, warp.collective.site);
  return true;
}
bool execute_commit(Warp &warp) {
  warp.block->warpgroup(warp).commit(warp, warp.collective.site);
  return true;
}
bool execute_wait(Warp &warp) {
  return warp.block->warpgroup(warp).wait(warp, warp.operand<int>(0), warp.collective.site);
}

}  // namespace

void wgmma_fence(Site site) {
  if (sim::left_out("wgmma_fence", site)) return;
  current().rendezvous({"wgmma_fence", execute_fence, site}, nullptr);
}
void multiply(sim::MatrixElement element, float *d, int n, std::uint64_t a,
              const std::uint32_t *registers, std::uint64_t b, bool transposed_b, bool accumulate,
              const Site &site) {
  sim::ProductOperands operands{element, n, d, registers, a, b, transposed_b, accumulate};
  current().rendezvous({"wgmma", execute_product, site}, &operands);
}
void wgmma_commit(Site site) {
  if (sim::left_out("wgmma_commit", site)) return;
  current().rendezvous({"wgmma_commit", execute_commit, site}, nullptr);
}
void wait_for_products(int newest_left, const Site &site) {
  if (sim::left_out("wgmma_wait", site)) return;
  current().rendezvous({"wgmma_wait", execute_wait, site}, &newest_left);
}

// ---- shared memory, arithmetic ----------------------------------------------------------------

namespace {

struct StoreOperands {
  std::uint32_t address;
  const std::uint32_t *registers;
  int count;
};

// The reverse of ldmatrix: lane l gives elements (l / 4, 2 (l % 4)) and the next of every matrix.
bool execute_stmatrix(Warp &warp) {
  const int count = warp.operand<StoreOperands>(0).count;
  sim::SharedMemory &shared = warp.block->shared;
  for (int i = 0; i < count; ++i) {
    std::uint32_t addresses[8];
    for (int row = 0; row < 8; ++row) {
      addresses[row] = warp.operand<StoreOperands>(8 * i + row).address;
      if (addresses[row] % 16 != 0)
        fail("stmatrix at shared address 0x%x: misaligned", addresses[row]);
      for (int part = 0; part < 4; ++part) {
        const Lane &lane = warp.lanes[4 * row + part];
        shared.write(lane.access(), addresses[row] + 4 * part,
                     &warp.operand<StoreOperands>(lane.index).registers[i], 4);
      }
    }
    const int passes = sim::wavefronts(addresses, 8, 16);
    sim::report().shared_wavefronts += passes;
    sim::report().bank_conflicts += passes - 1;
  }
  warp.touched = ~0u;
  return true;
}

}  // namespace

void store_matrices(const std::uint32_t *registers, int count, std::uint32_t address,
                    const Site &site) {
  StoreOperands operands{address, registers, count};
  current().rendezvous({"stmatrix", execute_stmatrix, site}, &operands);
}

static std::uint32_t to_e4m3(float x) {
  if (std::isnan(x)) return 0x7f;
  const std::uint32_t sign = std::signbit(x) ? 0x80 : 0;
  const float size = std::fabs(x);
  if (size >= 448) return sign | 0x7e;
  // The spacing of the numbers around it: 2^-9 up to 2^-6, then 1/8 of the power of two below.
  int exponent = -6;
  if (size >= std::ldexp(1.0f, -6)) exponent = std::ilogb(size);
  const auto eighths = static_cast<std::uint32_t>(std::lrint(std::ldexp(size, 3 - exponent)));
  // eighths is 8..16 of a normal number, 0..8 of a subnormal one: 8 carries into the exponent.
  return sign | (static_cast<std::uint32_t>(exponent + 6) * 8 + eighths);
}
std::uint32_t pack_e4m3(float x0, float x1, float x2, float x3) {
  return to_e4m3(x0) | to_e4m3(x1) << 8 | to_e4m3(x2) << 16 | to_e4m3(x3) << 24;
}

}  // namespace svdit::ptx

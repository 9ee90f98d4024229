#include "warpgroup.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "machine.h"
#include "product.h"

#define SVDIT_UNWATCHED __attribute__((no_sanitize("address", "undefined"), optimize("O3")))

namespace svdit::sim {

namespace {
constexpr std::uint32_t kPoison = 0x7fc0dead;  // a NaN

Warpgroup::Instruction instruction_of(Warpgroup::Kind kind, const Site &site, int number = 0) {
  return {kind, site.line(), site.column(), number, 0, 0, 0};
}

// Where register i of a lane lies in its warp's rows of n accumulators.
int place_of(int lane, int i, int n) {
  const int row = lane / 4 + 8 * (i / 2 % 2), column = i / 4 * 8 + lane % 4 * 2 + i % 2;
  return row * n + column;
}

// Of a stack that may have forgotten them: then they are never compared with anything.
__attribute__((no_sanitize("address"))) void copy_registers(const std::uint32_t *from, int count,
                                                            std::uint32_t *to) {
  for (int i = 0; i < count; ++i) to[i] = static_cast<const volatile std::uint32_t *>(from)[i];
}

SVDIT_UNWATCHED void transpose(const float *from, int rows, int columns, float *to) {
  for (int row = 0; row < rows; ++row) {
    for (int column = 0; column < columns; ++column) {
      to[column * rows + row] = from[row * columns + column];
    }
  }
}
}  // namespace

Warpgroup::Warpgroup(Block &block, int index) : block_(block), index_(index) {}

void Warpgroup::note(Warp &warp, const Instruction &instruction) {
  if (block_.actors.warps < kWarps * (index_ + 1)) {
    fail("a warpgroup instruction in warp %d: its warpgroup has not four warps", warp.index);
  }
  WarpState &own = warps_[warp.index % kWarps];
  const std::uint64_t at = own.instructions++ - log_begin_;
  if (at == log_.size()) {
    log_.push_back(instruction);
  } else if (!(log_[at] == instruction)) {
    fail(
        "divergent: line %u gives the warpgroup another instruction (or other operands) than line "
        "%u "
        "of another warp",
        instruction.line, log_[at].line);
  }
  std::uint64_t slowest = own.instructions;
  for (const WarpState &other : warps_) slowest = std::min(slowest, other.instructions);
  for (; log_begin_ < slowest; ++log_begin_) log_.pop_front();
}

void Warpgroup::fence(Warp &warp, const Site &site) {
  note(warp, instruction_of(kFence, site));
  WarpState &own = warps_[warp.index % kWarps];
  own.fenced = true;
  for (Fenced &used : own.used) {
    used.seen = true;
    for (int lane = 0; lane < kLanes; ++lane) {
      copy_registers(used.registers[lane], used.count, used.values.data() + lane * used.count);
    }
  }
}

// Registers that a product used before must be now what they were at the last fence.
void Warpgroup::check_fenced(WarpState &own, const std::array<const std::uint32_t *, 32> &registers,
                             int count, const char *what) {
  constexpr std::size_t kMostUsed = 64;
  const auto used = std::find_if(own.used.begin(), own.used.end(), [&](const Fenced &other) {
    return other.registers == registers && other.count == count;
  });
  if (used == own.used.end()) {
    if (own.used.size() == kMostUsed) own.used.pop_front();
    own.used.push_back({registers, count, false, std::vector<std::uint32_t>(kLanes * count)});
    return;
  }
  if (!used->seen) return;
  for (int lane = 0; lane < kLanes; ++lane) {
    if (std::memcmp(registers[lane], used->values.data() + lane * count, 4 * count) != 0) {
      fail("%s of lane %d were written after the last wgmma_fence", what, lane);
    }
  }
}

void Warpgroup::commit(Warp &warp, const Site &site) {
  note(warp, instruction_of(kCommit, site));
  WarpState &own = warps_[warp.index % kWarps];
  own.committed.push_back(own.issued);
}

// ---- issue ------------------------------------------------------------------------------------

void Warpgroup::multiply(Warp &warp, const Site &site) {
  const auto &first = warp.operand<ProductOperands>(0);
  for (int lane = 1; lane < kLanes; ++lane) {
    const auto &other = warp.operand<ProductOperands>(lane);
    if (other.a != first.a || other.b != first.b || other.accumulate != first.accumulate) {
      fail("lanes of one warp give wgmma different descriptors");
    }
  }
  Instruction instruction = instruction_of(kProduct, site, first.n);
  instruction.a = first.a;
  instruction.b = first.b;
  instruction.flags = static_cast<int>(first.element) * 8 + first.transposed_b * 4 +
                      first.accumulate * 2 + (first.a_registers != nullptr);
  note(warp, instruction);

  WarpState &own = warps_[warp.index % kWarps];
  const std::size_t in_flight = own.accumulators.size();
  Accumulators *accumulators = accumulators_of(warp, own, first);
  if (!own.fenced && (own.accumulators.size() > in_flight || first.a_registers != nullptr)) {
    fail("wgmma on registers that could be touched since the last wgmma_fence");
  }
  const std::uint32_t number = ++own.issued;
  if (number - started_ > pending_.size()) pending_.push_back({first, 0, {}, {}, {}});
  Product &product = pending_[number - started_ - 1];
  product.accumulators[warp.index % kWarps] = accumulators;
  accumulators->last = number;
  if (first.a_registers != nullptr) hold(warp, own, product);
  if (product.known.empty()) {
    product.known = warp.clock.known;
  } else {
    for (std::size_t i = 0; i < product.known.size(); ++i) {
      product.known[i] = std::min(product.known[i], warp.clock.known[i]);
    }
  }
  if (++product.issued == kWarps) start(product, number);
}

// The accumulators in flight that these registers are, or new ones with the registers' values.
Warpgroup::Accumulators *Warpgroup::accumulators_of(Warp &warp, WarpState &own,
                                                    const ProductOperands &first) {
  for (auto &flying : own.accumulators) {
    const auto begin = reinterpret_cast<std::uintptr_t>(flying->registers[0]);
    const auto mine = reinterpret_cast<std::uintptr_t>(first.d);
    if (mine == begin && flying->n == first.n) return flying.get();
    if (mine < begin + flying->n / 2 * sizeof(float) &&
        begin < mine + first.n / 2 * sizeof(float)) {
      fail("wgmma into a part of accumulators that another product under way adds to");
    }
  }
  auto flying = std::make_unique<Accumulators>();
  flying->n = first.n;
  if (first.accumulate) {
    std::array<const std::uint32_t *, 32> registers;
    for (int lane = 0; lane < kLanes; ++lane) {
      registers[lane] =
          reinterpret_cast<const std::uint32_t *>(warp.operand<ProductOperands>(lane).d);
    }
    check_fenced(own, registers, first.n / 2, "accumulators");
  }
  flying->values.resize(kRows * first.n);
  for (int lane = 0; lane < kLanes; ++lane) {
    float *registers = warp.operand<ProductOperands>(lane).d;
    flying->registers[lane] = registers;
    for (int i = 0; i < first.n / 2; ++i) {
      flying->values[place_of(lane, i, first.n)] = registers[i];
      registers[i] = std::bit_cast<float>(kPoison);
    }
  }
  own.accumulators.push_back(std::move(flying));
  return own.accumulators.back().get();
}

void Warpgroup::hold(Warp &warp, WarpState &own, Product &product) {
  const MatrixElement element = product.operands.element;
  const int k = depth_of(element);
  product.a.resize(kWarps * kRows * k);
  HeldRegisters &held = own.held.emplace_back();
  held.product = own.issued;
  for (int lane = 0; lane < kLanes; ++lane) {
    held.registers[lane] = warp.operand<ProductOperands>(lane).a_registers;
  }
  check_fenced(own, held.registers, 4, "A's registers");
  for (int lane = 0; lane < kLanes; ++lane) {
    const std::uint32_t *registers = held.registers[lane];
    for (int r = 0; r < 4; ++r) {
      held.values[lane][r] = registers[r];
      place_a_register(element, lane, r, registers[r],
                       product.a.data() + warp.index % kWarps * kRows * k);
    }
  }
}

// ---- execution --------------------------------------------------------------------------------

void Warpgroup::start(Product &product, std::uint32_t number) {
  const ProductOperands &p = product.operands;
  const int k = depth_of(p.element);
  const WarpClock common{0, product.known};
  MatrixReader reader{block_.shared, {-1, -1, &common}, block_.actors.tensor_cores(index_), number};
  if (p.a_registers == nullptr) {
    product.a.resize(kWarps * kRows * k);
    reader.read(p.element, p.a, kWarps * kRows, false, product.a.data());
  }
  std::vector<float> b(k * p.n);
  if (p.transposed_b) {
    reader.read(p.element, p.b, p.n, true, b.data());
  } else {
    std::vector<float> columns(p.n * k);
    reader.read(p.element, p.b, p.n, false, columns.data());
    transpose(columns.data(), p.n, k, b.data());
  }
  for (int w = 0; w < kWarps; ++w) {
    multiply_rows(product.a.data() + w * kRows * k, b.data(), k, p.n, p.accumulate,
                  product.accumulators[w]->values.data());
  }
  ++report().products;
  pending_.pop_front();
  started_ = number;
  for (WarpState &other : warps_) {
    if (other.waiting == nullptr || other.waits_for > started_) continue;
    reveal(*other.waiting, other, other.waits_for);
    other.waiting->wake();
    other.waiting = nullptr;
  }
}

bool Warpgroup::wait(Warp &warp, int newest_left, const Site &site) {
  note(warp, instruction_of(kWait, site, newest_left));
  WarpState &own = warps_[warp.index % kWarps];
  own.fenced = false;
  if (static_cast<int>(own.committed.size()) <= newest_left) return true;
  const auto waited = own.committed.end() - newest_left;
  const std::uint32_t product = waited[-1];
  own.committed.erase(own.committed.begin(), waited);
  if (product > started_) {
    own.waiting = &warp;
    own.waits_for = product;
    return false;
  }
  reveal(warp, own, product);
  return true;
}

// Products up to this one are done: their results are in the registers.
void Warpgroup::reveal(Warp &warp, WarpState &own, std::uint32_t product) {
  std::uint32_t &known = warp.clock.known[block_.actors.tensor_cores(index_)];
  known = std::max(known, product);
  std::erase_if(own.accumulators, [&](const std::unique_ptr<Accumulators> &flying) {
    if (flying->last > product) return false;
    for (int lane = 0; lane < kLanes; ++lane) {
      float *registers = flying->registers[lane];
      for (int i = 0; i < flying->n / 2; ++i) {
        if (std::bit_cast<std::uint32_t>(registers[i]) != kPoison) {
          fail("accumulator %d of lane %d was written before the wait for its product", i, lane);
        }
        registers[i] = flying->values[place_of(lane, i, flying->n)];
      }
    }
    return true;
  });
  std::erase_if(own.held, [&](const HeldRegisters &held) {
    if (held.product > product) return false;
    for (int lane = 0; lane < kLanes; ++lane) {
      if (std::memcmp(held.registers[lane], held.values[lane].data(), 16) != 0) {
        fail("A's registers of lane %d were written before the wait for their product", lane);
      }
    }
    return true;
  });
}

void Warpgroup::check_left(const Warp &warp) const {
  const WarpState &own = warps_[warp.index % kWarps];
  if (!own.accumulators.empty()) fail("exits with products it did not wait for");
}

void Warpgroup::check_end() const {
  for (int w = 1; w < kWarps; ++w) {
    if (warps_[w].instructions != warps_[0].instructions) {
      fail("block %d warp %d lane 0: divergent: %llu warpgroup instructions, warp %d had %llu",
           block_.index, kWarps * index_ + w,
           static_cast<unsigned long long>(warps_[w].instructions), kWarps * index_,
           static_cast<unsigned long long>(warps_[0].instructions));
    }
  }
}

// ---- registers --------------------------------------------------------------------------------

void RegisterPool::give(Warp &warp, int count) {
  int &own = of_warp_[warp.index];
  if (count > own) fail("give_registers down to %d: the warp's threads have %d", count, own);
  free_ += own - count;
  own = count;
  std::erase_if(waiting_, [&](const std::pair<Warp *, int> &other) {
    const int more = other.second - of_warp_[other.first->index];
    if (more > free_) return false;
    free_ -= more;
    of_warp_[other.first->index] = other.second;
    other.first->wake();
    return true;
  });
}

bool RegisterPool::take(Warp &warp, int count) {
  int &own = of_warp_[warp.index];
  if (count < own) fail("take_registers up to %d: the warp's threads have %d", count, own);
  if (count - own > free_) {
    waiting_.emplace_back(&warp, count);
    return false;
  }
  free_ -= count - own;
  own = count;
  return true;
}

}  // namespace svdit::sim

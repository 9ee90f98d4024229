// A warpgroup's matrix products (wgmma) and registers.
//
// Its four warps must issue the same instructions in the same order; a product starts when all four
// have. Its operands in shared memory are checked and read then, and count as being read until the
// wait; its results reach the accumulators' registers, poisoned meanwhile, at the wait.
#ifndef SVDIT_SIM_WARPGROUP_H
#define SVDIT_SIM_WARPGROUP_H

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <source_location>
#include <vector>

#include "fault.h"

namespace svdit::sim {

struct Block;
struct Warp;

enum class MatrixElement { kBf16, kFp16, kE4m3 };

// What one lane brings to wgmma.
struct ProductOperands {
  MatrixElement element;
  int n;
  float *d;
  const std::uint32_t *a_registers;  // or NULL: a is a descriptor
  std::uint64_t a, b;
  bool transposed_b, accumulate;
};

class Warpgroup {
 public:
  // The warpgroup's instructions, as far as its warps must agree on them.
  enum Kind { kFence, kProduct, kCommit, kWait, kRegisters };
  struct Instruction {
    Kind kind;
    std::uint32_t line, column;
    int number;  // N, groups left, registers
    std::uint64_t a, b;
    int flags;

    bool operator==(const Instruction &) const = default;
  };

  Warpgroup(Block &block, int index);

  // All are called for one warp, by the lane that arrived last.
  void fence(Warp &warp, const std::source_location &site);
  void multiply(Warp &warp, const std::source_location &site);
  void commit(Warp &warp, const std::source_location &site);
  bool wait(Warp &warp, int newest_left, const std::source_location &site);
  void note(Warp &warp, const Instruction &instruction);

  // Faults where a warp leaves work behind, or the four did not do the same.
  void check_left(const Warp &warp) const;
  void check_end() const;

 private:
  static constexpr int kWarps = 4;
  static constexpr int kRows = 16;  // of a product, per warp

  struct Accumulators {
    std::array<float *, 32> registers;
    int n;
    std::vector<float> values;  // kRows x n
    std::uint32_t last = 0;     // the product that last adds to them
  };
  struct HeldRegisters {  // A's, which must not change before the wait
    std::array<const std::uint32_t *, 32> registers;
    std::array<std::array<std::uint32_t, 4>, 32> values;
    std::uint32_t product;
  };
  // Registers that products used, as they were at the last fence.
  struct Fenced {
    std::array<const std::uint32_t *, 32> registers;
    int count;
    bool seen = false;                  // at a fence
    std::vector<std::uint32_t> values;  // 32 x count
  };
  struct WarpState {
    std::uint64_t instructions = 0;
    std::uint32_t issued = 0;             // products
    std::deque<std::uint32_t> committed;  // the last product of each group not waited for
    bool fenced = false;                  // since registers could be touched
    std::deque<Fenced> used;
    std::vector<std::unique_ptr<Accumulators>> accumulators;
    std::vector<HeldRegisters> held;
    Warp *waiting = nullptr;
    std::uint32_t waits_for = 0;
  };
  struct Product {
    ProductOperands operands;
    int issued = 0;                    // warps
    std::vector<std::uint32_t> known;  // to all of its warps, when they issued it
    std::vector<float> a;              // 64 x k, where it comes from registers
    std::array<Accumulators *, kWarps> accumulators;
  };

  Accumulators *accumulators_of(Warp &warp, WarpState &own, const ProductOperands &first);
  void check_fenced(WarpState &own, const std::array<const std::uint32_t *, 32> &registers,
                    int count, const char *what);
  void hold(Warp &warp, WarpState &own, Product &product);
  void start(Product &product, std::uint32_t number);
  void reveal(Warp &warp, WarpState &own, std::uint32_t product);

  Block &block_;
  int index_;
  std::array<WarpState, kWarps> warps_;
  std::deque<Instruction> log_;
  std::uint64_t log_begin_ = 0;
  std::deque<Product> pending_;  // issued by some, not by all
  std::uint32_t started_ = 0;
};

// What setmaxnreg hands around: registers of the block that no warp has.
class RegisterPool {
 public:
  RegisterPool(int warps, int per_thread) : of_warp_(warps, per_thread) {}

  void give(Warp &warp, int count);
  // Whether the warp has `count` registers a thread now; if not, it is woken when it has.
  bool take(Warp &warp, int count);

 private:
  int free_ = 0;
  std::vector<int> of_warp_;  // per thread
  std::vector<std::pair<Warp *, int>> waiting_;
};

}  // namespace svdit::sim

#endif

// Tensor copies: boxes between arrays in global memory and a block's shared memory, by maps made by
// encode_tensor_map as the driver would; and bulk copies, of bytes that lie together.
#ifndef SVDIT_SIM_TENSOR_COPY_H
#define SVDIT_SIM_TENSOR_COPY_H

#include <cstdint>
#include <functional>
#include <variant>
#include <vector>

#include "cuda/ptx/tensor_map.h"

namespace svdit::sim {

struct Lane;
struct Block;
struct Mbarrier;

// A box of an array, and where it lies in shared memory.
class Box {
 public:
  // Faults where map is none, or `shared` is not aligned as the map needs it.
  Box(const cuda::TensorMap &map, const std::int32_t *at, int rank, std::uint32_t shared);

  std::uint32_t bytes() const { return bytes_; }
  std::uint32_t shared() const { return shared_; }

  // Calls visit for every 16 bytes of the box: their shared address, where they are in global
  // memory (NULL: beyond the array), and how many of them are inside it.
  void each(const std::function<void(std::uint32_t, char *, std::uint32_t)> &visit) const;

 private:
  cuda::TensorShape shape_;
  std::int32_t at_[5];
  std::uint32_t shared_, bytes_;
};

// Bytes that lie together, here and there.
class Run {
 public:
  // Faults where the addresses or the count are no multiples of 16.
  Run(const void *from, std::uint32_t bytes, std::uint32_t shared);

  std::uint32_t bytes() const { return bytes_; }
  std::uint32_t shared() const { return shared_; }
  void each(const std::function<void(std::uint32_t, const char *, std::uint32_t)> &visit) const;

 private:
  const char *from_;
  std::uint32_t shared_, bytes_;
};

struct AsyncLoad {
  std::variant<Box, Run> what;
  Mbarrier *mbarrier;
  Lane *lane;  // that issued it
};

// Its shared memory has been read once `contents` is filled.
struct BoxStore {
  Box box;
  std::uint64_t group;
  std::uint32_t number;  // of the warp's stores, from 1
  std::vector<std::byte> contents;
};

void begin_load(Lane &lane, const std::variant<Box, Run> &what, std::uint32_t mbarrier);
void land_load(Block &block, std::size_t index);

void begin_store(Lane &lane, const Box &box);
void wait_for_stores(Lane &lane, std::uint64_t newest_groups_left, bool written);
void finish_stores(Lane &lane);  // at its exit
void land_some_stores(Lane &lane, std::uint64_t coins);

}  // namespace svdit::sim

#endif

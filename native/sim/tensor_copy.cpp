#include "tensor_copy.h"

#include <algorithm>
#include <cstring>

#include "machine.h"

namespace svdit::cuda {

// The simulator's tensor map: the shape itself, behind a mark that a map never made lacks.
namespace {
constexpr std::uint64_t kMark = 0x70616d20736e6574;
struct Encoded {
  std::uint64_t mark;
  const void *data;
  std::uint64_t strides[4];
  std::uint64_t extents[5];
  std::uint8_t box[5], rank, element_bytes, swizzle;
};
static_assert(sizeof(Encoded) <= sizeof(TensorMap));

TensorShape decode(const TensorMap &map) {
  Encoded own;
  std::memcpy(&own, &map, sizeof own);
  if (own.mark != kMark) sim::fail("a tensor map that encode_tensor_map did not make");
  TensorShape shape{own.data, own.rank, own.element_bytes, {}, {}, {}, Swizzle{own.swizzle}};
  for (int i = 0; i < 5; ++i) {
    shape.extent[i] = own.extents[i];
    shape.stride[i] = i == 0 ? own.element_bytes : own.strides[i - 1];
    shape.box[i] = own.box[i] + 1u;
  }
  return shape;
}
}  // namespace

TensorMap encode_tensor_map(const TensorShape &shape) {
  check_tensor_shape(shape);
  Encoded own{kMark,
              shape.data,
              {},
              {},
              {},
              static_cast<std::uint8_t>(shape.rank),
              static_cast<std::uint8_t>(shape.element_bytes),
              static_cast<std::uint8_t>(shape.swizzle)};
  for (std::uint32_t i = 0; i < shape.rank; ++i) {
    own.extents[i] = shape.extent[i];
    if (i > 0) own.strides[i - 1] = shape.stride[i];
    own.box[i] = static_cast<std::uint8_t>(shape.box[i] - 1);
  }
  TensorMap map{};
  std::memcpy(&map, &own, sizeof own);
  return map;
}

}  // namespace svdit::cuda

namespace svdit::sim {

// ---- boxes ------------------------------------------------------------------------------------

Box::Box(const cuda::TensorMap &map, const std::int32_t *at, int rank, std::uint32_t shared)
    : shape_(cuda::decode(map)), at_{}, shared_(shared), bytes_(shape_.element_bytes) {
  if (static_cast<int>(shape_.rank) != rank) {
    fail("a copy of %d dimensions by a tensor map of %u", rank, shape_.rank);
  }
  for (int i = 0; i < rank; ++i) {
    at_[i] = at[i];
    bytes_ *= shape_.box[i];
  }
  const std::uint32_t alignment = shape_.swizzle == cuda::Swizzle::kNone ? 128 : 1024;
  if (shared % alignment != 0) {
    fail("tensor copy at shared address 0x%x: misaligned, %u bytes are needed", shared, alignment);
  }
}

void Box::each(const std::function<void(std::uint32_t, char *, std::uint32_t)> &visit) const {
  const std::uint32_t row_bytes = shape_.box[0] * shape_.element_bytes;
  std::uint32_t address = shared_;
  std::uint32_t index[5] = {};
  for (std::uint32_t row = 0; row < bytes_ / row_bytes; ++row) {
    bool inside = true;
    char *from = const_cast<char *>(static_cast<const char *>(shape_.data));
    for (std::uint32_t i = 1; i < shape_.rank; ++i) {
      const std::int64_t place = std::int64_t{at_[i]} + index[i];
      inside = inside && place >= 0 && place < static_cast<std::int64_t>(shape_.extent[i]);
      from += place * static_cast<std::int64_t>(shape_.stride[i]);
    }
    for (std::uint32_t byte = 0; byte < row_bytes; byte += 16, address += 16) {
      const std::int64_t begin = std::int64_t{at_[0]} * shape_.element_bytes + byte;
      const std::int64_t end = static_cast<std::int64_t>(shape_.extent[0] * shape_.element_bytes);
      if (begin < 0 && begin > -16) fail("a box begins before its array: not simulated");
      const std::int64_t valid =
          begin < 0 || !inside ? 0 : std::clamp<std::int64_t>(end - begin, 0, 16);
      std::uint32_t to = address;
      if (shape_.swizzle == cuda::Swizzle::k128) to ^= (address >> 7 & 7) << 4;
      if (shape_.swizzle == cuda::Swizzle::k64) to ^= (address >> 7 & 3) << 4;
      visit(to, valid == 0 ? nullptr : from + begin, static_cast<std::uint32_t>(valid));
    }
    for (std::uint32_t i = 1; i < shape_.rank && ++index[i] == shape_.box[i]; ++i) index[i] = 0;
  }
}

Run::Run(const void *from, std::uint32_t bytes, std::uint32_t shared)
    : from_(static_cast<const char *>(from)), shared_(shared), bytes_(bytes) {
  if (shared % 16 != 0 || reinterpret_cast<std::uintptr_t>(from) % 16 != 0) {
    fail("bulk copy from %p to shared address 0x%x: misaligned, multiples of 16 are needed", from,
         shared);
  }
  if (bytes == 0 || bytes % 16 != 0) {
    fail("bulk copy of %u bytes: not a multiple of 16", bytes);
  }
}

void Run::each(const std::function<void(std::uint32_t, const char *, std::uint32_t)> &visit) const {
  for (std::uint32_t at = 0; at < bytes_; at += 16) visit(shared_ + at, from_ + at, 16);
}

// ---- loads ------------------------------------------------------------------------------------

void begin_load(Lane &lane, const std::variant<Box, Run> &what, std::uint32_t address) {
  Block &block = *lane.warp->block;
  block.shared.use_mbarrier(lane.access(), address, true);
  Mbarrier &mbarrier = block.mbarrier(address);
  std::visit(
      [&](const auto &copy) {
        block.shared.begin_copy(lane.access(), mbarrier.actor, mbarrier.phase + 1, copy.shared(),
                                copy.bytes());
      },
      what);
  ++mbarrier.copies;
  block.loads.push_back({what, &mbarrier, &lane});
  ++report().tensor_copies;
}

void land_load(Block &block, std::size_t index) {
  const AsyncLoad load = block.loads[index];
  block.loads.erase(block.loads.begin() + static_cast<std::ptrdiff_t>(index));
  std::visit(
      [&](const auto &copy) {
        copy.each([&](std::uint32_t to, const char *from, std::uint32_t valid) {
          std::byte contents[16] = {};
          if (valid != 0) std::memcpy(contents, from, valid);
          block.shared.land(to, contents, 16);
        });
        load.mbarrier->copied(copy.bytes());
      },
      load.what);
}

// ---- stores -----------------------------------------------------------------------------------

void begin_store(Lane &lane, const Box &box) {
  Warp &warp = *lane.warp;
  for (const Lane &other : warp.lanes) {
    if (other.index != lane.index && !other.stores.empty()) {
      fail("two lanes of one warp store tensors: not simulated");
    }
  }
  BoxStore store{box, lane.store_group, ++warp.stores, {}};
  // Who breaks a rule is told here; the contents are taken again when the store gets to them.
  std::byte contents[16];
  box.each([&](std::uint32_t from, char *, std::uint32_t) {
    warp.block->shared.read_async(lane.access(), warp.block->actors.stores(warp.index),
                                  store.number, from, contents, 16);
  });
  lane.stores.push_back(std::move(store));
  ++report().tensor_copies;
}

static void read_box(Lane &lane, BoxStore &store) {
  if (!store.contents.empty()) return;
  store.contents.resize(store.box.bytes());
  std::size_t at = 0;
  store.box.each([&](std::uint32_t from, char *, std::uint32_t) {
    lane.warp->block->shared.peek(from, store.contents.data() + at, 16);
    at += 16;
  });
}

static void write_box(BoxStore &store) {
  std::size_t at = 0;
  store.box.each([&](std::uint32_t, char *to, std::uint32_t valid) {
    if (valid != 0) std::memcpy(to, store.contents.data() + at, valid);
    at += 16;
  });
}

void wait_for_stores(Lane &lane, std::uint64_t newest_groups_left, bool written) {
  Block &block = *lane.warp->block;
  std::uint32_t last_read = 0;
  auto kept = lane.stores.begin();
  for (BoxStore &store : lane.stores) {
    const bool waited = store.group + newest_groups_left < lane.store_group;
    if (waited) {
      read_box(lane, store);
      last_read = store.number;
      if (written) write_box(store);
    }
    if (waited && written) continue;
    if (&*kept != &store) *kept = std::move(store);
    ++kept;
  }
  lane.stores.erase(kept, lane.stores.end());
  if (last_read != 0) lane.acquire(block.actors.stores(lane.warp->index), last_read);
}

void finish_stores(Lane &lane) {
  for (BoxStore &store : lane.stores) {
    if (store.contents.empty()) {
      fail("exits with a tensor store that it did not wait for: it may still read shared memory");
    }
    write_box(store);
  }
}

void land_some_stores(Lane &lane, std::uint64_t coins) {
  for (BoxStore &store : lane.stores) {
    if (coins & 1) read_box(lane, store);
    coins >>= 1;
  }
}

}  // namespace svdit::sim

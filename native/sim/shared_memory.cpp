#include "shared_memory.h"

#include <cstdarg>
#include <cstdio>
#include <cstring>

#include "fault.h"

namespace svdit::sim {

void fail(const char *format, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  throw Fault(text);
}

SharedMemory::SharedMemory(std::uint32_t bytes, Actors actors)
    : bytes_(bytes),
      actors_(actors),
      contents_(new std::byte[bytes + 1]),
      words_((bytes + 3) / 4),
      reads_(actors.count()),
      proxy_fences_(actors.warps * 32),
      mbarrier_fences_(actors.warps * 32) {
  std::memset(contents_.get(), 0xff,
              bytes);  // NaN in every floating type: what is used by mistake shows
}

std::uint32_t SharedMemory::check_range(std::uint32_t address, std::uint32_t count,
                                        const char *what) const {
  if (address % count != 0)
    fail("%s of %u bytes at shared address 0x%x: misaligned", what, count, address);
  const std::uint32_t offset = address - kBase;
  if (address < kBase || offset > bytes_ || bytes_ - offset < count) {
    fail("%s of %u bytes at shared address 0x%x: out of bounds, the block has 0x%x..0x%x", what,
         count, address, kBase, kBase + bytes_);
  }
  return offset;
}

SharedMemory::Word SharedMemory::word_of(const Access &access, State state) const {
  Word word{state, static_cast<std::int8_t>(access.lane), static_cast<std::int16_t>(access.warp),
            access.clock->now, 0};
  if (access.lane >= 0) {
    const int lane = access.warp * 32 + access.lane;
    word.fences = static_cast<std::uint32_t>(
        (state == kMbarrier ? mbarrier_fences_ : proxy_fences_)[lane].size());
  }
  return word;
}

SharedMemory::LastRead *SharedMemory::reads_of(int actor) {
  if (reads_[actor].empty()) {
    reads_[actor].resize(words_.size());
    readers_.push_back(actor);
  }
  return reads_[actor].data();
}

// ---- what one access depends on ---------------------------------------------------------------

void SharedMemory::check_readable(const Access &access, std::uint32_t i) const {
  const Word &word = words_[i];
  const std::uint32_t address = kBase + i * 4;
  if (word.state == kNeverWritten) fail("read at shared address 0x%x: never written", address);
  if (word.state == kMbarrier) fail("read at shared address 0x%x: an mbarrier is there", address);
  if (word.state == kPending) {
    fail("read at shared address 0x%x before arrival: warp %d lane %d did not wait for its copy",
         address, word.actor, word.lane);
  }
  const bool own = word.actor == access.warp && word.lane == access.lane && access.lane >= 0;
  if (own || access.knows(word.actor, word.written)) return;
  if (word.actor >= actors_.warps) {
    fail(
        "read at shared address 0x%x before arrival: the end of phase %u of its copy's mbarrier "
        "was "
        "not waited for",
        address, word.written - 1);
  }
  fail("read at shared address 0x%x races with the write by warp %d lane %d: no barrier between",
       address, word.actor, word.lane);
}

void SharedMemory::check_overwrite(const Access &access, std::uint32_t first,
                                   std::uint32_t end) const {
  for (std::uint32_t i = first; i < end; ++i) {
    const Word &word = words_[i];
    const std::uint32_t address = kBase + i * 4;
    if (word.state == kMbarrier)
      fail("write at shared address 0x%x: an mbarrier is there", address);
    if (word.state == kPending) {
      fail("write at shared address 0x%x while the copy by warp %d lane %d is under way", address,
           word.actor, word.lane);
    }
    if (word.written == 0) continue;
    const bool own = word.actor == access.warp && word.lane == access.lane;
    if (own || access.knows(word.actor, word.written)) continue;
    if (word.actor >= actors_.warps) {
      fail(
          "write at shared address 0x%x while a copy may be under way: the end of phase %u of its "
          "mbarrier was not waited for",
          address, word.written - 1);
    }
    fail("write at shared address 0x%x races with the write by warp %d lane %d: no barrier between",
         address, word.actor, word.lane);
  }
  for (int reader : readers_) {
    const LastRead *reads = reads_[reader].data();
    for (std::uint32_t i = first; i < end; ++i) {
      const LastRead &last = reads[i];
      const bool own = reader == access.warp && last.lane == access.lane;
      if (own || access.knows(reader, last.at)) continue;
      const std::uint32_t address = kBase + i * 4;
      if (reader < actors_.warps) {
        fail("write at shared address 0x%x races with a read by warp %d: no barrier between",
             address, reader);
      }
      if (reader < actors_.stores(0)) {
        fail(
            "write at shared address 0x%x races with a read by product %u of warpgroup %d: its "
            "wait "
            "does not come before",
            address, last.at, reader - actors_.warps);
      }
      fail(
          "write at shared address 0x%x races with a read by tensor store %u of warp %d: its wait "
          "does not come before",
          address, last.at, reader - actors_.stores(0));
    }
  }
}

// ---- ordinary accesses ------------------------------------------------------------------------

void SharedMemory::read(const Access &access, std::uint32_t address, void *to,
                        std::uint32_t count) {
  const std::uint32_t offset = check_range(address, count, "read");
  LastRead *reads = reads_of(access.warp);
  for (std::uint32_t i = offset / 4; i < (offset + count + 3) / 4; ++i) {
    check_readable(access, i);
    LastRead &last = reads[i];
    const auto lane = static_cast<std::int8_t>(access.lane < 0 ? kMany : access.lane);
    if (last.at == access.clock->now) {
      if (last.lane != lane) last.lane = kMany;
    } else {
      last = {access.clock->now, lane};
    }
  }
  std::memcpy(to, contents_.get() + offset, count);
}

void SharedMemory::write(const Access &access, std::uint32_t address, const void *from,
                         std::uint32_t count) {
  const std::uint32_t offset = check_range(address, count, "write");
  const std::uint32_t end = (offset + count + 3) / 4;
  check_overwrite(access, offset / 4, end);
  for (std::uint32_t i = offset / 4; i < end; ++i) words_[i] = word_of(access, kWritten);
  std::memcpy(contents_.get() + offset, from, count);
}

// ---- copies of a lane's own (cp.async) --------------------------------------------------------

void SharedMemory::begin(const Access &access, std::uint32_t address, std::uint32_t count) {
  const std::uint32_t offset = check_range(address, count, "asynchronous copy");
  const std::uint32_t end = (offset + count + 3) / 4;
  check_overwrite(access, offset / 4, end);
  for (std::uint32_t i = offset / 4; i < end; ++i) words_[i] = word_of(access, kPending);
  std::memset(contents_.get() + offset, 0xff, count);
}

void SharedMemory::land(std::uint32_t address, const void *from, std::uint32_t count) {
  std::memcpy(contents_.get() + (address - kBase), from, count);
}

void SharedMemory::settle(const Access &access, std::uint32_t address, std::uint32_t count) {
  const std::uint32_t offset = address - kBase;
  for (std::uint32_t i = offset / 4; i < (offset + count + 3) / 4; ++i) {
    // Others need a barrier after the wait, not after the issue; so does the proxy its fence.
    words_[i] = word_of(access, kWritten);
  }
}

// ---- the asynchronous proxy -------------------------------------------------------------------

void SharedMemory::begin_copy(const Access &access, int actor, std::uint32_t time,
                              std::uint32_t address, std::uint32_t count) {
  const std::uint32_t offset = check_range(address, 16, "tensor copy");
  check_range(address + count - 16, 16, "tensor copy");
  const std::uint32_t end = (offset + count) / 4;
  check_overwrite(access, offset / 4, end);
  for (std::uint32_t i = offset / 4; i < end; ++i) {
    words_[i] = {kWritten, -1, static_cast<std::int16_t>(actor), time, 0};
  }
  std::memset(contents_.get() + offset, 0xff, count);
}

// Whether the lane that wrote the word fenced it, and the access knows of the fence.
bool SharedMemory::fenced(const Access &access, const Word &word,
                          const std::vector<Fences> &fences) const {
  const Fences &own = fences[word.actor * 32 + word.lane];
  if (own.size() <= word.fences) return false;
  const bool same_lane = word.actor == access.warp && word.lane == access.lane;
  return same_lane || access.knows(word.actor, own[word.fences]);
}

void SharedMemory::read_async(const Access &access, int actor, std::uint32_t time,
                              std::uint32_t address, void *to, std::uint32_t count) {
  const std::uint32_t offset = check_range(address, count, "asynchronous read");
  LastRead *reads = reads_of(actor);
  for (std::uint32_t i = offset / 4; i < (offset + count) / 4; ++i) {
    check_readable(access, i);
    const Word &word = words_[i];
    if (word.actor < actors_.warps && word.lane >= 0 && !fenced(access, word, proxy_fences_)) {
      fail(
          "asynchronous read at shared address 0x%x of what warp %d lane %d wrote: no "
          "fence_async_proxy between its write and the barrier",
          kBase + i * 4, word.actor, word.lane);
    }
    reads[i].at = time;
  }
  std::memcpy(to, contents_.get() + offset, count);
}

void SharedMemory::peek(std::uint32_t address, void *to, std::uint32_t count) const {
  std::memcpy(to, contents_.get() + (address - kBase), count);
}

void SharedMemory::fence_proxy(const Access &access) {
  fences_of(proxy_fences_, access).push_back(access.clock->now);
  fences_of(mbarrier_fences_, access).push_back(access.clock->now);
}

// ---- mbarriers --------------------------------------------------------------------------------

void SharedMemory::make_mbarrier(const Access &access, std::uint32_t address) {
  const std::uint32_t first = check_range(address, 8, "mbarrier") / 4;
  check_overwrite(access, first, first + 2);
  for (std::uint32_t i = first; i < first + 2; ++i) words_[i] = word_of(access, kMbarrier);
}

void SharedMemory::use_mbarrier(const Access &access, std::uint32_t address, bool async) const {
  const std::uint32_t first = check_range(address, 8, "mbarrier") / 4;
  const Word &word = words_[first];
  if (word.state != kMbarrier) fail("no mbarrier is at shared address 0x%x", address);
  const bool own = word.actor == access.warp && word.lane == access.lane;
  if (!own && !access.knows(word.actor, word.written)) {
    fail("the mbarrier at 0x%x is used before it is made: no barrier after its mbarrier_init",
         address);
  }
  if (async && !fenced(access, word, mbarrier_fences_)) {
    fail(
        "a copy is to tell the mbarrier at 0x%x: no fence_mbarrier_init after its mbarrier_init "
        "and "
        "before the barrier",
        address);
  }
}

void SharedMemory::remove_mbarrier(const Access &access, std::uint32_t address) {
  use_mbarrier(access, address, false);
  const std::uint32_t first = (address - kBase) / 4;
  for (std::uint32_t i = first; i < first + 2; ++i) words_[i] = word_of(access, kNeverWritten);
}

void SharedMemory::fence_mbarriers(const Access &access) {
  fences_of(mbarrier_fences_, access).push_back(access.clock->now);
}

}  // namespace svdit::sim

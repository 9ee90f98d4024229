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

SharedMemory::SharedMemory(std::uint32_t bytes, int warps)
    : bytes_(bytes),
      warps_(warps),
      contents_(new std::byte[bytes + 1]),
      words_((bytes + 3) / 4),
      reads_(words_.size() * static_cast<std::size_t>(warps)) {
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

void SharedMemory::read(const Access &access, std::uint32_t address, void *to,
                        std::uint32_t count) {
  const std::uint32_t offset = check_range(address, count, "read");
  for (std::uint32_t i = offset / 4; i < (offset + count + 3) / 4; ++i) {
    const Word &word = words_[i];
    if (word.state == kNeverWritten)
      fail("read at shared address 0x%x: never written", kBase + i * 4);
    if (word.state == kPending) {
      fail("read at shared address 0x%x before arrival: warp %d lane %d did not wait for its copy",
           kBase + i * 4, word.writer_warp, word.writer_lane);
    }
    const bool own =
        word.writer_warp == access.warp && word.writer_lane == access.lane && access.lane >= 0;
    if (!own && access.clock->known[word.writer_warp] < word.written) {
      fail(
          "read at shared address 0x%x races with the write by warp %d lane %d: no barrier between",
          kBase + i * 4, word.writer_warp, word.writer_lane);
    }
    LastRead &last = reads_[static_cast<std::size_t>(i) * warps_ + access.warp];
    const auto lane = static_cast<std::int8_t>(access.lane < 0 ? kMany : access.lane);
    if (last.at == access.clock->now) {
      if (last.lane != lane) last.lane = kMany;
    } else {
      last = {access.clock->now, lane};
    }
  }
  std::memcpy(to, contents_.get() + offset, count);
}

void SharedMemory::check_overwrite(const Access &access, std::uint32_t i) const {
  const Word &word = words_[i];
  if (word.state == kPending) {
    fail("write at shared address 0x%x while the copy by warp %d lane %d is under way",
         kBase + i * 4, word.writer_warp, word.writer_lane);
  }
  if (word.state == kWritten) {
    const bool own = word.writer_warp == access.warp && word.writer_lane == access.lane;
    if (!own && access.clock->known[word.writer_warp] < word.written) {
      fail(
          "write at shared address 0x%x races with the write by warp %d lane %d: no barrier "
          "between",
          kBase + i * 4, word.writer_warp, word.writer_lane);
    }
  }
  for (int warp = 0; warp < warps_; ++warp) {
    const LastRead &last = reads_[static_cast<std::size_t>(i) * warps_ + warp];
    const bool own = warp == access.warp && last.lane == access.lane;
    if (!own && access.clock->known[warp] < last.at) {
      fail("write at shared address 0x%x races with a read by warp %d: no barrier between",
           kBase + i * 4, warp);
    }
  }
}

void SharedMemory::write(const Access &access, std::uint32_t address, const void *from,
                         std::uint32_t count) {
  const std::uint32_t offset = check_range(address, count, "write");
  for (std::uint32_t i = offset / 4; i < (offset + count + 3) / 4; ++i) {
    check_overwrite(access, i);
    words_[i] = {kWritten, static_cast<std::int8_t>(access.lane),
                 static_cast<std::int16_t>(access.warp), access.clock->now};
  }
  std::memcpy(contents_.get() + offset, from, count);
}

void SharedMemory::begin(const Access &access, std::uint32_t address, std::uint32_t count) {
  const std::uint32_t offset = check_range(address, count, "asynchronous copy");
  for (std::uint32_t i = offset / 4; i < (offset + count + 3) / 4; ++i) {
    check_overwrite(access, i);
    words_[i] = {kPending, static_cast<std::int8_t>(access.lane),
                 static_cast<std::int16_t>(access.warp), access.clock->now};
  }
  std::memset(contents_.get() + offset, 0xff, count);
}

void SharedMemory::land(std::uint32_t address, const void *from, std::uint32_t count) {
  std::memcpy(contents_.get() + (address - kBase), from, count);
}

void SharedMemory::settle(const Access &access, std::uint32_t address, std::uint32_t count) {
  const std::uint32_t offset = address - kBase;
  for (std::uint32_t i = offset / 4; i < (offset + count + 3) / 4; ++i) {
    words_[i].state = kWritten;
    words_[i].written =
        access.clock->now;  // others need a barrier after the wait, not after the issue
  }
}

}  // namespace svdit::sim

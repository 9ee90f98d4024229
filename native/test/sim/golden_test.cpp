// Replays the record that a real GPU made of every primitive (native/test/device/golden.cu), and
// fails where the simulator gives anything else. Where no record has been made yet it says so: the
// layouts are then those of the PTX ISA's text, unverified.
#include "test/sim/golden.cuh"

#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>

#include "cases.h"
#include "test/sim/golden_source.h"

namespace {

using namespace svdit;
using namespace svdit::golden;
using test::check;

std::vector<std::uint32_t> simulate() {
  const std::vector<unsigned char> bytes = source_bytes();
  unsigned char *source = static_cast<unsigned char *>(std::aligned_alloc(16, kSourceBytes));
  std::memcpy(source, bytes.data(), kSourceBytes);
  std::uint32_t counter = 0;
  std::vector<std::uint32_t> results(kResultWords, 0xffffffff);
  sim::launch({.blocks = 1, .threads = kThreads, .shared_bytes = kSharedBytes},
              [&] { record(source, &counter, results.data()); });
  std::free(source);
  return results;
}

bool agree(Kind kind, std::uint32_t sim, std::uint32_t gpu) {
  if (sim == gpu) return true;
  const float a = std::bit_cast<float>(sim), b = std::bit_cast<float>(gpu);
  if (kind == kExact || !std::isfinite(a) || !std::isfinite(b))
    return std::isnan(a) && std::isnan(b) && kind != kExact;
  // Sums differ by the order of 16 additions, approximations in the last bits (a logarithm's
  // absolutely).
  if (kind == kSum) return std::fabs(a - b) <= 1e-5f * (256 + std::fabs(b));
  return std::fabs(a - b) <= 4e-7f * (std::fabs(b) + (kind == kLogarithm ? 1 : 0));
}

void replay(const std::vector<std::uint32_t> &gpu, const std::vector<std::uint32_t> &sim,
            int section) {
  for (int i = section * 32 * kWords; i < (section + 1) * 32 * kWords; ++i) {
    check(agree(kSections[section].kind, sim[i], gpu[i]),
          "lane %d word %d: the simulator gives %08x, the GPU gave %08x", i / kWords % 32,
          i % kWords, sim[i], gpu[i]);
  }
}

}  // namespace

int main(int count, char **arguments) {
  test::Cases cases;
  const std::vector<std::uint32_t> sim = simulate();
  cases.run("every section is written", [&] {
    for (int i = 0; i < kResultWords; ++i) {
      const bool nan =
          i / 32 / kWords >= 14 && i / 32 / kWords <= 18;  // conversions may give all ones
      check(nan || sim[i] != 0xffffffff, "%s lane %d word %d", kSections[i / 32 / kWords].name,
            i / kWords % 32, i % kWords);
    }
  });
  cases.run("a wrong record is noticed in every section", [&] {
    for (int section = 0; section < kSectionCount; ++section) {
      std::vector<std::uint32_t> wrong = sim;
      wrong[section * 32 * kWords + 8 * kWords] ^= 0x00400000;
      bool noticed = false;
      try {
        replay(wrong, sim, section);
      } catch (const std::exception &) {
        noticed = true;
      }
      check(noticed, "%s", kSections[section].name);
    }
  });
  const std::string path = count > 1 ? arguments[1] : "native/test/sim/golden.txt";
  std::ifstream file(path);
  if (!file) {
    std::printf("      no record of a GPU (%s): the layouts are unverified\n", path.c_str());
    return cases.finish();
  }
  std::vector<std::uint32_t> gpu;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream words(line);
    for (std::uint32_t word; words >> std::hex >> word;) gpu.push_back(word);
  }
  cases.run("the record is whole",
            [&] { check(gpu.size() == sim.size(), "%zu words", gpu.size()); });
  if (gpu.size() == sim.size()) {
    for (int section = 0; section < kSectionCount; ++section) {
      cases.run(std::string("golden: ") + kSections[section].name,
                [&] { replay(gpu, sim, section); });
    }
  }
  return cases.finish();
}

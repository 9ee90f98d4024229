// Replays the record that a Hopper GPU made of every primitive of ptx_sm90.cuh
// (native/test/device/golden_sm90.cu), and fails where the simulator gives anything else. Where no
// record has been made yet it says so: the layouts are then those of the PTX ISA's text,
// unverified.
#include "test/sim/golden_sm90.cuh"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "cases.h"
#include "test/sim/accumulation.cuh"
#include "test/sim/golden_sm90_source.h"

namespace {

using namespace svdit;
using namespace svdit::golden_sm90;
using test::check;

std::vector<std::uint32_t> simulate(std::uint64_t seed) {
  const std::unique_ptr<void, decltype(&std::free)> source(std::aligned_alloc(128, kArrayBytes),
                                                           &std::free);
  const std::unique_ptr<void, decltype(&std::free)> target(std::aligned_alloc(128, kArrayBytes),
                                                           &std::free);
  std::memcpy(source.get(), source_bytes().data(), kArrayBytes);
  std::memset(target.get(), kUntouched, kArrayBytes);
  const Maps maps = make_maps(source.get(), target.get());
  std::vector<std::uint32_t> results(kResultWords, 0xffffffff);
  sim::launch({.blocks = 1,
               .threads = kThreads,
               .shared_bytes = kSharedBytes,
               .seed = seed,
               .registers = 168},
              [&] {
                record(maps, static_cast<const unsigned char *>(source.get()), kAllSections,
                       results.data());
              });
  record_target(target.get(), results.data());
  return results;
}

// A conversion may differ in which NaN it gives.
void replay(const std::vector<std::uint32_t> &gpu, const std::vector<std::uint32_t> &sim,
            int section) {
  const int words = kRecorders * kWords;
  for (int i = section * words; i < (section + 1) * words; ++i) {
    check(sim[i] == gpu[i], "thread %d word %d: the simulator gives %08x, the GPU gave %08x",
          i / kWords % kRecorders, i % kWords, sim[i], gpu[i]);
  }
}

// What the GPU is asked about its sums gives fp32's answers where the sums are fp32's.
void sums_of_fp32() {
  namespace sums = accumulation;
  std::vector<float> results(sums::kResults, NAN);
  sim::launch({.blocks = 1, .threads = sums::kThreads, .shared_bytes = sums::kSharedBytes},
              [&] { sums::measure(results.data()); });
  for (const sums::Type type : {sums::kE4m3, sums::kBf16}) {
    const int many = type == sums::kE4m3 ? 4 : 3;  // products, as a power of two
    // Beside a zero nothing is lost: the columns with n up to kPowers - 1 hold what they were
    // given.
    const int exact[sums::kSums] = {23, 23, 23 + many, 24, sums::kPowers - 1};
    for (int sum = 0; sum < sums::kSums; ++sum) {
      const auto [last, gone] = sums::kept(results.data(), type, static_cast<sums::Sum>(sum));
      check(last == exact[sum] && gone == exact[sum] + 1, "%s",
            sums::line_of(results.data(), type, static_cast<sums::Sum>(sum)).c_str());
    }
  }
}

// And those of an accumulator of 14 bits that drops the rest.
void sums_of_fewer_bits() {
  namespace sums = accumulation;
  std::vector<float> results(sums::kResults, sums::kLarge);
  for (int n = 0; n < sums::kPowers; ++n) {
    results[n] = sums::kLarge + (n <= 13 ? std::ldexp(sums::kLarge, -n) : 0.0f);
    results[sums::kMany * sums::kColumns + n] =
        sums::kLarge + (n <= 13 ? 16 * std::ldexp(sums::kLarge, -n) : 0.0f);
  }
  for (const sums::Sum sum : {sums::kCarried, sums::kMany}) {
    const auto [last, gone] = sums::kept(results.data(), sums::kE4m3, sum);
    check(last == 13 && gone == 14, "%s", sums::line_of(results.data(), sums::kE4m3, sum).c_str());
  }
}

}  // namespace

int main(int count, char **arguments) {
  test::Cases cases;
  const std::vector<std::uint32_t> sim = simulate(1);
  cases.run("every section is written, the same with every schedule", [&] {
    for (int i = 0; i < kResultWords; ++i) {
      check(sim[i] != 0xffffffff, "%s thread %d", kSections[i / kWords / kRecorders],
            i / kWords % kRecorders);
    }
    for (std::uint64_t seed = 2; seed < 6; ++seed) check(simulate(seed) == sim, "another result");
  });
  cases.run("every section tells something", [&] {
    for (int section = 0; section < kSectionCount; ++section) {
      bool something = false;
      for (int i = 0; i < kRecorders * kWords; ++i) {
        something |= sim[section * kRecorders * kWords + i] != 0;
      }
      check(something, "%s is all zeros", kSections[section]);
    }
  });
  cases.run("a wrong record is noticed in every section", [&] {
    for (int section = 0; section < kSectionCount; ++section) {
      std::vector<std::uint32_t> wrong = sim;
      wrong[(section * kRecorders + 97) * kWords] ^= 0x00010000;
      bool noticed = false;
      try {
        replay(wrong, sim, section);
      } catch (const std::exception &) {
        noticed = true;
      }
      check(noticed, "%s", kSections[section]);
    }
  });
  cases.run("the bits of sums: fp32's", sums_of_fp32);
  cases.run("the bits of sums: fewer", sums_of_fewer_bits);
  const std::string path = count > 1 ? arguments[1] : "native/test/sim/golden_sm90.txt";
  std::ifstream file(path);
  if (!file) {
    std::printf("      no record of a Hopper GPU (%s): the layouts are unverified\n", path.c_str());
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
      const auto own = gpu.begin() + section * kRecorders * kWords;
      if (std::all_of(own, own + kRecorders * kWords,
                      [](std::uint32_t word) { return word == kNotRecorded; })) {
        std::printf("      not recorded, so unverified: %s\n", kSections[section]);
        continue;
      }
      cases.run(std::string("golden: ") + kSections[section], [&] { replay(gpu, sim, section); });
    }
  }
  return cases.finish();
}

// Every place where a kernel synchronises is needed: with any one of them left out, the simulator
// ends the kernel in a fault, or the result is another. A place for which this is not so costs time
// for nothing, or the simulator does not see what it is for.
#include <map>
#include <vector>

#include "cases.h"
#include "sim/places.h"
#include "test/cases.h"
#include "test/sim/simulated.h"
#include "test/sweep_cases.h"

using namespace svdit::test;
using svdit::sim::Place;
using svdit::sim::Places;

namespace {

// Where nothing comes of it, why, and in how many places of kernels.
std::map<std::pair<std::string, std::string>, int> may_be_left_out = {
    // Whose turn it is at the tensor cores is a matter of speed.
    {{"strip_sm90.cuh", "barrier_sync"}, 2},
    // Seen where a block sees more than 256 runs, that is among 33,000 tokens.
    {{"runs.cuh", "barrier"}, 1},
    // No register is touched between the two products of a step. It stands there for the compiler.
    {{"consumer_sm90.cuh", "wgmma_fence"}, 2},
    // Bytes may come before they are expected; and lanes that went apart meet again.
    {{"producer_e4m3_sm90.cuh", "warp_sync"}, 2},
};

using Bytes = std::vector<char>;
using Run = std::function<Bytes(uint64_t seed)>;

template <class T>
void append(Bytes &bytes, const T *data, size_t count) {
  const char *from = reinterpret_cast<const char *>(data);
  bytes.insert(bytes.end(), from, from + count * sizeof(T));
}

Run attention(const TestCase &c, Kernels kernels, int32_t query_block_end = 0) {
  return [=](uint64_t seed) {
    Random random(5);
    const TestData data(c, random, Strides::kBatchHeadToken);
    svdit_attention_args args = data.args(c);
    args.query_block_end = query_block_end;
    const PlanDesc desc(c);
    SimulatedPlan(desc.desc, seed, kernels).run(args);
    Bytes bytes;
    for (int32_t h = 0; h < c.heads(); ++h) {
      for (int32_t t = 0; t < c.queries(); ++t) {
        append(bytes, data.out.row(0, h, t), 2 * c.head_dim);
      }
    }
    append(bytes, static_cast<const float *>(data.lse_bytes.data()), c.heads() * c.queries());
    return bytes;
  };
}

TestCase case_of(uint32_t type, int32_t head_dim, int32_t block, int32_t width) {
  TestCase c;
  c.type = type;
  c.head_dim = head_dim;
  c.block = block;
  c.frames = 3;
  c.height = 5;
  c.width = width;
  return c;
}

// Query blocks that see all keys, or a few of them, lined up in two ways; more items than blocks of
// threads; a text, not all of it valid; the last block and the last tile are short.
TestCase some_of_all(uint32_t type, int32_t head_dim, int32_t block, int32_t width) {
  TestCase c = case_of(type, head_dim, block, width);
  c.text = 20;
  c.text_valid = {13};
  c.patterns.resize(2);
  c.patterns[0].mode = SVDIT_MODE_FULL;
  c.patterns[1].mode = SVDIT_MODE_MULTI_DIAGONAL;
  c.patterns[1].order = SVDIT_ORDER_TOKEN_MAJOR;
  c.patterns[1].window = 70;
  return c;
}

// Query blocks that see every period-th block; none, where period is 0.
TestCase listed(int32_t width, int32_t period) {
  TestCase c = case_of(SVDIT_BF16, 64, 64, width);
  c.patterns.resize(1);
  c.patterns[0].mode = SVDIT_MODE_BLOCKS;
  c.patterns[0].lists.resize(c.video_blocks());
  for (auto &list : c.patterns[0].lists) {
    for (int32_t i = 0; period > 0 && i < c.video_blocks(); i += period) list.push_back(i);
  }
  return c;
}

Run sweep(int32_t width, std::vector<int32_t> query_blocks, int64_t stops, bool gram) {
  SweepCase s;
  s.c = case_of(SVDIT_BF16, 64, 64, width);
  s.c.text = 20;
  s.c.patterns.resize(1);
  s.c.patterns[0].order = SVDIT_ORDER_TOKEN_MAJOR;
  s.head_end = 1;
  s.query_blocks = std::move(query_blocks);
  for (int64_t stop = 0; stop < stops; ++stop) s.stops.push_back(stop);
  s.gram = gram;
  return [s](uint64_t seed) {
    Random random(6);
    const SweepData data(s, random, Strides::kBatchHeadToken);
    const PlanDesc desc(s.c);
    SimulatedPlan(desc.desc, seed).run_sweep(data.args());
    Bytes bytes;
    append(bytes, data.got.error.data(), data.got.error.size());
    append(bytes, data.got.norm.data(), data.got.norm.size());
    append(bytes, data.got.mass.data(), data.got.mass.size());
    append(bytes, data.got.reference.data(), data.got.reference.size());
    return bytes;
  };
}

// A way to run a kernel, what it must give, and where it synchronises on the way.
struct Known {
  Run run;
  Bytes right;
  std::set<Place> places;
};

// Whether any way to run the kernel shows that the place was left out.
bool shows(const Place &place, const std::vector<Known> &ways) {
  for (const Known &way : ways) {
    if (!way.places.contains(place)) continue;
    for (uint64_t seed = 1; seed <= 2; ++seed) {
      const Places left_out(&place);
      try {
        if (way.run(seed) != way.right) return true;
      } catch (const svdit::sim::Fault &) {
        return true;
      }
    }
  }
  return false;
}

void test_kernel(Cases &cases, const std::string &name, const std::vector<Run> &runs) {
  std::vector<Known> ways;
  std::set<Place> places;
  cases.run(name + ": whatever the schedule, the same bits", [&] {
    for (const Run &run : runs) {
      const Places found;
      Known way{run, run(1), {}};
      check(run(2) == way.right, "another schedule gives another result");
      way.places = found.found();
      places.insert(way.places.begin(), way.places.end());
      ways.push_back(std::move(way));
    }
    check(!places.empty(), "synchronises nowhere");
  });
  for (const Place &place : places) {
    cases.run(name + " without " + place.text(), [&] {
      if (shows(place, ways)) return;
      const auto known =
          may_be_left_out.find({std::string(place.file), std::string(place.primitive)});
      check(known != may_be_left_out.end() && known->second > 0, "nothing comes of it");
      --known->second;
      std::printf("      (nothing comes of it, as is known)\n");
    });
  }
}

}  // namespace

int main() {
  Cases cases;
  // The second way has more stops than a list takes, and another list of as many.
  test_kernel(cases, "sweep",
              {sweep(12, {0, 3, 1, 2, 0, 1, 2}, 2, true), sweep(20, {0}, 210, false)});
  test_kernel(cases, "attention_sm80",
              {attention(some_of_all(SVDIT_BF16, 64, 64, 12), Kernels::kSm80),
               attention(listed(12, 0), Kernels::kSm80)});
  test_kernel(cases, "attention_sm90",
              {attention(some_of_all(SVDIT_BF16, 128, 128, 18), Kernels::kSm90)});
  test_kernel(cases, "attention_e4m3_sm90",
              {attention(some_of_all(SVDIT_E4M3, 128, 128, 18), Kernels::kE4m3)});
  cases.run("what may be left out is still so", [] {
    for (const auto &[place, count] : may_be_left_out) {
      check(count == 0, "%s in %s: %d fewer", place.second.c_str(), place.first.c_str(), count);
    }
  });
  return cases.finish();
}

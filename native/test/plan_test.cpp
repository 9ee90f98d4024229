// Plans against the definitions: orders, runs, densities, groups, the work list.
#include "plan/plan.h"

#include <algorithm>
#include <numeric>
#include <set>

#include "test/cases.h"
#include "test/reference.h"

using namespace svdit;
using namespace svdit::test;

namespace {

svdit_plan *create(svdit_backend *backend, const TestCase &c) {
  const PlanDesc desc(c);
  svdit_plan *plan = nullptr;
  expect_ok([&](svdit_error *e) { return svdit_plan_create(backend, &desc.desc, &plan, e); });
  return plan;
}

// The position of each stored key token of a head: text keeps its place, video goes to its place in
// the order.
std::vector<int32_t> positions(const TestCase &c, int32_t head) {
  std::vector<int32_t> at(c.keys());
  std::iota(at.begin(), at.end(), 0);
  if (c.key_tokens > 0) return at;
  const std::vector<int32_t> place = places(c, c.patterns[head]);
  const int32_t begin = c.text_first ? c.text : 0;
  for (int32_t i = 0; i < c.video(); ++i) at[begin + i] = begin + place[i];
  return at;
}

void expect_runs_and_density(svdit_backend *backend, const TestCase &c) {
  svdit_plan *plan = create(backend, c);
  if (plan == nullptr) return;
  svdit_plan_info info{};
  info.struct_bytes = sizeof info;
  expect_ok([&](svdit_error *e) { return svdit_plan_describe(plan, &info, e); });
  const int32_t text_blocks = (c.text + c.block - 1) / c.block;
  EXPECT(info.video_query_blocks == c.video_blocks());
  EXPECT(info.query_blocks == c.video_blocks() + text_blocks);
  EXPECT(info.query_tokens == c.queries() && info.key_tokens == c.keys());

  const int32_t valid = c.valid(0);
  std::vector<double> density(c.heads());
  expect_ok([&](svdit_error *e) { return svdit_plan_density(plan, valid, density.data(), e); });
  for (int32_t h = 0; h < c.heads(); ++h) {
    const Visibility visibility(c, h);
    const std::vector<int32_t> position = positions(c, h);
    std::vector<std::vector<char>> seen(info.query_blocks, std::vector<char>(c.keys(), 0));
    for (int32_t block = 0; block < info.query_blocks; ++block) {
      std::vector<svdit_run> runs(c.keys() + 1);
      int64_t count = -1;
      expect_ok([&](svdit_error *e) {
        return svdit_plan_runs(plan, h, block, valid, runs.data(), (int64_t)runs.size(), &count, e);
      });
      for (int64_t i = 0; i < count; ++i) {
        EXPECT(runs[i].begin < runs[i].end, "an empty run");
        EXPECT(i == 0 || runs[i].begin > runs[i - 1].end, "runs %lld touch or descend",
               (long long)i);
        for (int64_t key = runs[i].begin; key < runs[i].end; ++key) seen[block][key] = 1;
      }
    }
    int64_t pairs = 0, wrong = 0;
    for (int32_t query = 0; query < c.queries(); ++query) {
      for (int32_t key = 0; key < c.keys(); ++key) {
        const bool sees = visibility.sees(query, key, valid);
        pairs += sees;
        wrong += sees != (bool)seen[visibility.query_block(query)][position[key]];
      }
    }
    EXPECT(wrong == 0, "head %d: %lld pairs differ", h, (long long)wrong);
    const int64_t keys = c.key_tokens > 0 ? valid : c.video() + valid;
    const double expected = keys == 0 ? 0 : (double)pairs / ((double)c.queries() * (double)keys);
    EXPECT(std::abs(density[h] - expected) < 1e-12, "head %d: density %g, expected %g", h,
           density[h], expected);
  }
  svdit_plan_destroy(plan);
}

void test_orders() {
  Random random(4);
  for (int i = 0; i < 40; ++i) {
    TestCase c = random_case(random);
    const TestPattern p = random_pattern(random, c, SVDIT_MODE_FULL);
    char name[128];
    std::snprintf(name, sizeof name, "order %u tiles %dx%dx%d of %dx%dx%d", p.order, p.tile_t,
                  p.tile_h, p.tile_w, c.frames, c.height, c.width);
    report.run(name, [&] {
      const Sequence sequence{c.frames, c.height, c.width, c.text, c.text_first};
      std::vector<int32_t> stored =
          stored_tokens(sequence, {p.order, p.tile_t, p.tile_h, p.tile_w});
      const std::vector<int32_t> place = places(c, p);
      if (stored.empty()) {
        stored.resize(c.video());
        std::iota(stored.begin(), stored.end(), 0);
      }
      EXPECT((int32_t)stored.size() == c.video());
      for (int32_t j = 0; j < c.video(); ++j) EXPECT(place[stored[j]] == j);
    });
  }
}

void test_groups_and_work() {
  Random random(8);
  for (int i = 0; i < 20; ++i) {
    const TestCase c = random_case(random);
    report.run("groups and work of " + c.describe(), [&] {
      const PlanDesc desc(c);
      const Plan plan = compile_plan(desc.desc);
      for (int32_t a = 0; a < c.heads(); ++a) {
        for (int32_t b = 0; b < c.heads(); ++b) {
          const TestPattern &p = c.patterns[a], &q = c.patterns[b];
          const bool same = p.mode == q.mode && p.order == q.order && p.tile_t == q.tile_t &&
                            p.tile_h == q.tile_h && p.tile_w == q.tile_w;
          EXPECT((plan.group_of_head[a] == plan.group_of_head[b]) == same);
        }
        EXPECT(plan.group_of_head[a] >= 0 && plan.group_of_head[a] < plan.groups);
      }
      // Every query block once, a head's together, costs descending within a head and over heads.
      std::set<std::pair<int32_t, int32_t>> items;
      std::vector<int64_t> head_total(c.heads(), 0);
      std::vector<int32_t> head_order;
      int64_t last = INT64_MAX;
      for (const WorkItem &item : plan.work) {
        items.insert({item.head, item.query_block});
        int64_t keys = 0;
        RunCursor cursor = plan.runs(item.head, item.query_block, 0);
        for (Run run; cursor.next(&run);) keys += run.end - run.begin;
        if (head_order.empty() || head_order.back() != item.head) {
          head_order.push_back(item.head);
          last = INT64_MAX;
        }
        EXPECT(keys <= last);
        last = keys;
        head_total[item.head] += keys;
      }
      EXPECT(items.size() == (size_t)c.heads() * plan.layout.query_blocks);
      EXPECT(plan.work.size() == items.size());
      EXPECT(head_order.size() == (size_t)c.heads(), "a head's blocks are not together");
      for (size_t h = 1; h < head_order.size(); ++h) {
        EXPECT(head_total[head_order[h]] <= head_total[head_order[h - 1]]);
      }
    });
  }
}

// A video as long as published models' makes the same plan arithmetic as a short one: no overflow,
// windows exact.
void test_long_video() {
  report.run("a window over 119,056 tokens", [&] {
    TestCase c;
    c.frames = 33;
    c.height = 45;
    c.width = 80;
    c.text = 256;
    TestPattern p;
    p.mode = SVDIT_MODE_DIAGONAL;
    p.window = 7200;
    c.patterns = {p};
    const PlanDesc desc(c);
    const Plan plan = compile_plan(desc.desc);
    int64_t pairs = 0;
    for (int64_t a = 0; a < c.video_blocks(); ++a) {
      for (int64_t b = 0; b < c.video_blocks(); ++b) {
        const int64_t first = std::min(a, b), second = std::max(a, b);
        const int64_t rows = std::min<int64_t>(128, c.video() - a * 128);
        const int64_t keys = std::min<int64_t>(128, c.video() - b * 128);
        const int64_t distance = a == b ? 0 : second * 128 - (first * 128 + 127);
        if (distance <= p.window) pairs += rows * keys;
      }
    }
    EXPECT(plan.video_pairs[0] == pairs);
  });
}

}  // namespace

int main() {
  test_orders();
  svdit_backend *backend = open_cpu(SVDIT_CPU_TIER_PORTABLE, 1);
  for (uint64_t seed = 1; seed <= 150; ++seed) {
    Random random(seed);
    const TestCase c = random_case(random);
    report.run("runs seed " + std::to_string(seed) + ": " + c.describe(),
               [&] { expect_runs_and_density(backend, c); });
  }
  svdit_backend_close(backend);
  test_groups_and_work();
  test_long_video();
  return report.finish();
}

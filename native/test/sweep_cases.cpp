#include "test/sweep_cases.h"

#include <algorithm>
#include <cmath>

#include "test/reference.h"

namespace svdit::test {

SweepCase random_sweep(Random &random, const TestCase &c) {
  SweepCase s;
  s.c = c;
  s.c.key_tokens = 0;
  s.c.batch = (int32_t)random.between(1, 2);
  s.c.text_valid.clear();
  for (int32_t b = 0; b < s.c.batch && s.c.text > 0; ++b) {
    s.c.text_valid.push_back((int32_t)random.between(0, s.c.text));
  }
  s.rule = (uint32_t)random.between(0, 1);
  const TestPattern order = random_pattern(random, s.c, SVDIT_MODE_FULL);
  s.c.patterns.assign((size_t)random.between(1, 3), order);
  s.head_begin = (int32_t)random.between(0, s.c.heads() - 1);
  s.head_end = s.c.heads();
  const int32_t blocks = s.c.video_blocks();
  const int32_t all = blocks + (s.c.text + s.c.block - 1) / s.c.block;
  for (int i = 0; i < 3; ++i) s.query_blocks.push_back((int32_t)random.between(0, all - 1));
  int32_t listed = blocks;
  if (s.rule == SVDIT_SWEEP_RANKED || random.chance(0.5)) {
    for (int32_t h = 0; h < s.heads(); ++h) {
      std::vector<int32_t> list(blocks);
      for (int32_t b = 0; b < blocks; ++b) list[b] = b;
      for (int32_t b = blocks - 1; b > 0; --b) std::swap(list[b], list[random.between(0, b)]);
      list.resize((size_t)random.between(0, blocks));
      listed = std::min(listed, (int32_t)list.size());
      s.first.push_back(list);
    }
  }
  const int64_t most = s.rule == SVDIT_SWEEP_RANKED ? listed : s.c.video();
  for (int64_t stop = random.between(0, 2); stop <= most; stop += random.between(1, 1 + most / 3)) {
    s.stops.push_back(stop);
  }
  s.gram = random.chance(0.5);
  return s;
}

SweepData::SweepData(const SweepCase &s, Random &random, Strides strides)
    : s(s),
      data(s.c, random, strides),
      first_offsets{0},
      got{std::vector<double>(s.results() * s.stops.size(), -1),
          std::vector<double>(s.results(), -1),
          std::vector<double>(s.results() * s.c.video_blocks(), -1),
          std::vector<float>(s.results() * s.c.block * s.c.head_dim, -1)} {
  const int32_t d = s.c.head_dim;
  if (s.gram) {
    // G = W W^T, positive as the search's are.
    root.resize((size_t)s.heads() * d * d);
    gram.assign(root.size(), 0);
    for (float &x : root) x = random.normal() / std::sqrt((float)d);
    for (int32_t h = 0; h < s.heads(); ++h) {
      const float *w = &root[(size_t)h * d * d];
      for (int32_t i = 0; i < d; ++i) {
        for (int32_t j = 0; j < d; ++j) {
          for (int32_t k = 0; k < d; ++k)
            gram[((size_t)h * d + i) * d + j] += w[i * d + k] * w[j * d + k];
        }
      }
    }
  }
  for (const auto &list : s.first) {
    first.insert(first.end(), list.begin(), list.end());
    first_offsets.push_back((int64_t)first.size());
  }
}

svdit_sweep_args SweepData::args() const {
  const TestCase &c = s.c;
  svdit_sweep_args args{};
  args.struct_bytes = sizeof args;
  args.batch = c.batch;
  args.q = data.q.tensor();
  args.k = data.k.tensor();
  args.v = data.v.tensor();
  args.text_valid = c.text_valid.empty() ? nullptr : c.text_valid.data();
  args.scale = c.scale;
  args.rule = s.rule;
  const TestPattern &order = c.patterns[0];
  args.order = order.order;
  args.tile_t = order.tile_t;
  args.tile_h = order.tile_h;
  args.tile_w = order.tile_w;
  args.head_begin = s.head_begin;
  args.head_end = s.head_end;
  args.query_block_count = (int32_t)s.query_blocks.size();
  args.stop_count = (int32_t)s.stops.size();
  args.query_blocks = s.query_blocks.data();
  args.stops = s.stops.data();
  if (!s.first.empty()) {
    static const int32_t none = 0;
    args.first = first.empty() ? &none : first.data();
    args.first_offsets = first_offsets.data();
  }
  args.gram = s.gram ? gram.data() : nullptr;
  args.error = got.error.data();
  args.norm = got.norm.data();
  args.reference = got.reference.data();
  args.mass = got.mass.data();
  return args;
}

void SweepData::expect_matches() const {
  TestCase c = s.c;
  c.type = tensor_type(c.type);  // the sweep of an E4M3 plan is that of bf16
  const TestPattern &order = c.patterns[0];
  const int32_t d = c.head_dim, n = (int32_t)s.query_blocks.size();
  const int32_t t = (int32_t)s.stops.size(), blocks = c.video_blocks();
  const Visibility full(c, 0);
  const std::vector<int32_t> place = places(c, order);
  const int32_t video_begin = c.text_first ? c.text : 0;
  const auto key_block = [&](int32_t key) {
    const int32_t at = key - video_begin;
    return at >= 0 && at < c.video() ? place[at] / c.block : -1;
  };
  // Outputs in low precision have errors of their own, which do not cancel in O_stop - O_0.
  const double unit = c.type == SVDIT_FP32 ? 1e-5 : c.type == SVDIT_FP16 ? 2e-3 : 1e-2;
  size_t at = 0;
  for (int32_t b = 0; b < c.batch; ++b) {
    for (int32_t h = s.head_begin; h < s.head_end; ++h) {
      for (int32_t i = 0; i < n; ++i, ++at) {
        const int32_t qb = s.query_blocks[i];
        std::vector<int32_t> queries;  // in the order of their places
        for (int32_t q = 0; q < c.queries(); ++q) {
          if (full.query_block(q) == qb) queries.push_back(q);
        }
        std::sort(queries.begin(), queries.end(), [&](int32_t x, int32_t y) {
          return qb < blocks ? place[x - video_begin] < place[y - video_begin] : x < y;
        });
        const auto cost = [&](const std::vector<double> &e) {
          double sum = 0;
          for (int32_t x = 0; x < d; ++x) {
            if (!s.gram) {
              sum += e[x] * e[x];
              continue;
            }
            double projected = 0;  // of output x: sum over y of e[y] W[y][x]
            for (int32_t y = 0; y < d; ++y) {
              projected += e[y] * root[((size_t)(h - s.head_begin) * d + y) * d + x];
            }
            sum += projected * projected;
          }
          return sum;
        };
        double norm = 0, worst_reference = 0;
        std::vector<double> mass(blocks, 0), error(t, 0);
        for (size_t r = 0; r < queries.size(); ++r) {
          const auto visible = [&](int32_t key, int64_t stop) {
            if (!full.sees(queries[r], key, c.valid(b))) return false;
            const int32_t kb = key_block(key);
            if (kb < 0 || stop < 0 || qb >= blocks) return true;
            const std::vector<int32_t> none;
            const auto &list = s.first.empty() ? none : s.first[h - s.head_begin];
            const int64_t rank = std::find(list.begin(), list.end(), kb) - list.begin();
            if (s.rule == SVDIT_SWEEP_RANKED) return rank < stop;
            const int64_t lo = (int64_t)kb * c.block,
                          hi = std::min<int64_t>(lo + c.block, c.video()) - 1;
            const int64_t qlo = (int64_t)qb * c.block;
            const int64_t qhi = std::min<int64_t>(qlo + c.block, c.video()) - 1;
            return rank < (int64_t)list.size() ||
                   std::max<int64_t>({lo - qhi, qlo - hi, 0}) <= stop;
          };
          const ReferenceRow dense = reference_row(c, data, b, h, queries[r],
                                                   [&](int32_t key) { return visible(key, -1); });
          norm += cost(dense.out);
          for (int32_t x = 0; x < d; ++x) {
            const float g = got.reference[(at * c.block + r) * d + x];
            worst_reference = std::max(worst_reference, std::fabs(g - dense.out[x]));
          }
          for (int32_t stop = 0; stop < t; ++stop) {
            const ReferenceRow row = reference_row(c, data, b, h, queries[r], [&](int32_t key) {
              return visible(key, s.stops[stop]);
            });
            std::vector<double> e(d);
            for (int32_t x = 0; x < d; ++x) e[x] = row.out[x] - dense.out[x];
            error[stop] += cost(e);
          }
          for (size_t j = 0; j < dense.keys.size(); ++j) {
            const int32_t kb = key_block(dense.keys[j]);
            if (kb >= 0) mass[kb] += dense.weights[j];
          }
        }
        const double rows = (double)queries.size();
        // The norm is that of the very O_0 the sweep gives, whatever the element type.
        double own = 0;
        for (size_t r = 0; r < queries.size(); ++r) {
          const float *o_0 = &got.reference[(at * c.block + r) * d];
          own += cost({o_0, o_0 + d});
        }
        EXPECT(std::fabs(got.norm[at] - own) <= 3e-5 * own, "norm %.9g, of O_0 %.9g", got.norm[at],
               own);
        if (c.valid(b) == 0) {
          double all = 0;
          for (int32_t kb = 0; kb < blocks; ++kb) all += got.mass[at * blocks + kb];
          EXPECT(std::fabs(all - rows) <= 1e-4 * rows, "%g of %g weight is on the video", all,
                 rows);
        }
        EXPECT(worst_reference <= 3 * unit, "O_0 is off by %g", worst_reference);
        EXPECT(std::fabs(got.norm[at] - norm) <= unit * (norm + rows), "norm %g, expected %g",
               got.norm[at], norm);
        for (int32_t stop = 0; stop < t; ++stop) {
          const double e = got.error[at * t + stop];
          EXPECT(std::fabs(e - error[stop]) <= unit * (error[stop] + norm),
                 "error at stop %lld is %g, expected %g", (long long)s.stops[stop], e, error[stop]);
          EXPECT(qb < blocks || e == 0, "a text query block's error is %g", e);
        }
        for (int32_t kb = 0; kb < blocks; ++kb) {
          EXPECT(std::fabs(got.mass[at * blocks + kb] - mass[kb]) <= unit * rows,
                 "mass of block %d is %g, expected %g", kb, got.mass[at * blocks + kb], mass[kb]);
        }
        for (size_t x = queries.size() * d; x < (size_t)c.block * d; ++x) {
          EXPECT(got.reference[at * c.block * d + x] == 0,
                 "a row past a short block's end is not 0");
        }
      }
    }
  }
}

}  // namespace svdit::test

// A query block's step and its beginning and end, over the vectors and loaders of one tier.
// Included in a tier's anonymous namespace.
//
// The tier provides vectors of fp32 (kLanes, F, load, store, set1, add, sub, mul, fma, max, which
// gives its second operand where either is NaN, any_greater), Groups (how queries fill tiles, and
// the tiles' heights), pack_queries and write_rows, and for each way of multiplying a Dot:
//   kPack                          elements per unit
//   Operand, load, broadcast, madd units, and the multiplication of two
//   load_key, load_values          the loader: rows of any Element as units
//   exp2, store_weights, weights   the softmax's weights as units
//
// A NaN score makes its row NaN by its own weight, which exp2 must leave NaN: a maximum may have
// passed over it.
#include "cpu/attention/product_inl.h"

// Natural logarithm of 2, to turn base-2 sums into the natural LSE.
constexpr float kLn2 = 0.693147180559945309417f;

// The output is rescaled only once some query's maximum has grown by this many powers of two: until
// then weights may exceed 1, up to 2^8, which costs no precision in floating point.
constexpr float kRescaleAt = 8;

// Calls body(Index<NV>, first lane) for each group of the block's queries.
template <class Body>
inline void for_groups(int queries, Body &&body) {
  for (int lane = 0; lane < queries;) {
    lane += Groups::dispatch(queries - lane, lane, body) * kLanes;
  }
}

// 1 / the sum of weights of a group's first count queries, 0 for those that saw no key and for the
// idle lanes.
template <int kWidth>
inline void inverse_sums(const Scratch &scratch, int first, int count, float (&inverse)[kWidth]) {
  for (int i = 0; i < kWidth; ++i) {
    const float sum = scratch.sum[first + i];
    inverse[i] = i < count && sum != 0 ? 1 / sum : 0;
  }
}

// The rows of the next chunk, to be fetched ahead.
struct Ahead {
  const BlockTask &task;
  const int32_t *tokens;
  int32_t count, row_bytes;

  __attribute__((always_inline)) void fetch(int begin, int end) const {
    for (int i = begin; i < end && i < count; ++i) {
      const char *k = task.k.data + tokens[i] * task.k.stride;
      const char *v = task.v.data + tokens[i] * task.v.stride;
      for (int at = 0; at < row_bytes; at += 64) {
        __builtin_prefetch(k + at);
        __builtin_prefetch(v + at);
      }
    }
  }
};

// What one group of queries does with a loaded chunk; the same for every element type a Dot
// multiplies.
template <class Dot, int kDim>
struct Group {
  template <int NV>
  __attribute__((noinline)) static void step(const BlockTask &task, Scratch &scratch, int first,
                                             int count, const Ahead *ahead) {
    constexpr int kWidth = NV * kLanes;
    static_assert(kWidth <= kGroupLanes && kBlockQueries % kWidth == 0,
                  "a group fits the scratch's scores, and groups fill a block");
    static_assert(kChunkKeys % Dot::kPack == 0, "a full chunk is whole units of weights");
    const int d = kDim > 0 ? kDim : task.head_dim, units = d / Dot::kPack;
    const int weights = (count + Dot::kPack - 1) / Dot::kPack;
    float *o = scratch.o + (int64_t)first * d;

    F chunk_max[NV];
    scores<NV>(scratch, scratch.q + (int64_t)first * units, units, count, chunk_max, ahead);

    // Online softmax: take the new maximum where it has grown enough, and shrink what was summed
    // under the old.
    const float scale = task.scale < 0 ? -task.scale : task.scale;
    F old_max[NV], new_max[NV], shift[NV], sum[NV];
    bool grown = false;
    for (int v = 0; v < NV; ++v) {
      old_max[v] = load(scratch.max + first + v * kLanes);
      new_max[v] = max(old_max[v], chunk_max[v]);
      grown |= any_greater(mul(sub(new_max[v], old_max[v]), set1(scale)), set1(kRescaleAt));
    }
    if (grown) {
      rescale<NV>(scratch, first, d, scale, old_max, new_max);
    } else {
      for (int v = 0; v < NV; ++v) new_max[v] = old_max[v];
    }
    for (int v = 0; v < NV; ++v) {
      shift[v] = mul(new_max[v], set1(-scale));
      sum[v] = set1(0);
    }
    uint32_t *p = Dot::weights(scratch);
    for (int u = 0; u < weights; ++u) {
      Dot::template store_weights<NV>(scratch.s + (int64_t)u * Dot::kPack * kWidth,
                                      count - u * Dot::kPack, set1(scale), shift, sum,
                                      p + (int64_t)u * kWidth);
    }
    for (int v = 0; v < NV; ++v) {
      float *total = scratch.sum + first + v * kLanes;
      store(scratch.step_sum + first + v * kLanes, sum[v]);
      store(total, add(load(total), sum[v]));
    }
    outputs<NV>(scratch, o, d, p, weights);
  }

  // S = K Q for one group, and its maximum per query.
  template <int NV>
  __attribute__((always_inline)) static void scores(Scratch &scratch, const uint32_t *q, int units,
                                                    int count, F (&chunk_max)[NV],
                                                    const Ahead *ahead) {
    constexpr int kRows = Groups::template kKeyRows<NV>;
    constexpr int kWidth = NV * kLanes;
    for (int v = 0; v < NV; ++v) chunk_max[v] = set1(-__builtin_inff());
    for (int key = 0; key < count; key += kRows) {
      if (ahead != nullptr) ahead->fetch(key, key + kRows);
      F acc[kRows][NV];
      repeat<kRows>([&](auto r) SVDIT_LAMBDA {
        repeat<NV>([&](auto v) SVDIT_LAMBDA { acc[r.value][v.value] = set1(0); });
      });
      product<Dot, kRows, NV>(scratch.k + (int64_t)key * units, units, 1, q, units, acc);
      float *s = scratch.s + (int64_t)key * kWidth;
      repeat<kRows>([&](auto r) SVDIT_LAMBDA {
        if (key + r.value < count) {
          repeat<NV>([&](auto v) SVDIT_LAMBDA {
            store(s + r.value * kWidth + v.value * kLanes, acc[r.value][v.value]);
            chunk_max[v.value] = max(chunk_max[v.value], acc[r.value][v.value]);
          });
        }
      });
    }
    // Keys the last rows computed past the chunk's end were never stored.
  }

  // Moves a group's maximum from old_max to new_max: sum and output shrink by 2^((old - new)
  // scale).
  template <int NV>
  static void rescale(Scratch &scratch, int first, int d, float scale, const F (&old_max)[NV],
                      const F (&new_max)[NV]) {
    F factor[NV];
    for (int v = 0; v < NV; ++v) {
      float *total = scratch.sum + first + v * kLanes;
      factor[v] = Dot::exp2(mul(sub(old_max[v], new_max[v]), set1(scale)));
      store(scratch.max + first + v * kLanes, new_max[v]);
      store(total, mul(load(total), factor[v]));
    }
    if (!scratch.started) return;
    float *o = scratch.o + (int64_t)first * d;
    for (int i = 0; i < d; ++i) {
      for (int v = 0; v < NV; ++v, o += kLanes) store(o, mul(load(o), factor[v]));
    }
  }

  // O += V P for one group.
  template <int NV>
  __attribute__((always_inline)) static void outputs(Scratch &scratch, float *o, int d,
                                                     const uint32_t *p, int weights) {
    constexpr int kRows = Groups::template kValueRows<NV>;
    constexpr int kWidth = NV * kLanes;
    const bool started = scratch.started != 0;
    for (int i = 0; i < d; i += kRows, o += kRows * kWidth) {
      F acc[kRows][NV];
      repeat<kRows>([&](auto r) SVDIT_LAMBDA {
        repeat<NV>([&](auto v) SVDIT_LAMBDA {
          acc[r.value][v.value] = started ? load(o + r.value * kWidth + v.value * kLanes) : set1(0);
        });
      });
      product<Dot, kRows, NV>(scratch.v + i, 1, d, p, weights, acc);
      repeat<kRows>([&](auto r) SVDIT_LAMBDA {
        repeat<NV>([&](auto v) SVDIT_LAMBDA {
          store(o + r.value * kWidth + v.value * kLanes, acc[r.value][v.value]);
        });
      });
    }
  }
};

template <class Element, class Dot, int kDim>
struct Block {
  static int dim(const BlockTask &task) { return kDim > 0 ? kDim : task.head_dim; }
  static int q_units(const BlockTask &task) { return dim(task) / Dot::kPack; }

  static void begin(const BlockTask &task, Scratch &scratch) {
    const int units = q_units(task);
    for_groups(task.queries, [&](auto nv, int first) {
      constexpr int kWidth = nv.value * kLanes;
      uint32_t *q = scratch.q + (int64_t)first * units;
      const int count = task.queries - first < kWidth ? task.queries - first : kWidth;
      pack_queries<Element, Dot, kWidth>(task, task.query_tokens + first, count, dim(task),
                                         task.scale < 0, q);
    });
    for (int i = 0; i < kBlockQueries; ++i) {
      scratch.max[i] = -__builtin_inff();
      scratch.sum[i] = 0;
    }
    scratch.started = 0;
  }

  static void step(const BlockTask &task, Scratch &scratch, const int32_t *tokens, int32_t count,
                   const int32_t *next_tokens, int32_t next_count) {
    load_chunk(task, scratch, tokens, count);
    const Ahead ahead{task, next_tokens, next_count, dim(task) * (int)sizeof(Element)};
    for_groups(task.queries, [&](auto nv, int first) {
      // The first group fetches the next chunk, spread over its products.
      Group<Dot, kDim>::template step<nv.value>(task, scratch, first, count,
                                                first == 0 ? &ahead : nullptr);
    });
    scratch.started = 1;
  }

  template <class Out>
  static void finish(const BlockTask &task, const Scratch &scratch, const BlockResult &result) {
    const int d = dim(task);
    for_groups(task.queries, [&](auto nv, int first) {
      constexpr int kWidth = nv.value * kLanes;
      const float *o = scratch.o + (int64_t)first * d;
      const int count = task.queries - first < kWidth ? task.queries - first : kWidth;
      float inverse[kWidth];
      inverse_sums(scratch, first, count, inverse);
      if (result.lse != nullptr) write_lse(task, scratch, result, first, count);
      write_rows<Out, kWidth>(result, first, count, d, scratch.started ? o : nullptr, inverse);
    });
  }

 private:
  static void write_lse(const BlockTask &task, const Scratch &scratch, const BlockResult &result,
                        int first, int count) {
    const float scale = task.scale < 0 ? -task.scale : task.scale;
    for (int i = first; i < first + count; ++i) {
      const float sum = scratch.sum[i];
      result.lse[result.tokens[i]] =
          sum == 0 ? -__builtin_inff() : kLn2 * (scratch.max[i] * scale + __builtin_log2f(sum));
    }
  }

  static void load_chunk(const BlockTask &task, Scratch &scratch, const int32_t *tokens,
                         int32_t count) {
    const int d = dim(task), units = q_units(task);
    for (int i = 0; i < count; ++i) {
      Dot::template load_key<Element>(task.k.data + tokens[i] * task.k.stride, d,
                                      scratch.k + (int64_t)i * units);
    }
    for (int i = 0; i < count; i += Dot::kPack) {
      const char *rows[Dot::kPack];
      for (int j = 0; j < Dot::kPack; ++j) {
        // Past the end the weight is 0, and the value must only be finite: NULL loads zeros.
        rows[j] = i + j < count ? task.v.data + tokens[i + j] * task.v.stride : nullptr;
      }
      Dot::template load_values<Element>(rows, d, scratch.v + (int64_t)(i / Dot::kPack) * d);
    }
  }
};

// The pieces for one element type, by head dim: 64 and 128 with constant strides, the others at run
// time.
template <class Element, class Dot>
struct Kernels {
  template <class Call>
  static void by_dim(const BlockTask &task, Call &&call) {
    if (task.head_dim == 64) return call(Block<Element, Dot, 64>{});
    if (task.head_dim == 128) return call(Block<Element, Dot, 128>{});
    call(Block<Element, Dot, 0>{});
  }
  static void begin(const BlockTask &task, Scratch &scratch) {
    by_dim(task, [&](auto block) { block.begin(task, scratch); });
  }
  static void step(const BlockTask &task, Scratch &scratch, const int32_t *tokens, int32_t count,
                   const int32_t *next_tokens, int32_t next_count) {
    by_dim(task,
           [&](auto block) { block.step(task, scratch, tokens, count, next_tokens, next_count); });
  }
  static void finish(const BlockTask &task, const Scratch &scratch, const BlockResult &result) {
    Block<Element, Dot, 0>::template finish<Element>(task, scratch, result);
  }
  static void finish_fp32(const BlockTask &task, const Scratch &scratch,
                          const BlockResult &result) {
    Block<Element, Dot, 0>::template finish<float>(task, scratch, result);
  }
  static constexpr BlockKernels table() { return {begin, step, finish, finish_fp32}; }
};

// The sweep's pieces, the same for all element types. Included in a tier's anonymous namespace,
// after block_inl.h.

struct Sweep {
  static void snapshot(const BlockTask &task, const Scratch &scratch, float *output) {
    const int d = task.head_dim;
    for_groups(task.queries, [&](auto nv, int first) {
      constexpr int kWidth = nv.value * kLanes;
      const int count = task.queries - first < kWidth ? task.queries - first : kWidth;
      float inverse[kWidth];
      inverse_sums(scratch, first, count, inverse);
      const float *from = scratch.o + (int64_t)first * d;
      float *to = output + (int64_t)first * d;
      for (int i = 0; i < d; ++i, from += kWidth, to += kWidth) {
        for (int lane = 0; lane < kWidth; ++lane) {
          // Not the product alone: what was never written may be NaN.
          to[lane] = scratch.started && lane < count ? from[lane] * inverse[lane] : 0;
        }
      }
    });
  }

  static double squared_norm(const BlockTask &task, Scratch &scratch, const float *a,
                             const float *b, const float *gram) {
    double total = 0;
    for_groups(task.queries, [&](auto nv, int first) {
      total += group_norm<nv.value>(task, scratch, a, b, gram, first);
    });
    return total;
  }

 private:
  template <int NV>
  static double group_norm(const BlockTask &task, Scratch &scratch, const float *a, const float *b,
                           const float *gram, int first) {
    constexpr int kRows = Groups::template kValueRows<NV>;
    constexpr int kWidth = NV * kLanes;
    const int d = task.head_dim;
    const int64_t at = (int64_t)first * d;
    float *e = (float *)scratch.k;
    for (int i = 0; i < d * kWidth; i += kLanes) {
      const F x = load(a + at + i);
      store(e + i, b == nullptr ? x : sub(x, load(b + at + i)));
    }
    F sums[NV];
    repeat<NV>([&](auto v) SVDIT_LAMBDA { sums[v.value] = set1(0); });
    for (int i = 0; i < d; i += kRows) {
      const float *rows = e + (int64_t)i * kWidth;
      F acc[kRows][NV];
      repeat<kRows>([&](auto r) SVDIT_LAMBDA {
        repeat<NV>([&](auto v) SVDIT_LAMBDA {
          acc[r.value][v.value] =
              gram == nullptr ? load(rows + r.value * kWidth + v.value * kLanes) : set1(0);
        });
      });
      if (gram != nullptr) {
        product<Fp32Dot, kRows, NV>((const uint32_t *)gram + (int64_t)i * d, d, 1, (uint32_t *)e, d,
                                    acc);
      }
      repeat<kRows>([&](auto r) SVDIT_LAMBDA {
        repeat<NV>([&](auto v) SVDIT_LAMBDA {
          const F x = load(rows + r.value * kWidth + v.value * kLanes);
          sums[v.value] = fma(x, acc[r.value][v.value], sums[v.value]);
        });
      });
    }
    double total = 0;
    for (int v = 0; v < NV; ++v) {
      float lanes[kLanes];
      store(lanes, sums[v]);
      for (float x : lanes) total += x;
    }
    return total;
  }
};

// The register tile both matrix products of attention run through. Included in a tier's anonymous
// namespace.
//
// Queries lie across the lanes, so one side of the product is always loaded as vectors and the
// other broadcast:
//   scores  S[key][query] = sum over units of K[key][unit] * Q[unit][query]
//   output  O[d][query]  += sum over units of V[unit][d]   * P[unit][query]
// A row maximum is then a vertical maximum, a short chunk only means fewer rows, and nothing is
// ever masked.

// acc[r][v] += sum over u of a[r * row + u * unit] * b[u][v], for R rows and NV vectors of lanes.
template <class Dot, int R, int NV>
__attribute__((always_inline)) inline void product(const uint32_t *a, int64_t row, int64_t unit,
                                                   const uint32_t *b, int units, F (&acc)[R][NV]) {
  for (int u = 0; u < units; ++u) {
    typename Dot::Operand lanes[NV];
    repeat<NV>([&](auto v) SVDIT_LAMBDA { lanes[v.value] = Dot::load(b + v.value * kLanes); });
    repeat<R>([&](auto r) SVDIT_LAMBDA {
      const typename Dot::Operand x = Dot::broadcast(a + r.value * row);
      repeat<NV>([&](auto v) SVDIT_LAMBDA {
        acc[r.value][v.value] = Dot::madd(acc[r.value][v.value], x, lanes[v.value]);
      });
    });
    a += unit;
    b += NV * kLanes;
  }
}

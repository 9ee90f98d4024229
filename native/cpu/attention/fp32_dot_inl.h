// Multiplying in fp32, over any tier's vectors: units are numbers, weights stay where the scores
// were. Included in a tier's anonymous namespace, after its vectors.

// 2^f for f in [0, 1), 1 at 0, by a polynomial with relative error 1.6e-7.
inline F exp2_fraction(F f) {
  F p = set1(0x1.e974fap-10f);
  p = fma(p, f, set1(0x1.277856p-7f));
  p = fma(p, f, set1(0x1.c91ce6p-5f));
  p = fma(p, f, set1(0x1.ebdb56p-3f));
  p = fma(p, f, set1(0x1.62e4bap-1f));
  return fma(p, f, set1(1));
}

// A tier's Dot derives from this and adds exp2 and load_key.
template <class Dot>
struct Fp32Units {
  static constexpr int kPack = 1;
  using Operand = F;
  static Operand load(const uint32_t *at) { return ::svdit::load(at); }
  static Operand broadcast(const uint32_t *at) { return set1(as_float(*at)); }
  static F madd(F acc, Operand a, Operand b) { return fma(a, b, acc); }
  static uint32_t *weights(Scratch &scratch) { return (uint32_t *)scratch.s; }

  template <int NV>
  static void store_weights(const float *s, int, F scale, const F (&shift)[NV], F (&sum)[NV],
                            uint32_t *p) {
    repeat<NV>([&](auto v) SVDIT_LAMBDA {
      const F score = ::svdit::load(s + v.value * kLanes);
      const F weight = Dot::exp2(fma(score, scale, shift[v.value]));
      sum[v.value] = add(sum[v.value], weight);
      store(p + v.value * kLanes, weight);
    });
  }

  template <class Element>
  static void load_values(const char *const (&rows)[1], int d, uint32_t *units) {
    Dot::template load_key<Element>(rows[0], d, units);
  }
};

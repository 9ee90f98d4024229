// Loops that are straight-line code. Included in a tier's anonymous namespace, first of all.

template <int n>
struct Index {
  static constexpr int value = n;
};

// body(Index<0>) ... body(Index<n - 1>), as straight-line code: accumulators in arrays stay in
// registers only if every index is a constant to the compiler's first passes.
template <int i, int n, class Body>
__attribute__((always_inline)) inline void repeat_from(Body &&body) {
  if constexpr (i < n) {
    body(Index<i>{});
    repeat_from<i + 1, n>(body);
  }
}
template <int n, class Body>
__attribute__((always_inline)) inline void repeat(Body &&body) {
  repeat_from<0, n>(body);
}

#define SVDIT_LAMBDA __attribute__((always_inline))

// Rows in and out element by element, for tiers that do not transpose in registers. Included in a
// tier's anonymous namespace, after element_inl.h.

// Loads element d of a row as a unit of fp32.
template <class Element>
inline float element_at(const char *row, int d) {
  Element x;
  __builtin_memcpy(&x, row + d * sizeof(Element), sizeof x);
  return to_float(x);
}

// Q of one group as [unit][lane]; lanes past count are 0. Scores of -q and scale are those of q and
// -scale.
template <class Element, class Dot, int kWidth>
inline void pack_queries(const BlockTask &task, const int32_t *tokens, int count, int d,
                         bool negate, uint32_t *q) {
  for (int lane = 0; lane < kWidth; ++lane) {
    const char *row = lane < count ? task.q.data + tokens[lane] * task.q.stride : nullptr;
    for (int i = 0; i < d; ++i) {
      const float x = row == nullptr ? 0 : element_at<Element>(row, i);
      q[i * kWidth + lane] = as_bits(negate ? -x : x);
    }
  }
}

// Writes rows first .. first + count - 1 of a result from o [d][lane], each times its inverse sum;
// o NULL means 0.
template <class Out, int kWidth>
inline void write_rows(const BlockResult &result, int first, int count, int d, const float *o,
                       const float *inverse) {
  for (int lane = 0; lane < count; ++lane) {
    char *row = result.out.data + result.tokens[first + lane] * result.out.stride;
    for (int i = 0; i < d; ++i) {
      Out x;
      from_float(o == nullptr ? 0 : o[i * kWidth + lane] * inverse[lane], &x);
      __builtin_memcpy(row + i * sizeof(Out), &x, sizeof x);
    }
  }
}

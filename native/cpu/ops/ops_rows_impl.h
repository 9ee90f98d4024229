// The row kernels of ops_rows.h, written once over vectors of SVDIT_LANES floats. Each tier's
// source file defines SVDIT_LANES and SVDIT_ROW_KERNELS and includes this file; everything is in an
// unnamed namespace, so that no function compiled with one tier's instructions can be linked into
// another's.
#include <string.h>

#include "cpu/ops/ops_rows.h"
#include "svdit.h"

namespace svdit::cpu {
namespace {

constexpr int kLanes = SVDIT_LANES;
typedef float Floats __attribute__((vector_size(4 * SVDIT_LANES)));
typedef int32_t Ints __attribute__((vector_size(4 * SVDIT_LANES)));
typedef uint32_t Words __attribute__((vector_size(4 * SVDIT_LANES)));
typedef uint16_t Halves __attribute__((vector_size(2 * SVDIT_LANES)));

// Element types as they lie in memory.
struct Bf16 {
  uint16_t bits;
};
struct Fp16 {
  uint16_t bits;
};

inline Floats splat(float value) { return value - Floats{}; }

inline Floats widen(const float *p) {
  Floats v;
  memcpy(&v, p, sizeof v);
  return v;
}

inline Floats widen(const Bf16 *p) {
  Halves h;
  memcpy(&h, p, sizeof h);
  return (Floats)(__builtin_convertvector(h, Words) << 16);
}

// The exponent is rebased by a multiplication, which also normalises subnormals.
inline Floats widen(const Fp16 *p) {
  Halves h;
  memcpy(&h, p, sizeof h);
  const Words w = __builtin_convertvector(h, Words);
  const Words magnitude = (w & 0x7fff) << 13;
  Words bits = (Words)((Floats)magnitude * 0x1p112f);
  bits |= (Words)(magnitude >= 0x0f800000) & 0x7f800000;
  return (Floats)(bits | (w & 0x8000) << 16);
}

inline void narrow(float *p, Floats v) { memcpy(p, &v, sizeof v); }

// Round to nearest even; a NaN stays one.
inline void narrow(Bf16 *p, Floats v) {
  const Words w = (Words)v;
  const Words rounded = (w + 0x7fff + (w >> 16 & 1)) >> 16;
  const Words kept = (w & 0x7fffffff) > 0x7f800000 ? (w >> 16 | 0x40) : rounded;
  const Halves h = __builtin_convertvector(kept, Halves);
  memcpy(p, &h, sizeof h);
}

inline void narrow(Fp16 *p, Floats v) {
  const Words w = (Words)v;
  const Words sign = w >> 16 & 0x8000;
  const Words magnitude = w & 0x7fffffff;
  const Words normal = (magnitude - (112u << 23) + 0xfff + (magnitude >> 13 & 1)) >> 13;
  // Adding 0.5 rounds at 2^-24, the spacing of fp16's subnormals.
  const Words subnormal = (Words)((Floats)magnitude + 0.5f) - 0x3f000000;
  Words kept = magnitude < 0x38800000 ? subnormal : normal;
  kept = magnitude >= 0x477ff000 ? Words{} + 0x7c00 : kept;
  kept = magnitude > 0x7f800000 ? Words{} + 0x7e00 : kept;
  const Halves h = __builtin_convertvector(kept | sign, Halves);
  memcpy(p, &h, sizeof h);
}

// The first n < kLanes elements; the others are 0.
template <typename T>
inline Floats widen(const T *p, int64_t n) {
  T buffer[kLanes] = {};
  memcpy(buffer, p, n * sizeof(T));
  return widen(buffer);
}

template <typename T>
inline void narrow(T *p, Floats v, int64_t n) {
  T buffer[kLanes];
  narrow(buffer, v);
  memcpy(p, buffer, n * sizeof(T));
}

inline float sum(Floats v) {
  float total = 0;
  for (int i = 0; i < kLanes; ++i) total += v[i];
  return total;
}

// exp(x) to 2 ulp for |x| < 87, saturating outside: 2^n * p(r), r = x - n ln 2.
inline Floats exponential(Floats x) {
  x = x < -87.0f ? splat(-87.0f) : x;
  x = x > 88.0f ? splat(88.0f) : x;
  const Floats shifted =
      x * 1.44269504f + 12582912.0f;  // 1.5 * 2^23: the integer lands in the low bits
  const Floats n = shifted - 12582912.0f;
  const Floats r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  Floats p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const Words power = ((Words)shifted - 0x4b400000u + 127u) << 23;
  return p * (Floats)power;
}

inline Floats sigmoid(Floats x) { return 1.0f / (1.0f + exponential(-x)); }

template <uint32_t kActivation>
inline Floats activate(Floats x) {
  if constexpr (kActivation == SVDIT_ACTIVATION_SILU) {
    return x * sigmoid(x);
  } else if constexpr (kActivation == SVDIT_ACTIVATION_GELU_TANH) {
    // 0.5 x (1 + tanh(u)) = x sigmoid(2 u), u = sqrt(2 / pi) (x + 0.044715 x^3)
    return x * sigmoid(1.59576912f * (x + 0.044715f * x * x * x));
  } else if constexpr (kActivation == SVDIT_ACTIVATION_GELU_ERF) {
    // 0.5 x (1 + erf(x / sqrt(2))); rare and small, so one by one.
    for (int i = 0; i < kLanes; ++i)
      x[i] = static_cast<float>(0.5 * x[i] * __builtin_erfc(-0.70710678118654752 * x[i]));
    return x;
  } else if constexpr (kActivation == SVDIT_ACTIVATION_QUICK_GELU) {
    return x * sigmoid(1.702f * x);
  } else {
    return x;
  }
}

// Calls f with a null pointer of the element type whose code is given.
template <typename F>
inline void with_type(uint32_t type, F f) {
  if (type == SVDIT_BF16) {
    f(static_cast<Bf16 *>(nullptr));
  } else if (type == SVDIT_FP16) {
    f(static_cast<Fp16 *>(nullptr));
  } else {
    f(static_cast<float *>(nullptr));
  }
}

// Calls f with null pointers of x's and y's element types.
template <typename F>
inline void with_types(uint32_t x_type, uint32_t y_type, F f) {
  with_type(x_type, [&](auto *x) { with_type(y_type, [&](auto *y) { f(x, y); }); });
}

// sum over the n elements at x of g(element), with four accumulators so that additions overlap and
// errors stay small.
template <typename T, typename G>
inline float reduce(const T *x, int64_t n, G g) {
  Floats a = {}, b = {}, c = {}, d = {};
  int64_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
    a += g(widen(x + i));
    b += g(widen(x + i + kLanes));
    c += g(widen(x + i + 2 * kLanes));
    d += g(widen(x + i + 3 * kLanes));
  }
  for (; i + kLanes <= n; i += kLanes) a += g(widen(x + i));
  Floats tail = {};
  if (i < n) {
    tail = g(widen(x + i, n - i));
    for (int64_t lane = n - i; lane < kLanes; ++lane) tail[lane] = 0;
  }
  return sum((a + b) + (c + d) + tail);
}

// f(i, count) for each vector of an n-element row; count < kLanes in the last, short one.
template <typename F>
inline void each_vector(int64_t n, F f) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) f(i, static_cast<int64_t>(kLanes));
  if (i < n) f(i, n - i);
}

template <typename T>
inline Floats read(const T *p, int64_t count) {
  return count == kLanes ? widen(p) : widen(p, count);
}

template <typename T>
inline void write(T *p, Floats v, int64_t count) {
  if (count == kLanes) {
    narrow(p, v);
  } else {
    narrow(p, v, count);
  }
}

template <typename X, typename Y>
inline void norm_group(const X *x, Y *y, int64_t n, bool rms, float epsilon, const float *factor,
                       const float *offset, bool silu) {
  float mean = 0;
  float variance;
  if (rms) {
    variance = reduce(x, n, [](Floats v) { return v * v; }) / n;
  } else {
    mean = reduce(x, n, [](Floats v) { return v; }) / n;
    variance = reduce(x, n, [mean](Floats v) { return (v - mean) * (v - mean); }) / n;
  }
  const float scale = 1.0f / __builtin_sqrtf(variance + epsilon);
  each_vector(n, [&](int64_t i, int64_t count) {
    Floats v = (read(x + i, count) - mean) * scale;
    if (factor != nullptr) v *= read(factor + i, count);
    if (offset != nullptr) v += read(offset + i, count);
    if (silu) v = activate<SVDIT_ACTIVATION_SILU>(v);
    write(y + i, v, count);
  });
}

void norm(const NormRows &a, int64_t row_begin, int64_t row_end) {
  with_types(a.x_type, a.y_type, [&](auto *x_type, auto *y_type) {
    using X = decltype(x_type);
    using Y = decltype(y_type);
    for (int64_t row = row_begin; row < row_end; ++row) {
      const auto *x = static_cast<X>(const_cast<void *>(a.x)) + row * a.x_stride;
      auto *y = static_cast<Y>(a.y) + row * a.y_stride;
      for (int64_t c = 0; c < a.columns; c += a.group) {
        norm_group(x + c, y + c, a.group, a.rms, a.epsilon, a.factor ? a.factor + c : nullptr,
                   a.offset ? a.offset + c : nullptr, a.silu);
      }
    }
  });
}

template <typename X>
inline void rope_row(X *x, int64_t heads, int64_t head_dim, const float *cosine,
                     const float *sine) {
  Ints twice, swapped;
  Floats sign;
  for (int i = 0; i < kLanes; ++i) {
    twice[i] = i / 2;
    swapped[i] = i ^ 1;
    sign[i] = i % 2 == 0 ? -1.0f : 1.0f;
  }
  int64_t c = 0;
  for (; c + kLanes <= head_dim; c += kLanes) {
    Floats cos = {}, sin = {};
    memcpy(&cos, cosine + c / 2, sizeof cos / 2);
    memcpy(&sin, sine + c / 2, sizeof sin / 2);
    cos = __builtin_shuffle(cos, twice);
    sin = __builtin_shuffle(sin, twice) * sign;
    for (int64_t h = 0; h < heads; ++h) {
      X *p = x + h * head_dim + c;
      const Floats v = widen(p);
      narrow(p, v * cos + __builtin_shuffle(v, swapped) * sin);
    }
  }
  for (; c < head_dim; c += 2) {
    for (int64_t h = 0; h < heads; ++h) {
      X *p = x + h * head_dim + c;
      const Floats v = widen(p, 2);
      Floats r = {};
      r[0] = v[0] * cosine[c / 2] - v[1] * sine[c / 2];
      r[1] = v[1] * cosine[c / 2] + v[0] * sine[c / 2];
      narrow(p, r, 2);
    }
  }
}

template <typename X>
inline void rope_row_halves(X *x, int64_t heads, int64_t head_dim, const float *cosine,
                            const float *sine) {
  const int64_t half = head_dim / 2;
  each_vector(half, [&](int64_t i, int64_t count) {
    const Floats cos = read(cosine + i, count), sin = read(sine + i, count);
    for (int64_t h = 0; h < heads; ++h) {
      X *p = x + h * head_dim + i;
      const Floats a = read(p, count), b = read(p + half, count);
      write(p, a * cos - b * sin, count);
      write(p + half, b * cos + a * sin, count);
    }
  });
}

void rope(const RopeRows &a, int64_t row_begin, int64_t row_end) {
  with_type(a.x_type, [&](auto *x_type) {
    for (int64_t row = row_begin; row < row_end; ++row) {
      auto *x = static_cast<decltype(x_type)>(a.x) + row * a.x_stride;
      const float *cosine = a.cosine + row * a.cosine_stride;
      const float *sine = a.sine + row * a.sine_stride;
      if (a.halves) {
        rope_row_halves(x, a.heads, a.head_dim, cosine, sine);
      } else {
        rope_row(x, a.heads, a.head_dim, cosine, sine);
      }
    }
  });
}

void residual(const ResidualRows &a, int64_t row_begin, int64_t row_end) {
  with_types(a.x_type, a.y_type, [&](auto *x_type, auto *y_type) {
    for (int64_t row = row_begin; row < row_end; ++row) {
      const auto *x = static_cast<decltype(x_type)>(const_cast<void *>(a.x)) + row * a.x_stride;
      auto *y = static_cast<decltype(y_type)>(a.y) + row * a.y_stride;
      each_vector(a.columns, [&](int64_t i, int64_t count) {
        Floats v = read(x + i, count);
        if (a.gate != nullptr) v *= read(a.gate + i, count);
        write(y + i, read(y + i, count) + v, count);
      });
    }
  });
}

template <uint32_t kActivation>
inline void convert_activated(const ConvertRows &a, int64_t row_begin, int64_t row_end) {
  with_types(a.x_type, a.y_type, [&](auto *x_type, auto *y_type) {
    for (int64_t row = row_begin; row < row_end; ++row) {
      const auto *x = static_cast<decltype(x_type)>(const_cast<void *>(a.x)) + row * a.x_stride;
      auto *y = static_cast<decltype(y_type)>(a.y) + row * a.y_stride;
      each_vector(a.columns, [&](int64_t i, int64_t count) {
        write(y + i, activate<kActivation>(read(x + i, count)), count);
      });
    }
  });
}

void convert(const ConvertRows &a, int64_t row_begin, int64_t row_end) {
  if (a.activation == SVDIT_ACTIVATION_SILU) {
    convert_activated<SVDIT_ACTIVATION_SILU>(a, row_begin, row_end);
  } else if (a.activation == SVDIT_ACTIVATION_GELU_TANH) {
    convert_activated<SVDIT_ACTIVATION_GELU_TANH>(a, row_begin, row_end);
  } else if (a.activation == SVDIT_ACTIVATION_GELU_ERF) {
    convert_activated<SVDIT_ACTIVATION_GELU_ERF>(a, row_begin, row_end);
  } else if (a.activation == SVDIT_ACTIVATION_QUICK_GELU) {
    convert_activated<SVDIT_ACTIVATION_QUICK_GELU>(a, row_begin, row_end);
  } else {
    convert_activated<SVDIT_ACTIVATION_NONE>(a, row_begin, row_end);
  }
}

template <typename X, typename Y>
inline void softmax_row(const X *x, const float *bias, Y *y, int64_t seen, int64_t columns,
                        float scale) {
  auto score = [&](int64_t i, int64_t count) {
    Floats v = read(x + i, count) * scale;
    if (bias != nullptr) v += read(bias + i, count);
    return v;
  };
  Floats largest = splat(-__builtin_inff());
  each_vector(seen, [&](int64_t i, int64_t count) {
    const Floats v = score(i, count);
    for (int64_t lane = 0; count < kLanes && lane < count; ++lane)
      largest[lane] = v[lane] > largest[lane] ? v[lane] : largest[lane];
    if (count == kLanes) largest = v > largest ? v : largest;
  });
  float most = largest[0];
  for (int i = 1; i < kLanes; ++i) most = largest[i] > most ? largest[i] : most;
  // The sum is of what is stored before it is rounded, as attention's kernels have it.
  Floats sums = {};
  each_vector(seen, [&](int64_t i, int64_t count) {
    const Floats e = exponential(score(i, count) - most);
    if (count == kLanes) sums += e;
    for (int64_t lane = 0; count < kLanes && lane < count; ++lane) sums[lane] += e[lane];
  });
  const float whole = 1.0f / sum(sums);
  each_vector(seen, [&](int64_t i, int64_t count) {
    write(y + i, exponential(score(i, count) - most) * whole, count);
  });
  each_vector(columns - seen,
              [&](int64_t i, int64_t count) { write(y + seen + i, Floats{}, count); });
}

void softmax(const SoftmaxRows &a, int64_t row_begin, int64_t row_end) {
  with_types(a.x_type, a.y_type, [&](auto *x_type, auto *y_type) {
    for (int64_t row = row_begin; row < row_end; ++row) {
      int64_t seen = a.valid;
      if (a.group > 0) {
        const int64_t limit = ((a.first_row + row) / a.group + 1) * a.group;
        seen = limit < seen ? limit : seen;
      }
      softmax_row(static_cast<decltype(x_type)>(const_cast<void *>(a.x)) + row * a.x_stride,
                  a.bias == nullptr ? nullptr : a.bias + row * a.bias_stride,
                  static_cast<decltype(y_type)>(a.y) + row * a.y_stride, seen, a.columns, a.scale);
    }
  });
}

void multiply(const MultiplyRows &a, int64_t row_begin, int64_t row_end) {
  with_types(a.a_type, a.b_type, [&](auto *a_type, auto *b_type) {
    with_type(a.y_type, [&](auto *y_type) {
      for (int64_t row = row_begin; row < row_end; ++row) {
        const auto *x = static_cast<decltype(a_type)>(const_cast<void *>(a.a)) + row * a.a_stride;
        const auto *z = static_cast<decltype(b_type)>(const_cast<void *>(a.b)) + row * a.b_stride;
        auto *y = static_cast<decltype(y_type)>(a.y) + row * a.y_stride;
        each_vector(a.columns, [&](int64_t i, int64_t count) {
          write(y + i, read(x + i, count) * read(z + i, count), count);
        });
      }
    });
  });
}

// Sums of a few rows in fp32, of those in double: many rows lose nothing.
void sum_columns(const SumRows &a, int64_t row_begin, int64_t row_end) {
  constexpr int64_t kRowsAtOnce = 64;
  with_type(a.x_type, [&](auto *x_type) {
    const auto *x = static_cast<decltype(x_type)>(const_cast<void *>(a.x));
    for (int64_t begin = row_begin; begin < row_end; begin += kRowsAtOnce) {
      const int64_t end = begin + kRowsAtOnce < row_end ? begin + kRowsAtOnce : row_end;
      each_vector(a.columns, [&](int64_t i, int64_t count) {
        const Floats shift = read(a.shift + i, count);
        Floats sum = {}, square = {};
        for (int64_t row = begin; row < end; ++row) {
          const Floats v = read(x + row * a.x_stride + i, count) - shift;
          sum += v;
          square += v * v;
        }
        for (int64_t lane = 0; lane < count; ++lane) {
          a.sums[i + lane] += static_cast<double>(sum[lane]);
          a.squares[i + lane] += static_cast<double>(square[lane]);
        }
      });
    }
  });
}

void affine(const AffineRows &a, int64_t row_begin, int64_t row_end) {
  with_types(a.x_type, a.y_type, [&](auto *x_type, auto *y_type) {
    for (int64_t row = row_begin; row < row_end; ++row) {
      const auto *x = static_cast<decltype(x_type)>(const_cast<void *>(a.x)) + row * a.x_stride;
      auto *y = static_cast<decltype(y_type)>(a.y) + row * a.y_stride;
      each_vector(a.columns, [&](int64_t i, int64_t count) {
        Floats v = read(x + i, count) * read(a.factor + i, count) + read(a.offset + i, count);
        if (a.silu) v = activate<SVDIT_ACTIVATION_SILU>(v);
        write(y + i, v, count);
      });
    }
  });
}

}  // namespace

extern const RowKernels SVDIT_ROW_KERNELS = {norm,        rope,   residual, convert,
                                             sum_columns, affine, softmax,  multiply};

}  // namespace svdit::cpu

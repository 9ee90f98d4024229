#include "product.h"

#include <bit>
#include <cmath>
#include <vector>

#include "fault.h"

// Arithmetic on arrays of its own; watching every element of them would make it ten times slower.
#define SVDIT_UNWATCHED __attribute__((no_sanitize("address", "undefined"), optimize("O3")))

namespace svdit::sim {
namespace {

float from_e4m3(std::uint32_t bits) {
  const int exponent = bits >> 3 & 15, mantissa = bits & 7;
  if (exponent == 15 && mantissa == 7) return NAN;
  const float size = exponent == 0 ? std::ldexp(static_cast<float>(mantissa), -9)
                                   : std::ldexp(static_cast<float>(8 + mantissa), exponent - 10);
  return bits & 0x80 ? -size : size;
}

struct Tables {
  std::vector<float> bf16, fp16, e4m3;
  Tables() : bf16(65536), fp16(65536), e4m3(256) {
    for (std::uint32_t i = 0; i < 65536; ++i) {
      bf16[i] = std::bit_cast<float>(i << 16);
      fp16[i] = static_cast<float>(std::bit_cast<_Float16>(static_cast<std::uint16_t>(i)));
    }
    for (std::uint32_t i = 0; i < 256; ++i) e4m3[i] = from_e4m3(i);
  }
};

const float *table_of(MatrixElement element) {
  static const Tables tables;
  if (element == MatrixElement::kBf16) return tables.bf16.data();
  return (element == MatrixElement::kFp16 ? tables.fp16 : tables.e4m3).data();
}

int bytes_of(MatrixElement element) { return element == MatrixElement::kE4m3 ? 1 : 2; }

SVDIT_UNWATCHED void decode(const float *table, int bytes, const unsigned char *chunk, float *out,
                            int stride) {
  for (int i = 0; i < 16 / bytes; ++i) {
    out[i * stride] = table[bytes == 1 ? chunk[i] : chunk[2 * i] | chunk[2 * i + 1] << 8];
  }
}

}  // namespace

int depth_of(MatrixElement element) { return 32 / bytes_of(element); }

void place_a_register(MatrixElement element, int lane, int r, std::uint32_t bits, float *rows) {
  const float *table = table_of(element);
  const int bytes = bytes_of(element), k = depth_of(element);
  const int row = lane / 4 + 8 * (r % 2), column = (lane % 4 * 4 + r / 2 * 16) / bytes;
  for (int i = 0; i < 4 / bytes; ++i) {
    rows[row * k + column + i] = table[bits >> (8 * bytes * i) & (bytes == 1 ? 0xff : 0xffff)];
  }
}

// Rows of kSpan bytes follow each other in memory, eight to a group; the 16-byte chunks of a row
// are swizzled by bits of the address. k-major, a row is one line's k; transposed, it is one k of
// the lines, 64 of them, the next 64 lying leading_bytes further on.
void MatrixReader::read(MatrixElement element, std::uint64_t descriptor, int lines, bool transposed,
                        float *out) {
  const int mode = static_cast<int>(descriptor >> 62);
  if (mode != 1 && mode != 2) fail("a matrix without 128- or 64-byte swizzle: not simulated");
  if (descriptor >> 46 & 0xffff) fail("a matrix descriptor with a base offset: not simulated");
  if (descriptor & 0xc000c000) fail("a matrix descriptor whose reserved bits are set");
  const std::uint32_t start = (descriptor & 0x3fff) << 4;
  const std::uint32_t leading = (descriptor >> 16 & 0x3fff) << 4;
  const std::uint32_t stride = (descriptor >> 32 & 0x3fff) << 4;
  const std::uint32_t span = mode == 1 ? 128 : 64;
  if ((start & (8 * span - 1)) >= span || stride % (8 * span) != 0 ||
      (transposed && lines > 64 && leading % (8 * span) != 0)) {
    fail(
        "a matrix at shared address 0x%x, groups %u bytes apart: its swizzle needs multiples of %u",
        start, stride, 8 * span);
  }
  const int bytes = bytes_of(element), k = depth_of(element), chunk_elements = 16 / bytes;
  if (transposed && (bytes != 2 || mode != 1))
    fail("a transposed matrix of this kind: not simulated");
  if (!transposed && (start & (span - 1)) + 32 > span) {
    fail("a matrix at shared address 0x%x: its k go beyond its rows of %u bytes", start, span);
  }
  if (transposed && (start & (span - 1)) != 0) {
    fail("a transposed matrix at shared address 0x%x: it does not begin at a row", start);
  }
  const float *table = table_of(element);
  const int rows = transposed ? k : lines;
  const int chunks = transposed ? lines / chunk_elements : 2;
  for (int row = 0; row < rows; ++row) {
    for (int chunk = 0; chunk < chunks; ++chunk) {
      const std::uint32_t along = transposed ? chunk / 8 * leading + chunk % 8 * 16 : chunk * 16;
      std::uint32_t address = start + row / 8 * stride + row % 8 * span + along;
      address ^= mode == 1 ? (address >> 7 & 7) << 4 : (address >> 7 & 3) << 4;
      unsigned char contents[16];
      shared.read_async(access, actor, time, address, contents, 16);
      decode(table, bytes, contents, out + row * (transposed ? lines : k) + chunk * chunk_elements,
             1);
    }
  }
}

SVDIT_UNWATCHED void multiply_rows(const float *a, const float *b, int k, int n, bool accumulate,
                                   float *d) {
  constexpr int kColumns = 16;
  for (int row = 0; row < 16; ++row) {
    for (int column = 0; column < n; column += kColumns) {
      float sum[kColumns] = {};
      for (int i = 0; i < k; ++i) {
        const float factor = a[row * k + i];
        for (int j = 0; j < kColumns; ++j) sum[j] += factor * b[i * n + column + j];
      }
      float *out = d + row * n + column;
      for (int j = 0; j < kColumns; ++j) out[j] = accumulate ? out[j] + sum[j] : sum[j];
    }
  }
}

}  // namespace svdit::sim

#include "test/cases.h"

#include <sys/mman.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "backend/backend.h"
#include "test/quantised.h"

namespace svdit::test {
namespace {

const char *const kModes[] = {"full", "skip", "diagonal", "multi-diagonal", "stripe", "blocks"};
const char *const kTypes[] = {"bf16", "fp16", "fp32", "e4m3"};

std::vector<int32_t> random_blocks(Random &random, int32_t count, double density) {
  std::vector<int32_t> blocks;
  for (int32_t b = 0; b < count; ++b) {
    if (random.chance(density)) blocks.push_back(b);
  }
  return blocks;
}

}  // namespace

std::string TestCase::describe() const {
  char text[256];
  std::snprintf(text, sizeof text,
                "%s %dx%dx%d text %d%s keys %d block %d D %d batch %d scale %g [", kTypes[type],
                frames, height, width, this->text, text_first ? " first" : "", keys(), block,
                head_dim, batch, (double)scale);
  std::string all = text;
  for (const TestPattern &p : patterns) {
    std::snprintf(text, sizeof text, " %s/%u w%lld n%zu", kModes[p.mode], p.order,
                  (long long)p.window, p.blocks.size());
    all += text;
  }
  all += " ]";
  for (int32_t valid : text_valid) all += " valid " + std::to_string(valid);
  return all;
}

PlanDesc::PlanDesc(const TestCase &c) {
  patterns.resize(c.patterns.size());
  flat_.resize(c.patterns.size());
  offsets_.resize(c.patterns.size());
  for (size_t h = 0; h < c.patterns.size(); ++h) {
    const TestPattern &from = c.patterns[h];
    svdit_pattern &p = patterns[h];
    p = {};
    p.struct_bytes = sizeof p;
    p.mode = from.mode;
    p.order = from.order;
    p.tile_t = from.tile_t;
    p.tile_h = from.tile_h;
    p.tile_w = from.tile_w;
    p.window = from.window;
    flat_[h] = from.blocks;
    if (from.mode == SVDIT_MODE_BLOCKS) {
      offsets_[h].push_back(0);
      for (const auto &list : from.lists) {
        flat_[h].insert(flat_[h].end(), list.begin(), list.end());
        offsets_[h].push_back((int64_t)flat_[h].size());
      }
      p.list_offsets = offsets_[h].data();
      p.list_count = (int64_t)from.lists.size();
    }
    p.blocks = flat_[h].empty() ? nullptr : flat_[h].data();
    p.block_count = (int64_t)flat_[h].size();
  }
  desc.struct_bytes = sizeof desc;
  desc.element_type = c.type;
  desc.sequence = {sizeof(svdit_sequence), c.frames, c.height, c.width, c.text, c.text_first, {}};
  desc.key_tokens = c.key_tokens;
  desc.block = c.block;
  desc.heads = c.heads();
  desc.head_dim = c.head_dim;
  desc.patterns = patterns.data();
}

// Conversions by arithmetic, not by bits, so that they share nothing with the library's.
double to_double(uint32_t type, const void *element) {
  if (type == SVDIT_FP32) {
    float f;
    std::memcpy(&f, element, 4);
    return f;
  }
  uint16_t bits;
  std::memcpy(&bits, element, 2);
  const int fraction_bits = type == SVDIT_FP16 ? 10 : 7;
  const int exponent_bits = 15 - fraction_bits;
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = bits >> fraction_bits & ((1 << exponent_bits) - 1);
  const int fraction = bits & ((1 << fraction_bits) - 1);
  double value;
  if (exponent == (1 << exponent_bits) - 1) {
    value = fraction == 0 ? INFINITY : NAN;
  } else if (exponent == 0) {
    value = std::ldexp(fraction, 1 - bias - fraction_bits);
  } else {
    value = std::ldexp(fraction + (1 << fraction_bits), exponent - bias - fraction_bits);
  }
  return bits >> 15 ? -value : value;
}

// From the definition of rounding, and so independent of what it checks (base/bf16.h).
void from_float(uint32_t type, float value, void *element) {
  if (type == SVDIT_FP32) {
    std::memcpy(element, &value, 4);
    return;
  }
  const int fraction_bits = type == SVDIT_FP16 ? 10 : 7;
  const int bias = type == SVDIT_FP16 ? 15 : 127;
  const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  const double magnitude = std::fabs((double)value);
  uint16_t bits;
  if (std::isnan(value)) {
    bits = 0x7FFF;
  } else {
    int exponent = 0;
    std::frexp(magnitude, &exponent);
    exponent = std::max(exponent - 1, 1 - bias);
    // In units of the last place; nearbyint rounds ties to even. A carry goes into the exponent by
    // itself.
    const double units = std::nearbyint(std::ldexp(magnitude, fraction_bits - exponent));
    const double code = std::min(units + std::ldexp(exponent + bias - 1, fraction_bits), 65535.0);
    const uint16_t infinity = type == SVDIT_FP16 ? 0x7C00 : 0x7F80;
    bits = code >= infinity ? infinity : (uint16_t)code;
  }
  bits |= sign;
  std::memcpy(element, &bits, 2);
}

float rounded(uint32_t type, float value) {
  char bytes[4];
  from_float(type, value, bytes);
  return (float)to_double(type, bytes);
}

GuardedBytes::GuardedBytes(size_t bytes) {
  const size_t page = 4096;
  const size_t body = (bytes + page - 1) / page * page;
  mapped_ = body + page;
  map_ = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (map_ == MAP_FAILED) std::abort();
  mprotect((char *)map_ + body, page, PROT_NONE);
  data_ = (char *)map_ + body - bytes;
}

GuardedBytes::~GuardedBytes() { munmap(map_, mapped_); }

TestTensor::TestTensor(uint32_t type, int32_t batch, int32_t heads, int32_t tokens, int32_t d,
                       Strides strides)
    : type(tensor_type(type)), batch(batch), heads(heads), tokens(tokens), d(d) {
  int64_t token = d, head = (int64_t)tokens * d;
  if (strides == Strides::kBatchTokenHead) {
    head = d;
    token = (int64_t)heads * d;
  } else if (strides == Strides::kGaps) {
    token = d + 3;
    head = tokens * token + 5;
  } else if (strides == Strides::kAlignedGaps) {
    token = d + 8;
    head = tokens * token + 16;
  }
  const int64_t row =
      std::max(head * heads, token * tokens) + (strides == Strides::kGaps          ? 7
                                                : strides == Strides::kAlignedGaps ? 24
                                                                                   : 0);
  const int64_t elements =
      (batch - 1) * row + (heads - 1) * head + (int64_t)(tokens - 1) * token + d;
  const size_t bytes = (size_t)elements * element_bytes(type);
  bytes_ = std::make_unique<GuardedBytes>(bytes);
  std::memset(bytes_->data(), 0xFF, bytes);
  tensor_ = {bytes_->data(), bytes, row, head, token};
}

char *TestTensor::row(int32_t b, int32_t h, int32_t t) const {
  return (char *)tensor_.data +
         (b * tensor_.stride_batch + h * tensor_.stride_head + t * tensor_.stride_token) *
             element_bytes(type);
}

double TestTensor::at(int32_t b, int32_t h, int32_t t, int32_t i) const {
  return to_double(type, row(b, h, t) + i * element_bytes(type));
}

const float *TestTensor::values(int32_t b, int32_t h, int32_t t) const {
  if (values_.empty()) {
    values_.resize(index(batch, 0, 0));
    for (int32_t x = 0; x < batch; ++x) {
      for (int32_t y = 0; y < heads; ++y) {
        for (int32_t z = 0; z < tokens; ++z) {
          for (int32_t i = 0; i < d; ++i) values_[index(x, y, z) + i] = (float)at(x, y, z, i);
        }
      }
    }
  }
  return &values_[index(b, h, t)];
}

void TestTensor::fill_normal(Random &random, float amplitude) {
  for (int32_t b = 0; b < batch; ++b) {
    for (int32_t h = 0; h < heads; ++h) {
      for (int32_t t = 0; t < tokens; ++t) {
        for (int32_t i = 0; i < d; ++i) {
          from_float(type, amplitude * random.normal(), row(b, h, t) + i * element_bytes(type));
        }
      }
    }
  }
}

void TestTensor::fill_nan(int32_t b, int32_t h, int32_t t) {
  std::memset(row(b, h, t), 0xFF, (size_t)d * element_bytes(type));
}

int64_t TestTensor::touched_gaps() const {
  std::vector<char> element(tensor_.extent_bytes, 0);
  for (int32_t b = 0; b < batch; ++b) {
    for (int32_t h = 0; h < heads; ++h) {
      for (int32_t t = 0; t < tokens; ++t) {
        std::memset(&element[row(b, h, t) - (char *)tensor_.data], 1, d * element_bytes(type));
      }
    }
  }
  int64_t touched = 0;
  for (uint64_t i = 0; i < tensor_.extent_bytes; ++i) {
    touched += !element[i] && ((unsigned char *)tensor_.data)[i] != 0xFF;
  }
  return touched;
}

TestData::TestData(const TestCase &c, Random &random, Strides strides, float amplitude)
    : q(c.type, c.batch, c.heads(), c.queries(), c.head_dim, strides),
      k(c.type, c.batch, c.heads(), c.keys(), c.head_dim, strides),
      v(c.type, c.batch, c.heads(), c.keys(), c.head_dim, strides),
      out(c.type, c.batch, c.heads(), c.queries(), c.head_dim, strides),
      lse_bytes(sizeof(float) * c.batch * c.heads() * c.queries()) {
  q.fill_normal(random, amplitude);
  k.fill_normal(random, amplitude);
  v.fill_normal(random, 1);
  const int32_t text_begin = c.key_tokens > 0 || c.text_first ? 0 : c.video();
  for (int32_t b = 0; b < c.batch; ++b) {
    for (int32_t h = 0; h < c.heads(); ++h) {
      for (int32_t t = c.valid(b); t < c.key_text(); ++t) {
        k.fill_nan(b, h, text_begin + t);
        v.fill_nan(b, h, text_begin + t);
      }
    }
  }
}

TestData::~TestData() = default;

svdit_attention_args TestData::args(const TestCase &c) const {
  svdit_attention_args args{};
  args.struct_bytes = sizeof args;
  args.batch = c.batch;
  args.q = q.tensor();
  args.k = k.tensor();
  args.v = v.tensor();
  args.out = out.tensor();
  args.lse = (float *)lse_bytes.data();
  args.lse_bytes = sizeof(float) * c.batch * c.heads() * c.queries();
  args.text_valid = c.text_valid.empty() ? nullptr : c.text_valid.data();
  args.scale = c.scale;
  return args;
}

TestWorkspace::TestWorkspace(const svdit_plan *plan, int32_t batch)
    : bytes(plan->workspace_bytes(batch)), memory(bytes) {  // the simulator's tests have no ABI
  std::memset(memory.data(), 0xFF, bytes);
}

svdit_attention_args TestWorkspace::in(svdit_attention_args args) const {
  args.workspace = bytes > 0 ? memory.data() : nullptr;
  args.workspace_bytes = bytes;
  return args;
}

float TestData::lse(const TestCase &c, int32_t b, int32_t h, int32_t t) const {
  return ((float *)lse_bytes.data())[((int64_t)b * c.heads() + h) * c.queries() + t];
}

TestPattern random_pattern(Random &random, const TestCase &c, uint32_t mode) {
  TestPattern p;
  p.mode = mode;
  const int32_t blocks = c.video_blocks();
  if (mode == SVDIT_MODE_MULTI_DIAGONAL) {
    p.order = SVDIT_ORDER_TOKEN_MAJOR;
  } else if (mode != SVDIT_MODE_DIAGONAL) {
    p.order = (uint32_t)random.between(0, 2);
  }
  if (p.order == SVDIT_ORDER_TILE_MAJOR) {
    p.tile_t = (int32_t)random.between(1, c.frames + 1);
    p.tile_h = (int32_t)random.between(1, c.height + 1);
    p.tile_w = (int32_t)random.between(1, c.width + 1);
  }
  if (mode == SVDIT_MODE_DIAGONAL || mode == SVDIT_MODE_MULTI_DIAGONAL) {
    p.window = random.chance(0.2) ? 0 : random.between(0, c.video() + 2);
    if (random.chance(0.1)) p.window = INT64_MAX;
    if (random.chance(0.5)) p.blocks = random_blocks(random, blocks, 0.3);
  }
  if (mode == SVDIT_MODE_VERTICAL_STRIPE) p.blocks = random_blocks(random, blocks, 0.4);
  if (mode == SVDIT_MODE_BLOCKS) {
    for (int32_t i = 0; i < blocks; ++i) p.lists.push_back(random_blocks(random, blocks, 0.4));
  }
  return p;
}

TestCase random_case(Random &random) {
  TestCase c;
  const int32_t dims[] = {64, 128, 8, 16, 24, 40, 72, 80, 96, 256};
  c.type = (uint32_t)random.between(0, 3);
  c.head_dim = random.chance(0.5) ? dims[random.between(0, 1)] : dims[random.between(2, 9)];
  c.block = 16 << random.between(0, 3);
  c.batch = (int32_t)random.between(1, 2);
  c.frames = (int32_t)random.between(1, 7);
  c.height = (int32_t)random.between(1, 9);
  c.width = (int32_t)random.between(1, 9);
  if (random.chance(0.6)) {
    c.text = (int32_t)random.between(1, 150);
    c.text_first = random.chance(0.5);
  }
  uint32_t modes = SVDIT_MODE_BLOCKS;
  if (random.chance(0.1)) {
    c.key_tokens = (int32_t)random.between(1, 300);
    modes = SVDIT_MODE_SKIP;
  }
  if (random.chance(0.7) && c.key_text() > 0) {
    for (int32_t b = 0; b < c.batch; ++b) {
      c.text_valid.push_back((int32_t)random.between(0, c.key_text()));
    }
  }
  if (random.chance(0.3)) c.scale = 0.3f * random.normal();
  const int32_t heads = (int32_t)random.between(1, 4);
  for (int32_t h = 0; h < heads; ++h) {
    c.patterns.push_back(random_pattern(random, c, (uint32_t)random.between(0, modes)));
  }
  return c;
}

}  // namespace svdit::test

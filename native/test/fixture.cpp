#include "test/fixture.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "test/json.h"
#include "test/reference.h"

namespace svdit::test {
namespace {

std::vector<int32_t> integers(const Json &json) {
  std::vector<int32_t> result;
  for (const Json &item : json.items) result.push_back((int32_t)item.integer());
  return result;
}

TestPattern pattern_of(const Json &json) {
  const char *const modes[] = {"full",  "skip", "diagonal", "multi-diagonal", "vertical-stripe",
                               "blocks"};
  TestPattern pattern;
  const auto mode = std::find(std::begin(modes), std::end(modes), json["mode"].text);
  if (mode == std::end(modes)) throw std::runtime_error("mode " + json["mode"].text);
  pattern.mode = (uint32_t)(mode - std::begin(modes));
  if (json.has("order")) {
    const std::string &order = json["order"].text;
    pattern.order = order == "frame-major"   ? SVDIT_ORDER_FRAME_MAJOR
                    : order == "token-major" ? SVDIT_ORDER_TOKEN_MAJOR
                                             : SVDIT_ORDER_TILE_MAJOR;
  } else if (pattern.mode == SVDIT_MODE_MULTI_DIAGONAL) {
    pattern.order = SVDIT_ORDER_TOKEN_MAJOR;
  }
  if (json.has("tile")) {
    const std::vector<int32_t> tile = integers(json["tile"]);
    pattern.tile_t = tile.at(0);
    pattern.tile_h = tile.at(1);
    pattern.tile_w = tile.at(2);
  }
  if (json.has("window")) pattern.window = json["window"].integer();
  for (const char *name : {"anchors", "blocks"}) {
    if (json.has(name)) pattern.blocks = integers(json[name]);
  }
  if (json.has("lists")) {
    for (const Json &list : json["lists"].items) pattern.lists.push_back(integers(list));
  }
  return pattern;
}

}  // namespace

Fixture::Fixture(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  std::string all((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  uint64_t header_bytes = 0;
  if (all.size() < 8) throw std::runtime_error(path + " is no safetensors file");
  std::memcpy(&header_bytes, all.data(), 8);
  const Json header = Json::parse(all.substr(8, header_bytes));
  for (const auto &[name, entry] : header.fields) {
    if (name == "__metadata__") continue;
    Array array;
    array.dtype = entry["dtype"].text;
    for (const Json &size : entry["shape"].items) array.shape.push_back(size.integer());
    const char *data = all.data() + 8 + header_bytes;
    array.bytes.assign(data + entry["data_offsets"].items.at(0).integer(),
                       data + entry["data_offsets"].items.at(1).integer());
    arrays_[name] = std::move(array);
  }
  const Json json = Json::parse(header["__metadata__"]["case"].text);
  TestCase &c = test_case;
  const std::vector<int64_t> &q = arrays_.at("q").shape;
  c.type = SVDIT_BF16;
  c.batch = (int32_t)q.at(0);
  c.head_dim = (int32_t)q.at(3);
  if (json.has("cross")) {
    c.width = (int32_t)q.at(2);
    c.key_tokens = (int32_t)arrays_.at("k").shape.at(2);
    c.patterns.resize(q.at(1));
    c.text_valid = integers(json["key_valid"]);
    return;
  }
  c.frames = (int32_t)json["frames"].integer();
  c.height = (int32_t)json["height"].integer();
  c.width = (int32_t)json["width"].integer();
  c.text = (int32_t)json["text"].integer();
  c.text_first = json["text_first"].integer() != 0;
  c.block = (int32_t)json["block"].integer();
  c.text_valid = integers(json["text_valid"]);
  for (const Json &pattern : json["patterns"].items) c.patterns.push_back(pattern_of(pattern));
}

void Fixture::fill(const TestData &data) const {
  for (const auto &[name, tensor] :
       {std::pair("q", &data.q), std::pair("k", &data.k), std::pair("v", &data.v)}) {
    const Array &array = arrays_.at(name);
    const char *from = array.bytes.data();
    for (int32_t b = 0; b < tensor->batch; ++b) {
      for (int32_t h = 0; h < tensor->heads; ++h) {
        for (int32_t t = 0; t < tensor->tokens; ++t, from += tensor->d * 2) {
          std::memcpy(tensor->row(b, h, t), from, tensor->d * 2);
        }
      }
    }
  }
}

void Fixture::expect_matches(const TestData &data) const {
  const TestCase &c = test_case;
  if (c.type == SVDIT_E4M3) return test::expect_matches(c, data);
  const float *out = (const float *)arrays_.at("out").bytes.data();
  const float *lse = (const float *)arrays_.at("lse").bytes.data();
  Accuracy accuracy(c.type);
  double worst = 0;
  for (int32_t h = 0; h < c.heads(); ++h) {
    const Visibility visibility(c, h);
    for (int32_t b = 0; b < c.batch; ++b) {
      for (int32_t t = 0; t < c.queries(); ++t) {
        const int64_t row = ((int64_t)b * c.heads() + h) * c.queries() + t;
        const float got = data.lse(c, b, h, t);
        const bool empty = std::isinf(lse[row]);
        EXPECT(empty == (std::isinf(got) && got < 0), "LSE of head %d token %d is %g", h, t, got);
        if (!empty)
          worst = std::max(worst, std::fabs((double)got - lse[row]) / (1 + std::fabs(lse[row])));
        const ReferenceRow low = reference_row(
            c, data, b, h, t, [&](int32_t key) { return visibility.sees(t, key, c.valid(b)); });
        for (int32_t i = 0; i < c.head_dim; ++i) {
          const double x = data.out.at(b, h, t, i), want = out[row * c.head_dim + i];
          if (empty) {
            EXPECT(x == 0, "head %d token %d sees nothing, out is %g", h, t, x);
          } else {
            accuracy.add(x, low.low[i], want);
          }
        }
      }
    }
  }
  accuracy.expect_within();
  EXPECT(worst <= 1e-5, "LSE is off by %g", worst);
}

std::vector<std::string> fixture_paths(const std::string &folder) {
  std::vector<std::string> paths;
  std::error_code none;
  for (const auto &entry : std::filesystem::directory_iterator(folder, none)) {
    if (entry.path().extension() == ".safetensors") paths.push_back(entry.path().string());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

}  // namespace svdit::test

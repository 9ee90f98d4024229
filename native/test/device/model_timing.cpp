// Times one step of a Wan-1.3B-sized model with random weights at 480p x 81 frames: all blocks on
// the device, call after call and as a graph, and what of it is attention, products and the rest;
// on devices that multiply e4m3, again with its self-attention in E4M3. One JSON line each.
// Products need cuBLASLt 13 (SVDIT_CUBLASLT may name it). usage: model_timing [--small]; --small is
// a tenth of everything, to see that it runs.
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <utility>
#include <vector>

#include "test/cases.h"
#include "test/device/measure.h"

using namespace svdit::gpu;
using namespace svdit::test;

namespace {

svdit_backend *backend = nullptr;
svdit_stream stream = nullptr;

struct Size {
  int32_t frames = 21, height = 30, width = 52, heads = 12, head_dim = 128, layers = 30;
  int64_t ffn = 8960, text = 512;
  int64_t tokens() const { return (int64_t)frames * height * width; }
  int64_t channels() const { return (int64_t)heads * head_dim; }
};

// Random numbers, drawn once: drawing them for every weight would take longer than the steps.
const std::vector<char> &random_piece(uint32_t type, float deviation) {
  constexpr int64_t kPiece = 1048573;  // prime, so that rows differ
  static std::map<std::pair<uint32_t, float>, std::vector<char>> pieces;
  std::vector<char> &piece = pieces[{type, deviation}];
  if (!piece.empty()) return piece;
  piece.resize((size_t)(kPiece * element_bytes(type)));
  Random random(pieces.size());
  for (int64_t i = 0; i < kPiece; ++i)
    from_float(type, deviation * random.normal(), &piece[(size_t)(i * element_bytes(type))]);
  return piece;
}

// A matrix of random numbers in device memory.
svdit_matrix matrix(uint32_t type, int64_t rows, int64_t columns, float deviation) {
  const std::vector<char> &piece = random_piece(type, deviation);
  svdit_matrix m{};
  m.extent_bytes = (uint64_t)(rows * columns * element_bytes(type));
  must([&](svdit_error *e) {
    return svdit_memory_allocate(backend, SVDIT_MEMORY_DEVICE, m.extent_bytes, &m.data, e);
  });
  for (uint64_t at = 0; at < m.extent_bytes; at += piece.size()) {
    must([&](svdit_error *e) {
      return svdit_memory_copy(backend, (char *)m.data + at, piece.data(),
                               std::min<uint64_t>(piece.size(), m.extent_bytes - at), stream, e);
    });
  }
  m.rows = rows;
  m.columns = m.row_stride = columns;
  m.element_type = type;
  return m;
}

svdit_matrix part(const svdit_matrix &row, int64_t index, int64_t columns) {
  svdit_matrix m = row;
  m.data = (char *)row.data + index * columns * element_bytes(row.element_type);
  m.columns = m.row_stride = columns;
  m.extent_bytes = (uint64_t)(columns * element_bytes(row.element_type));
  return m;
}

struct Linear {
  svdit_matrix weight, bias;
  Linear() = default;
  Linear(int64_t outputs, int64_t inputs)
      : weight(matrix(SVDIT_BF16, outputs, inputs, 0.02f)),
        bias(matrix(SVDIT_BF16, 1, outputs, 0.02f)) {}
};

struct Block {
  explicit Block(const Size &s)
      : q(s.channels(), s.channels()),
        k(s.channels(), s.channels()),
        v(s.channels(), s.channels()),
        out(s.channels(), s.channels()),
        cross_q(s.channels(), s.channels()),
        cross_k(s.channels(), s.channels()),
        cross_v(s.channels(), s.channels()),
        cross_out(s.channels(), s.channels()),
        ffn_in(s.ffn, s.channels()),
        ffn_out(s.channels(), s.ffn),
        norm(matrix(SVDIT_BF16, 1, s.channels(), 1)),
        table(matrix(SVDIT_FP32, 1, 6 * s.channels(), 0.1f)) {}
  Linear q, k, v, out, cross_q, cross_k, cross_v, cross_out, ffn_in, ffn_out;
  svdit_matrix norm, table;
};

// What a step is made of; each part can be left out, so that the others' time shows.
struct Parts {
  uint32_t type = SVDIT_BF16;  // of self-attention
  bool attention = true, products = true, rest = true;
};

class Model {
 public:
  explicit Model(const Size &size)
      : size_(size),
        hidden_(matrix(SVDIT_FP32, size.tokens(), size.channels(), 1)),
        normed_(matrix(SVDIT_BF16, size.tokens(), size.channels(), 1)),
        q_(matrix(SVDIT_BF16, size.tokens(), size.channels(), 1)),
        k_(matrix(SVDIT_BF16, size.tokens(), size.channels(), 1)),
        v_(matrix(SVDIT_BF16, size.tokens(), size.channels(), 1)),
        ffn_(matrix(SVDIT_BF16, size.tokens(), size.ffn, 1)),
        text_(matrix(SVDIT_BF16, size.text, size.channels(), 1)),
        text_k_(matrix(SVDIT_BF16, size.text, size.channels(), 1)),
        text_v_(matrix(SVDIT_BF16, size.text, size.channels(), 1)),
        time_(matrix(SVDIT_FP32, 1, 6 * size.channels(), 0.1f)),
        modulation_(matrix(SVDIT_FP32, 1, 6 * size.channels(), 0.1f)),
        cosine_(matrix(SVDIT_FP32, size.tokens(), size.head_dim / 2, 1)),
        sine_(matrix(SVDIT_FP32, size.tokens(), size.head_dim / 2, 1)) {
    for (int32_t i = 0; i < size.layers; ++i) blocks_.emplace_back(size);
    self_ = plan(SVDIT_BF16, 0);
    self_e4m3_ = plan(SVDIT_E4M3, 0);
    cross_ = plan(SVDIT_BF16, size.text);
  }
  ~Model() {
    for (svdit_plan *plan : {self_, self_e4m3_, cross_}) svdit_plan_destroy(plan);
  }
  bool has_e4m3() const { return self_e4m3_ != nullptr; }

  void step(const Parts &parts) {
    for (const Block &block : blocks_) run(block, parts);
  }

 private:
  // NULL where the device does not multiply the type.
  svdit_plan *plan(uint32_t type, int64_t key_tokens) {
    TestCase c;
    c.type = type;
    c.block = 128;
    c.head_dim = size_.head_dim;
    c.frames = key_tokens > 0 ? 1 : size_.frames;
    c.height = key_tokens > 0 ? 1 : size_.height;
    c.width = key_tokens > 0 ? (int32_t)size_.tokens() : size_.width;
    c.key_tokens = key_tokens;
    c.patterns.assign((size_t)size_.heads, TestPattern{});
    const PlanDesc desc(c);
    svdit_plan *made = nullptr;
    svdit_status status = SVDIT_OK;
    must([&](svdit_error *e) {
      status = svdit_plan_create(backend, &desc.desc, &made, e);
      return status == SVDIT_UNSUPPORTED && type == SVDIT_E4M3 ? SVDIT_OK : status;
    });
    if (status != SVDIT_OK) return nullptr;
    uint64_t bytes = 0;
    must([&](svdit_error *e) { return svdit_plan_workspace(made, 1, &bytes, e); });
    if (bytes > workspace_.extent_bytes)
      workspace_ = matrix(SVDIT_FP32, 1, (int64_t)(bytes + 3) / 4, 0);
    return made;
  }

  void linear(const Linear &layer, const svdit_matrix &x, const svdit_matrix &y,
              uint32_t activation = SVDIT_ACTIVATION_NONE) const {
    svdit_linear_args args{};
    args.struct_bytes = sizeof args;
    args.activation = activation;
    args.x = x;
    args.weight = layer.weight;
    args.bias = layer.bias;
    args.y = y;
    must([&](svdit_error *e) { return svdit_linear(backend, &args, stream, e); });
  }

  svdit_norm_args norm(uint32_t kind, const svdit_matrix &x, const svdit_matrix &y) const {
    svdit_norm_args args{};
    args.struct_bytes = sizeof args;
    args.kind = kind;
    args.x = x;
    args.y = y;
    args.epsilon = 1e-6f;
    return args;
  }
  // The layer norm of hidden, modulated by parts `shift` and the next.
  svdit_norm_args modulated(int64_t shift) const {
    svdit_norm_args args = norm(SVDIT_NORM_LAYER, hidden_, normed_);
    args.shift = part(modulation_, shift, size_.channels());
    args.scale = part(modulation_, shift + 1, size_.channels());
    return args;
  }
  svdit_residual_args residual(const svdit_matrix &x, const svdit_matrix &y, int64_t gate) const {
    svdit_residual_args args{};
    args.struct_bytes = sizeof args;
    args.x = x;
    if (gate >= 0) args.gate = part(modulation_, gate, size_.channels());
    args.y = y;
    return args;
  }
  void normalise(const svdit_norm_args &args) const {
    must([&](svdit_error *e) { return svdit_norm(backend, &args, stream, e); });
  }
  void add(const svdit_residual_args &args) const {
    must([&](svdit_error *e) { return svdit_residual(backend, &args, stream, e); });
  }
  void add_and_normalise(const svdit_residual_args &first, const svdit_norm_args &second) const {
    must([&](svdit_error *e) { return svdit_residual_norm(backend, &first, &second, stream, e); });
  }
  void rotate(const Block &block, const svdit_matrix &x) const {
    svdit_norm_args first = norm(SVDIT_NORM_RMS, x, x);
    first.weight = block.norm;
    svdit_rope_args second{};
    second.struct_bytes = sizeof second;
    second.head_dim = size_.head_dim;
    second.x = x;
    second.cosine = cosine_;
    second.sine = sine_;
    must([&](svdit_error *e) { return svdit_norm_rope(backend, &first, &second, stream, e); });
  }

  svdit_tensor heads(const svdit_matrix &m) const {
    return {m.data, m.extent_bytes, m.rows * m.columns, size_.head_dim, m.columns};
  }
  void attend(svdit_plan *plan, const svdit_matrix &k, const svdit_matrix &v) const {
    svdit_attention_args args{};
    args.struct_bytes = sizeof args;
    args.batch = 1;
    args.q = heads(q_);
    args.k = heads(k);
    args.v = heads(v);
    args.out = heads(normed_);
    args.workspace = workspace_.data;
    args.workspace_bytes = workspace_.extent_bytes;
    must([&](svdit_error *e) { return svdit_attention(plan, &args, stream, e); });
  }

  // As io.github.sparsevdit.model.WanBlock runs it.
  void run(const Block &b, const Parts &parts) const {
    if (parts.rest) {
      svdit_convert_args copy{};
      copy.struct_bytes = sizeof copy;
      copy.x = time_;
      copy.y = modulation_;
      must([&](svdit_error *e) { return svdit_convert(backend, &copy, stream, e); });
      add(residual(b.table, modulation_, -1));
      normalise(modulated(0));
    }
    if (parts.products) {
      linear(b.q, normed_, q_);
      linear(b.k, normed_, k_);
      linear(b.v, normed_, v_);
    }
    if (parts.rest) {
      rotate(b, q_);
      rotate(b, k_);
    }
    if (parts.attention) attend(parts.type == SVDIT_E4M3 ? self_e4m3_ : self_, k_, v_);
    if (parts.products) linear(b.out, normed_, q_);
    if (parts.rest) {
      svdit_norm_args affine = norm(SVDIT_NORM_LAYER, hidden_, normed_);
      affine.weight = affine.bias = b.norm;
      add_and_normalise(residual(q_, hidden_, 2), affine);
    }
    if (parts.products) {
      linear(b.cross_q, normed_, q_);
      linear(b.cross_k, text_, text_k_);
      linear(b.cross_v, text_, text_v_);
    }
    if (parts.rest) {
      for (const svdit_matrix &m : {q_, text_k_}) {
        svdit_norm_args rms = norm(SVDIT_NORM_RMS, m, m);
        rms.weight = b.norm;
        normalise(rms);
      }
    }
    if (parts.attention) attend(cross_, text_k_, text_v_);
    if (parts.products) linear(b.cross_out, normed_, q_);
    if (parts.rest) add_and_normalise(residual(q_, hidden_, -1), modulated(3));
    if (parts.products) {
      linear(b.ffn_in, normed_, ffn_, SVDIT_ACTIVATION_GELU_TANH);
      linear(b.ffn_out, ffn_, normed_);
    }
    if (parts.rest) add(residual(normed_, hidden_, 5));
  }

  const Size size_;
  svdit_matrix hidden_, normed_, q_, k_, v_, ffn_, text_, text_k_, text_v_, time_, modulation_,
      cosine_, sine_, workspace_{};
  std::vector<Block> blocks_;
  svdit_plan *self_ = nullptr, *self_e4m3_ = nullptr, *cross_ = nullptr;
};

svdit_graph *captured(Model &model, uint32_t type) {
  svdit_graph *graph = nullptr;
  must([&](svdit_error *e) { return svdit_capture_begin(backend, stream, e); });
  model.step({type});
  must([&](svdit_error *e) { return svdit_capture_end(backend, stream, &graph, e); });
  return graph;
}

// The types take turns.
void time_step(const Size &size) {
  Model model(size);
  std::vector<uint32_t> types = {SVDIT_BF16};
  if (model.has_e4m3()) types.push_back(SVDIT_E4M3);
  const auto queue = (cudaStream_t)stream;
  const auto times = [&](const std::function<void(uint32_t)> &work) {
    std::vector<std::function<void()>> works;
    for (const uint32_t type : types) works.push_back([&work, type] { work(type); });
    return time_ms(queue, works);
  };
  const double products = time_ms(queue, {[&] { model.step({0, false, true, false}); }})[0].median;
  const double rest = time_ms(queue, {[&] { model.step({0, false, false, true}); }})[0].median;
  const auto all = times([&](uint32_t type) { model.step({type}); });
  const auto attention = times([&](uint32_t type) { model.step({type, true, false, false}); });
  std::vector<svdit_graph *> graphs;
  for (const uint32_t type : types) graphs.push_back(captured(model, type));
  const auto as_graph = times([&](uint32_t type) {
    svdit_graph *const graph = graphs[type == SVDIT_E4M3 ? 1 : 0];
    must([&](svdit_error *e) { return svdit_graph_launch(graph, stream, e); });
  });
  for (svdit_graph *graph : graphs) svdit_graph_destroy(graph);
  for (size_t i = 0; i < types.size(); ++i) {
    const double graph = as_graph[i].median;
    std::printf(
        "{\"case\": \"wan1.3b step\", \"who\": \"svdit\", \"type\": \"%s\", \"tokens\": %lld, "
        "\"layers\": %d, \"ms\": %.3f, \"graph_ms\": %.3f, \"attention_ms\": %.3f, "
        "\"products_ms\": %.3f, \"rest_ms\": %.3f, \"rest_share\": %.4f, "
        "\"attention_share_of_its_own_rate\": %.4f}\n",
        types[i] == SVDIT_E4M3 ? "e4m3" : "bf16", (long long)size.tokens(), size.layers,
        all[i].median, graph, attention[i].median, products, rest, rest / graph,
        attention[i].median / (graph - products - rest));
    std::fflush(stdout);
  }
}

}  // namespace

int main(int count, char **arguments) {
  Size size;
  if (count > 1 && std::strcmp(arguments[1], "--small") == 0) {
    size = {.frames = 2,
            .height = 4,
            .width = 5,
            .heads = 2,
            .head_dim = 64,
            .layers = 2,
            .ffn = 192,
            .text = 24};
  }
  svdit_backend_options options{};
  options.struct_bytes = sizeof options;
  options.kind = SVDIT_BACKEND_CUDA;
  must([&](svdit_error *e) { return svdit_backend_open(&options, &backend, e); });
  const char *path = std::getenv("SVDIT_CUBLASLT");
  must([&](svdit_error *e) { return svdit_matmul_library(backend, path ? path : "", e); });
  must([&](svdit_error *e) { return svdit_stream_create(backend, &stream, e); });
  time_step(size);
  must([&](svdit_error *e) { return svdit_stream_destroy(backend, stream, e); });
  svdit_backend_close(backend);
  return 0;
}

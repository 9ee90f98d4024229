// Stands in for cuBLASLt in tests: the entry points that native/cuda/host/cublaslt.cpp takes, on
// the simulated device. It computes the product one number at a time, and refuses what the
// library's documentation does not promise: other pairs of types, a bias of another type than the
// result, an algorithm used for another shape or for less aligned addresses than it was chosen for,
// too small a workspace. SVDIT_SIM_CUBLASLT=plain in the environment has it refuse every epilogue.
#include <dlfcn.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "base/bf16.h"

#define SVDIT_SIM_API extern "C" __attribute__((visibility("default")))

namespace {

enum Status { kSuccess = 0, kNotInitialized = 1, kInvalid = 7, kFailed = 13, kNotSupported = 15 };
enum DataType { kReal32 = 0, kReal16 = 2, kRealBf16 = 14 };

using Enqueue = int (*)(void *stream, void (*work)(void *), void *argument, void (*forget)(void *));

struct Handle {
  Enqueue enqueue;
};
struct Desc {
  int compute = 0, scale = 0, transpose_a = 0, transpose_b = 0, epilogue = 1;
  const void *bias = nullptr;
};
struct Layout {
  int type;
  uint64_t rows, columns;
  int64_t stride;
  bool operator==(const Layout &) const = default;
};
struct Preference {
  uint64_t workspace_bytes = 0;
  uint32_t alignment[4] = {256, 256, 256, 256};
};
// What cublasLtMatmulAlgo_t holds here.
struct Algorithm {
  uint64_t shape, workspace_bytes;
  uint32_t alignment[4], bias_alignment, unused;
  uint64_t more[3];
};
static_assert(sizeof(Algorithm) == 64);
struct Heuristic {
  Algorithm algorithm;
  size_t workspace_bytes;
  int status;
  float waves;
  int reserved[4];
};

int bytes_of(int type) { return type == kReal32 ? 4 : 2; }

float read(const void *at, int type, uint64_t index) {
  if (type == kReal32) return static_cast<const float *>(at)[index];
  const uint16_t bits = static_cast<const uint16_t *>(at)[index];
  if (type == kRealBf16) {
    return svdit::from_bf16(bits);
  }
  _Float16 value;
  std::memcpy(&value, &bits, 2);
  return static_cast<float>(value);
}

void write(void *at, int type, uint64_t index, float value) {
  if (type == kReal32) {
    static_cast<float *>(at)[index] = value;
  } else if (type == kRealBf16) {
    static_cast<uint16_t *>(at)[index] = svdit::to_bf16(value);
  } else {
    const auto half = static_cast<_Float16>(value);
    std::memcpy(static_cast<uint16_t *>(at) + index, &half, 2);
  }
}

// The combinations of cublasLtMatmul's table that compute in fp32.
bool supported(const Desc &desc, const Layout &a, const Layout &b, const Layout &d) {
  if (desc.compute != 68 || desc.scale != kReal32) return false;
  if (desc.transpose_a != 1 || desc.transpose_b != 0) return false;
  const char *told = std::getenv("SVDIT_SIM_CUBLASLT");
  if (desc.epilogue != 1 && told != nullptr && std::strcmp(told, "plain") == 0) return false;
  if (desc.epilogue != 1 && desc.epilogue != 4 && desc.epilogue != 32 && desc.epilogue != 36)
    return false;
  if (a.type != b.type || (d.type != kReal32 && d.type != a.type)) return false;
  return a.rows == b.rows && a.columns == d.rows && b.columns == d.columns &&
         a.stride >= static_cast<int64_t>(a.rows) && b.stride >= static_cast<int64_t>(b.rows) &&
         d.stride >= static_cast<int64_t>(d.rows);
}

uint64_t shape_of(const Desc &desc, const Layout &a, const Layout &b, const Layout &d) {
  uint64_t hash = 0;
  for (const uint64_t value :
       {a.rows, a.columns, b.columns, static_cast<uint64_t>(a.stride),
        static_cast<uint64_t>(b.stride), static_cast<uint64_t>(d.stride),
        static_cast<uint64_t>(a.type * 64 + d.type), static_cast<uint64_t>(desc.epilogue)}) {
    hash = (hash ^ value) * 0x9e3779b97f4a7c15u + 1;
  }
  return hash;
}

uint32_t alignment(const void *address) {
  uint32_t bytes = 256;
  while (reinterpret_cast<uintptr_t>(address) % bytes != 0) bytes /= 2;
  return bytes;
}

// One product on its way to the device: column-major d = a^T b.
struct Product {
  Desc desc;
  Layout a_layout, b_layout, d_layout;
  const void *a, *b;
  void *d, *workspace;
  uint64_t workspace_bytes;

  void compute() const {
    std::memset(workspace, 0x7f, workspace_bytes);  // it is the library's to write
    std::vector<float> a_column(a_layout.rows), b_column(b_layout.rows);
    for (uint64_t j = 0; j < d_layout.columns; ++j) {
      for (uint64_t k = 0; k < b_layout.rows; ++k)
        b_column[k] = read(b, b_layout.type, j * static_cast<uint64_t>(b_layout.stride) + k);
      for (uint64_t i = 0; i < d_layout.rows; ++i) {
        float sum = 0;
        for (uint64_t k = 0; k < a_layout.rows; ++k)
          sum +=
              b_column[k] * read(a, a_layout.type, i * static_cast<uint64_t>(a_layout.stride) + k);
        if (desc.epilogue & 4) sum += read(desc.bias, d_layout.type, i);
        if (desc.epilogue & 32)
          sum = 0.5f * sum * (1 + std::tanh(0.797884561f * (sum + 0.044715f * sum * sum * sum)));
        write(d, d_layout.type, j * static_cast<uint64_t>(d_layout.stride) + i, sum);
      }
    }
  }
};

template <class T>
int set(T &field, const void *value, size_t bytes) {
  if (bytes != sizeof field) return kInvalid;
  std::memcpy(&field, value, bytes);
  return kSuccess;
}

}  // namespace

SVDIT_SIM_API size_t cublasLtGetVersion() { return 130002; }
SVDIT_SIM_API const char *cublasLtGetStatusString(int status) {
  return status == kNotSupported ? "the stand-in for cuBLASLt does not do this"
                                 : "the stand-in for cuBLASLt refuses this";
}

// The device is the caller's: whichever library it was built into.
SVDIT_SIM_API int cublasLtCreate(Handle **handle) {
  void *enqueue = dlsym(RTLD_DEFAULT, "svdit_sim_enqueue");
  Dl_info caller;
  if (enqueue == nullptr && dladdr(__builtin_return_address(0), &caller) != 0) {
    if (void *library = dlopen(caller.dli_fname, RTLD_NOW | RTLD_NOLOAD))
      enqueue = dlsym(library, "svdit_sim_enqueue");
  }
  if (enqueue == nullptr) return kNotInitialized;
  *handle = new Handle{reinterpret_cast<Enqueue>(enqueue)};
  return kSuccess;
}
SVDIT_SIM_API int cublasLtDestroy(Handle *handle) {
  delete handle;
  return kSuccess;
}

SVDIT_SIM_API int cublasLtMatmulDescCreate(Desc **desc, int compute, int scale) {
  *desc = new Desc{compute, scale};
  return kSuccess;
}
SVDIT_SIM_API int cublasLtMatmulDescDestroy(Desc *desc) {
  delete desc;
  return kSuccess;
}
SVDIT_SIM_API int cublasLtMatmulDescSetAttribute(Desc *desc, int which, const void *value,
                                                 size_t bytes) {
  switch (which) {
    case 3:
      return set(desc->transpose_a, value, bytes);
    case 4:
      return set(desc->transpose_b, value, bytes);
    case 7:
      return set(desc->epilogue, value, bytes);
    case 8:
      return set(desc->bias, value, bytes);
    default:
      return kInvalid;
  }
}

SVDIT_SIM_API int cublasLtMatrixLayoutCreate(Layout **layout, int type, uint64_t rows,
                                             uint64_t columns, int64_t stride) {
  if (type != kReal32 && type != kReal16 && type != kRealBf16) return kInvalid;
  *layout = new Layout{type, rows, columns, stride};
  return kSuccess;
}
SVDIT_SIM_API int cublasLtMatrixLayoutDestroy(Layout *layout) {
  delete layout;
  return kSuccess;
}

SVDIT_SIM_API int cublasLtMatmulPreferenceCreate(Preference **preference) {
  *preference = new Preference;
  return kSuccess;
}
SVDIT_SIM_API int cublasLtMatmulPreferenceDestroy(Preference *preference) {
  delete preference;
  return kSuccess;
}
SVDIT_SIM_API int cublasLtMatmulPreferenceSetAttribute(Preference *preference, int which,
                                                       const void *value, size_t bytes) {
  if (which == 1) return set(preference->workspace_bytes, value, bytes);
  if (which >= 5 && which <= 8) return set(preference->alignment[which - 5], value, bytes);
  return kInvalid;
}

// Two candidates, of which the first is none: as the library may do it.
SVDIT_SIM_API int cublasLtMatmulAlgoGetHeuristic(Handle *, Desc *desc, Layout *a, Layout *b,
                                                 Layout *c, Layout *d, Preference *preference,
                                                 int wanted, Heuristic *found, int *count) {
  *count = 0;
  if (!(*c == *d) || !supported(*desc, *a, *b, *d)) return kNotSupported;
  if ((desc->epilogue & 4) && desc->bias == nullptr) return kInvalid;
  const int types[] = {a->type, b->type, c->type, d->type};
  for (int i = 0; i < 4; ++i) {
    if (preference->alignment[i] % static_cast<uint32_t>(bytes_of(types[i])) != 0)
      return kNotSupported;
  }
  Heuristic result{};
  result.algorithm.shape = shape_of(*desc, *a, *b, *d);
  result.algorithm.workspace_bytes = result.workspace_bytes =
      preference->workspace_bytes < 65536 ? preference->workspace_bytes : 65536;
  std::memcpy(result.algorithm.alignment, preference->alignment, sizeof preference->alignment);
  result.algorithm.bias_alignment = desc->epilogue & 4 ? alignment(desc->bias) : 1;
  for (; *count < wanted && *count < 2; ++*count) {
    found[*count] = *count == 0 ? Heuristic{} : result;
    found[*count].status = *count == 0 ? kNotSupported : kSuccess;
  }
  return kSuccess;
}

SVDIT_SIM_API int cublasLtMatmul(Handle *handle, Desc *desc, const float *alpha, const void *a,
                                 Layout *a_layout, const void *b, Layout *b_layout,
                                 const float *beta, const void *c, Layout *, void *d,
                                 Layout *d_layout, const Algorithm *algorithm, void *workspace,
                                 size_t workspace_bytes, void *stream) {
  if (*alpha != 1 || *beta != 0 || algorithm == nullptr) return kInvalid;
  if (algorithm->shape != shape_of(*desc, *a_layout, *b_layout, *d_layout)) return kInvalid;
  const void *addresses[] = {a, b, c, d};
  for (int i = 0; i < 4; ++i) {
    if (alignment(addresses[i]) < algorithm->alignment[i]) return kInvalid;
  }
  if ((desc->epilogue & 4) && alignment(desc->bias) < algorithm->bias_alignment) return kInvalid;
  if (workspace_bytes < algorithm->workspace_bytes) return kInvalid;
  if (algorithm->workspace_bytes > 0 && alignment(workspace) < 256) return kInvalid;
  auto *const product = new Product{
      *desc, *a_layout, *b_layout, *d_layout, a, b, d, workspace, algorithm->workspace_bytes};
  const int code = handle->enqueue(
      stream, [](void *p) { static_cast<Product *>(p)->compute(); }, product,
      [](void *p) { delete static_cast<Product *>(p); });
  return code == 0 ? kSuccess : kFailed;
}

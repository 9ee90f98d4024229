// Stands in for oneDNN where a test is about what happens around a product: it has the functions
// that native/cpu/ops/ops_onednn.cpp looks for, makes and frees what they make, and computes
// nothing. Like oneDNN on a processor without bf16 instructions it has only a reference for bf16.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

namespace {

constexpr int kBf16 = 2, kOutOfMemory = 1;

// Whatever is made is a number of its own; of descriptions and plans it is the element type.
int make(void **out, int what) {
  int *made = static_cast<int *>(std::malloc(sizeof(int)));
  if (made == nullptr) return kOutOfMemory;
  *made = what;
  *out = made;
  return 0;
}

int destroy(void *made) {
  std::free(made);
  return 0;
}

struct Version {
  int major, minor, patch;
};

}  // namespace

#define STANDIN extern "C" __attribute__((visibility("default")))

STANDIN const Version *dnnl_version() {
  static const Version version{3, 0, 0};
  return &version;
}
STANDIN int dnnl_engine_create(void **out, int, size_t) { return make(out, 0); }
STANDIN int dnnl_engine_destroy(void *made) { return destroy(made); }
STANDIN int dnnl_stream_create(void **out, void *, unsigned) { return make(out, 0); }
STANDIN int dnnl_stream_destroy(void *made) { return destroy(made); }
STANDIN int dnnl_stream_wait(void *) { return 0; }
STANDIN int dnnl_memory_desc_create_with_strides(void **out, int, const int64_t *, int type,
                                                 const int64_t *) {
  return make(out, type);
}
STANDIN int dnnl_memory_desc_destroy(void *made) { return destroy(made); }
STANDIN size_t dnnl_memory_desc_get_size(const void *) { return 4096; }
STANDIN int dnnl_primitive_attr_create(void **out) { return make(out, 0); }
STANDIN int dnnl_primitive_attr_destroy(void *made) { return destroy(made); }
STANDIN int dnnl_primitive_attr_set_scratchpad_mode(void *, int) { return 0; }
STANDIN int dnnl_primitive_attr_set_fpmath_mode(void *, int) { return 0; }
STANDIN int dnnl_primitive_attr_set_post_ops(void *, const void *) { return 0; }
STANDIN int dnnl_post_ops_create(void **out) { return make(out, 0); }
STANDIN int dnnl_post_ops_destroy(void *made) { return destroy(made); }
STANDIN int dnnl_post_ops_append_eltwise(void *, int, float, float) { return 0; }
STANDIN int dnnl_matmul_primitive_desc_create(void **out, void *, const void *x, const void *,
                                              const void *, const void *, const void *) {
  return make(out, *static_cast<const int *>(x));
}
STANDIN int dnnl_primitive_desc_destroy(void *made) { return destroy(made); }
STANDIN const void *dnnl_primitive_desc_query_md(const void *plan, int, int) { return plan; }
STANDIN int dnnl_primitive_desc_query(const void *plan, int, int, void *result) {
  *static_cast<const char **>(result) =
      *static_cast<const int *>(plan) == kBf16 ? "ref:any" : "standin";
  return 0;
}
STANDIN int dnnl_primitive_create(void **out, const void *) { return make(out, 0); }
STANDIN int dnnl_primitive_destroy(void *made) { return destroy(made); }
STANDIN int dnnl_primitive_execute(const void *, void *, int, const void *) { return 0; }
STANDIN int dnnl_memory_create(void **out, const void *, void *, void *) { return make(out, 0); }
STANDIN int dnnl_memory_destroy(void *made) { return destroy(made); }

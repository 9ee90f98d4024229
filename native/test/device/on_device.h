// What the checks of the CUDA backend share: its memory, a case's tensors in it, a plan with its
// workspace.
#ifndef SVDIT_GPU_ON_DEVICE_H
#define SVDIT_GPU_ON_DEVICE_H

#include <cuda_runtime_api.h>

#include <memory>

#include "test/cases.h"

namespace svdit::test {

inline svdit_backend *backend = nullptr;

// Opens it on the first device; false, having said why, where that cannot be done.
inline bool open_cuda() {
  svdit_backend_options options{};
  options.struct_bytes = sizeof options;
  options.kind = SVDIT_BACKEND_CUDA;
  svdit_error error = new_error();
  if (svdit_backend_open(&options, &backend, &error) == SVDIT_OK) return true;
  std::printf("no CUDA backend: %s\n", error.message);
  return false;
}

inline bool good(cudaError_t code, const char *what) {
  if (code != cudaSuccess) report.fail("%s: %s", what, cudaGetErrorString(code));
  return code == cudaSuccess;
}

// Device memory of the backend, poisoned.
class Device {
 public:
  explicit Device(uint64_t bytes) : bytes_(bytes) {
    expect_ok([&](svdit_error *e) {
      return svdit_memory_allocate(backend, SVDIT_MEMORY_DEVICE, bytes_ > 0 ? bytes_ : 1, &data_,
                                   e);
    });
    good(cudaMemset(data_, 0xff, bytes_), "cudaMemset");
  }
  ~Device() { svdit_memory_free(backend, SVDIT_MEMORY_DEVICE, data_, nullptr); }
  Device(const Device &) = delete;
  void from(const void *host) {
    good(cudaMemcpy(data_, host, bytes_, cudaMemcpyHostToDevice), "copy in");
  }
  void to(void *host) const {
    good(cudaMemcpy(host, data_, bytes_, cudaMemcpyDeviceToHost), "copy out");
  }
  void *data() const { return data_; }

 private:
  uint64_t bytes_;
  void *data_ = nullptr;
};

// A case's tensors on the device; the host's copies are TestData's.
struct OnDevice {
  OnDevice(const TestCase &c, const TestData &host)
      : c(c),
        host(host),
        args(host.args(c)),
        q(args.q.extent_bytes),
        k(args.k.extent_bytes),
        v(args.v.extent_bytes),
        out(args.out.extent_bytes),
        lse(args.lse_bytes),
        valid(c.text_valid.size() * 4) {
    q.from(args.q.data);
    k.from(args.k.data);
    v.from(args.v.data);
    if (!c.text_valid.empty()) valid.from(c.text_valid.data());
    args.q.data = q.data();
    args.k.data = k.data();
    args.v.data = v.data();
    args.out.data = out.data();
    args.lse = (float *)lse.data();
    if (!c.text_valid.empty()) args.text_valid = (const int32_t *)valid.data();
  }
  void fetch() const {
    good(cudaDeviceSynchronize(), "attention");
    out.to(host.out.tensor().data);
    lse.to(host.lse_bytes.data());
  }

  const TestCase &c;
  const TestData &host;
  svdit_attention_args args;
  Device q, k, v, out, lse, valid;
};

class Planned {
 public:
  explicit Planned(const TestCase &c) {
    const PlanDesc desc(c);
    expect_ok([&](svdit_error *e) { return svdit_plan_create(backend, &desc.desc, &plan, e); });
    uint64_t bytes = 0;
    expect_ok([&](svdit_error *e) { return svdit_plan_workspace(plan, c.batch, &bytes, e); });
    workspace = std::make_unique<Device>(bytes);
    workspace_bytes = bytes;
  }
  ~Planned() { svdit_plan_destroy(plan); }
  void use(svdit_attention_args &args) const {
    args.workspace = workspace->data();
    args.workspace_bytes = workspace_bytes;
  }
  svdit_plan *plan = nullptr;
  std::unique_ptr<Device> workspace;
  uint64_t workspace_bytes = 0;
};

inline void attend(const TestCase &c, const TestData &data) {
  OnDevice device(c, data);
  const Planned planned(c);
  planned.use(device.args);
  expect_ok(
      [&](svdit_error *e) { return svdit_attention(planned.plan, &device.args, nullptr, e); });
  device.fetch();
}

// Heads of four modes, 50 text tokens of which some are valid.
inline TestCase prompt_case(int32_t valid, uint32_t type = SVDIT_BF16) {
  TestCase c;
  c.type = type;
  c.head_dim = 64;
  c.block = 64;
  c.frames = 4;
  c.height = 6;
  c.width = 9;
  c.text = 50;
  c.text_valid = {valid};
  Random random(8);
  for (uint32_t mode :
       {SVDIT_MODE_FULL, SVDIT_MODE_SKIP, SVDIT_MODE_DIAGONAL, SVDIT_MODE_MULTI_DIAGONAL}) {
    c.patterns.push_back(random_pattern(random, c, mode));
  }
  return c;
}

}  // namespace svdit::test

#endif

// The rest of the CUDA backend on a real GPU through the C ABI: events, memory, misuse, what cannot
// be had. usage: gpu_runtime_test
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "test/device/on_device.h"
#include "test/reference.h"

using namespace svdit::test;

namespace {

// What one stream writes another reads once it has waited for the event.
void test_events() {
  report.run("an event orders two streams and tells the time", [&] {
    constexpr size_t kBytes = 1 << 20;
    Device first(kBytes), second(kBytes);
    svdit_stream a = nullptr, b = nullptr;
    svdit_event begin = nullptr, end = nullptr;
    for (svdit_stream *s : {&a, &b}) {
      expect_ok([&](svdit_error *e) { return svdit_stream_create(backend, s, e); });
    }
    for (svdit_event *event : {&begin, &end}) {
      expect_ok([&](svdit_error *e) { return svdit_event_create(backend, event, e); });
    }
    for (int round = 0; round < 8; ++round) {
      expect_ok([&](svdit_error *e) { return svdit_event_record(backend, begin, a, e); });
      good(cudaMemsetAsync(first.data(), round, kBytes, (cudaStream_t)a), "memset");
      expect_ok([&](svdit_error *e) { return svdit_event_record(backend, end, a, e); });
      expect_ok([&](svdit_error *e) { return svdit_stream_wait(backend, b, end, e); });
      expect_ok([&](svdit_error *e) {
        return svdit_memory_copy(backend, second.data(), first.data(), kBytes, b, e);
      });
      expect_ok([&](svdit_error *e) { return svdit_stream_synchronize(backend, b, e); });
      std::vector<char> back(kBytes);
      second.to(back.data());
      EXPECT(std::count(back.begin(), back.end(), (char)round) == (long)kBytes, "round %d", round);
      int32_t done = 0;
      float ms = -1;
      expect_ok([&](svdit_error *e) { return svdit_event_query(backend, end, &done, e); });
      expect_ok([&](svdit_error *e) { return svdit_event_elapsed(backend, begin, end, &ms, e); });
      EXPECT(done == 1 && ms > 0 && ms < 1000, "done %d after %g ms", done, ms);
    }
    for (svdit_event event : {begin, end}) {
      expect_ok([&](svdit_error *e) { return svdit_event_destroy(backend, event, e); });
    }
    for (svdit_stream s : {a, b}) {
      expect_ok([&](svdit_error *e) { return svdit_stream_destroy(backend, s, e); });
    }
  });
}

void test_runtime() {
  report.run("misuse is refused, memory goes back and forth", [&] {
    TestCase c = prompt_case(50);
    Random random(3);
    const TestData data(c, random, Strides::kBatchTokenHead);
    OnDevice device(c, data);
    const Planned planned(c);
    planned.use(device.args);
    svdit_attention_args args = device.args;
    args.k.data = (char *)args.k.data + 8;
    args.k.extent_bytes += 8;
    expect_status(
        SVDIT_INVALID_ARGUMENT,
        [&](svdit_error *e) { return svdit_attention(planned.plan, &args, nullptr, e); }, "k:");
    args = device.args;
    args.workspace = nullptr;
    expect_status(
        SVDIT_INVALID_ARGUMENT,
        [&](svdit_error *e) { return svdit_attention(planned.plan, &args, nullptr, e); },
        "workspace");
    c.type = SVDIT_FP32;
    const PlanDesc desc(c);
    svdit_plan *plan = nullptr;
    expect_status(
        SVDIT_UNSUPPORTED,
        [&](svdit_error *e) { return svdit_plan_create(backend, &desc.desc, &plan, e); },
        "element_type");
    void *huge = nullptr;
    expect_status(
        SVDIT_OUT_OF_MEMORY,
        [&](svdit_error *e) {
          return svdit_memory_allocate(backend, SVDIT_MEMORY_DEVICE, (uint64_t)1 << 50, &huge, e);
        },
        "allocating device memory");
    EXPECT(cudaGetLastError() == cudaSuccess,
           "an error of the library's shows in the caller's next call");
    void *pinned = nullptr, *memory = nullptr;
    std::vector<char> bytes(1000), back(1000);
    for (char &b : bytes) b = (char)random.bits();
    expect_ok([&](svdit_error *e) {
      return svdit_memory_allocate(backend, SVDIT_MEMORY_HOST, 1000, &pinned, e);
    });
    expect_ok([&](svdit_error *e) {
      return svdit_memory_allocate(backend, SVDIT_MEMORY_DEVICE, 1000, &memory, e);
    });
    EXPECT((uintptr_t)pinned % 256 == 0 && (uintptr_t)memory % 256 == 0);
    std::memcpy(pinned, bytes.data(), 1000);
    expect_ok([&](svdit_error *e) {
      return svdit_memory_copy(backend, memory, pinned, 1000, nullptr, e);
    });
    expect_ok([&](svdit_error *e) {
      return svdit_memory_copy(backend, back.data(), memory, 1000, nullptr, e);
    });
    expect_ok([&](svdit_error *e) { return svdit_stream_synchronize(backend, nullptr, e); });
    EXPECT(back == bytes);
    svdit_memory_free(backend, SVDIT_MEMORY_HOST, pinned, nullptr);
    svdit_memory_free(backend, SVDIT_MEMORY_DEVICE, memory, nullptr);
  });
}

// SVDIT_CUDA_KERNELS names a family of attention kernels; what it cannot be is refused by name.
void test_families() {
  report.run("a family of kernels that is not there is refused", [&] {
    const char *before = std::getenv("SVDIT_CUDA_KERNELS");
    const std::string kept = before == nullptr ? "" : before;
    svdit_backend_info info{};
    info.struct_bytes = sizeof info;
    expect_ok([&](svdit_error *e) { return svdit_backend_describe(backend, &info, e); });
    const TestCase c = prompt_case(1);
    const PlanDesc desc(c);
    const auto create = [&](svdit_error *e) {
      svdit_plan *plan = nullptr;
      const svdit_status status = svdit_plan_create(backend, &desc.desc, &plan, e);
      svdit_plan_destroy(plan);
      return status;
    };
    setenv("SVDIT_CUDA_KERNELS", "sm70", 1);
    expect_status(SVDIT_INVALID_ARGUMENT, create, "SVDIT_CUDA_KERNELS is sm70");
    setenv("SVDIT_CUDA_KERNELS", "sm80", 1);
    expect_ok(create);
    setenv("SVDIT_CUDA_KERNELS", "sm90", 1);
    if (info.compute_capability == 90) {
      expect_ok(create);
    } else {
      expect_status(SVDIT_UNSUPPORTED, create, "SVDIT_CUDA_KERNELS is sm90");
    }
    if (before == nullptr) {
      unsetenv("SVDIT_CUDA_KERNELS");
    } else {
      setenv("SVDIT_CUDA_KERNELS", kept.c_str(), 1);
    }
  });
}

// Runs body on a thread of its own, to its end.
template <class Body>
void elsewhere(Body &&body) {
  std::thread(body).join();
}

// A stream of the test's own, captured by CUDA's functions and not the library's: as by another
// library in this process.
class Theirs {
 public:
  Theirs(unsigned flags, cudaStreamCaptureMode mode) {
    good(cudaStreamCreateWithFlags(&stream_, flags), "their stream");
    good(cudaStreamBeginCapture(stream_, mode), "their capture");
  }
  // How the capture ended.
  cudaError_t end() {
    cudaGraph_t graph = nullptr;
    const cudaError_t code = cudaStreamEndCapture(stream_, &graph);
    if (graph != nullptr) cudaGraphDestroy(graph);
    cudaStreamDestroy(stream_);
    cudaGetLastError();
    return code;
  }

 private:
  cudaStream_t stream_ = nullptr;
};

// What CUDA says of captures, which the simulated device must say too.
void test_rules_of_captures() {
  const auto allocate = [] {
    void *memory = nullptr;
    const cudaError_t code = cudaMalloc(&memory, 256);
    if (code == cudaSuccess) cudaFree(memory);
    cudaGetLastError();
    return code;
  };
  report.run("a global capture forbids unsafe calls to all threads", [&] {
    cudaError_t codes[3];
    Theirs here(cudaStreamNonBlocking, cudaStreamCaptureModeGlobal);
    elsewhere([&] { codes[0] = allocate(); });
    const cudaError_t ended = here.end();
    EXPECT(codes[0] == cudaErrorStreamCaptureUnsupported && ended != cudaSuccess,
           "elsewhere: %s, then %s", cudaGetErrorName(codes[0]), cudaGetErrorName(ended));
    Theirs again(cudaStreamNonBlocking, cudaStreamCaptureModeGlobal);
    elsewhere([&] {  // who takes no notice is not kept from it
      cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
      cudaThreadExchangeStreamCaptureMode(&mode);
      codes[1] = allocate();
      EXPECT(mode == cudaStreamCaptureModeGlobal, "a thread begins in mode %d", (int)mode);
    });
    codes[2] = again.end();
    EXPECT(codes[1] == cudaSuccess && codes[2] == cudaSuccess, "relaxed: %s, then %s",
           cudaGetErrorName(codes[1]), cudaGetErrorName(codes[2]));
  });
  report.run("a thread's own capture forbids them to that thread", [&] {
    Theirs here(cudaStreamNonBlocking, cudaStreamCaptureModeThreadLocal);
    cudaError_t other = cudaErrorUnknown;
    elsewhere([&] { other = allocate(); });
    cudaError_t ended = here.end();
    EXPECT(other == cudaSuccess && ended == cudaSuccess, "elsewhere: %s, then %s",
           cudaGetErrorName(other), cudaGetErrorName(ended));
    Theirs again(cudaStreamNonBlocking, cudaStreamCaptureModeThreadLocal);
    const cudaError_t own = allocate();
    ended = again.end();
    EXPECT(own == cudaErrorStreamCaptureUnsupported && ended != cudaSuccess, "here: %s, then %s",
           cudaGetErrorName(own), cudaGetErrorName(ended));
  });
  report.run("a relaxed capture forbids what it cannot bear", [&] {
    Theirs first(cudaStreamDefault, cudaStreamCaptureModeRelaxed);
    const cudaError_t own = allocate();
    cudaError_t ended = first.end();
    EXPECT(own == cudaSuccess && ended == cudaSuccess, "cudaMalloc: %s, then %s",
           cudaGetErrorName(own), cudaGetErrorName(ended));
    Device memory(256);
    // The default stream waits for every stream but those that do not block.
    for (const unsigned flags : {cudaStreamDefault, cudaStreamNonBlocking}) {
      const bool breaks = flags == cudaStreamDefault;
      Theirs theirs(flags, cudaStreamCaptureModeRelaxed);
      cudaError_t code = cudaErrorUnknown;
      elsewhere([&] { code = cudaMemsetAsync(memory.data(), 1, 256, nullptr); });
      ended = theirs.end();
      EXPECT(code == (breaks ? cudaErrorStreamCaptureImplicit : cudaSuccess), "flags %u: %s", flags,
             cudaGetErrorName(code));
      EXPECT((ended != cudaSuccess) == breaks, "flags %u: %s", flags, cudaGetErrorName(ended));
    }
    Theirs second(cudaStreamNonBlocking, cudaStreamCaptureModeRelaxed);
    const cudaError_t waited = cudaDeviceSynchronize();
    ended = second.end();
    EXPECT(waited != cudaSuccess && ended != cudaSuccess, "waiting for the device: %s, then %s",
           cudaGetErrorName(waited), cudaGetErrorName(ended));
  });
}

// What other threads, and other libraries, do while a stream is captured.
void test_captures() {
  const TestCase c = prompt_case(50);
  Random random(4);
  const TestData data(c, random, Strides::kBatchTokenHead);
  const PlanDesc desc(c);
  // All of the library that allocates, frees, uploads or waits, but on the default stream.
  const auto busy = [&] {
    svdit_plan *plan = nullptr;
    void *memory = nullptr, *pinned = nullptr;
    svdit_event event = nullptr;
    int32_t done = 0;
    expect_ok([&](svdit_error *e) { return svdit_plan_create(backend, &desc.desc, &plan, e); });
    expect_ok([&](svdit_error *e) {
      return svdit_memory_allocate(backend, SVDIT_MEMORY_DEVICE, 256, &memory, e);
    });
    expect_ok([&](svdit_error *e) {
      return svdit_memory_allocate(backend, SVDIT_MEMORY_HOST, 256, &pinned, e);
    });
    svdit_stream stream = nullptr;
    expect_ok([&](svdit_error *e) { return svdit_stream_create(backend, &stream, e); });
    expect_ok([&](svdit_error *e) { return svdit_event_create(backend, &event, e); });
    expect_ok(
        [&](svdit_error *e) { return svdit_memory_copy(backend, memory, pinned, 256, stream, e); });
    expect_ok([&](svdit_error *e) { return svdit_event_record(backend, event, stream, e); });
    expect_ok([&](svdit_error *e) { return svdit_event_query(backend, event, &done, e); });
    expect_ok([&](svdit_error *e) { return svdit_event_synchronize(backend, event, e); });
    expect_ok([&](svdit_error *e) { return svdit_stream_synchronize(backend, stream, e); });
    expect_ok([&](svdit_error *e) { return svdit_event_destroy(backend, event, e); });
    expect_ok([&](svdit_error *e) { return svdit_stream_destroy(backend, stream, e); });
    expect_ok(
        [&](svdit_error *e) { return svdit_memory_free(backend, SVDIT_MEMORY_HOST, pinned, e); });
    expect_ok(
        [&](svdit_error *e) { return svdit_memory_free(backend, SVDIT_MEMORY_DEVICE, memory, e); });
    svdit_plan_destroy(plan);
  };
  report.run("plans are made in a loop while another thread captures", [&] {
    OnDevice device(c, data);
    const Planned planned(c);
    planned.use(device.args);
    good(cudaDeviceSynchronize(), "the tensors");
    svdit_stream stream = nullptr;
    expect_ok([&](svdit_error *e) { return svdit_stream_create(backend, &stream, e); });
    const auto capture = [&](auto &&meanwhile) {
      svdit_graph *graph = nullptr;
      expect_ok([&](svdit_error *e) { return svdit_capture_begin(backend, stream, e); });
      expect_ok(
          [&](svdit_error *e) { return svdit_attention(planned.plan, &device.args, stream, e); });
      meanwhile();
      expect_ok([&](svdit_error *e) { return svdit_capture_end(backend, stream, &graph, e); });
      if (graph == nullptr) return;
      expect_ok([&](svdit_error *e) { return svdit_graph_launch(graph, stream, e); });
      expect_ok([&](svdit_error *e) { return svdit_stream_synchronize(backend, stream, e); });
      svdit_graph_destroy(graph);
    };
    capture([&] { elsewhere(busy); });  // surely meanwhile
    capture(busy);
    std::atomic<bool> stop{false};
    std::thread other([&] {
      while (!stop) busy();
    });
    for (int round = 0; round < 50; ++round) capture([] { std::this_thread::yield(); });
    stop = true;
    other.join();
    expect_ok([&](svdit_error *e) { return svdit_stream_destroy(backend, stream, e); });
  });
  report.run("the default stream is refused while a stream is captured, and harms no capture", [&] {
    OnDevice device(c, data);
    const Planned planned(c);
    planned.use(device.args);
    good(cudaDeviceSynchronize(), "the tensors");
    svdit_stream stream = nullptr;
    svdit_event event = nullptr;
    svdit_graph *graph = nullptr;
    expect_ok([&](svdit_error *e) { return svdit_stream_create(backend, &stream, e); });
    expect_ok([&](svdit_error *e) { return svdit_event_create(backend, &event, e); });
    expect_ok([&](svdit_error *e) { return svdit_capture_begin(backend, stream, e); });
    expect_ok(
        [&](svdit_error *e) { return svdit_attention(planned.plan, &device.args, stream, e); });
    const auto refused = [&](auto &&call) {
      expect_status(SVDIT_INVALID_ARGUMENT, call, "default stream", "captured");
      elsewhere([&] { expect_status(SVDIT_INVALID_ARGUMENT, call, "default stream", "captured"); });
    };
    refused([&](svdit_error *e) { return svdit_stream_synchronize(backend, nullptr, e); });
    refused(
        [&](svdit_error *e) { return svdit_attention(planned.plan, &device.args, nullptr, e); });
    refused([&](svdit_error *e) {
      return svdit_memory_copy(backend, device.q.data(), device.k.data(), 16, nullptr, e);
    });
    refused([&](svdit_error *e) { return svdit_event_record(backend, event, nullptr, e); });
    refused([&](svdit_error *e) { return svdit_stream_wait(backend, nullptr, event, e); });
    expect_ok([&](svdit_error *e) { return svdit_capture_end(backend, stream, &graph, e); });
    // And back: who uses it keeps captures waiting, and both go on.
    std::atomic<bool> stop{false};
    std::atomic<int> used{0};
    std::thread other([&] {
      while (!stop) {
        svdit_error error = new_error();
        const svdit_status status = svdit_stream_synchronize(backend, nullptr, &error);
        used += status == SVDIT_OK;
        if (status != SVDIT_OK && std::strstr(error.message, "captured") == nullptr) stop = true;
      }
    });
    for (int round = 0; round < 200; ++round) {
      expect_ok([&](svdit_error *e) { return svdit_capture_begin(backend, stream, e); });
      expect_ok([&](svdit_error *e) { return svdit_capture_end(backend, stream, nullptr, e); });
    }
    while (used == 0 && !stop) std::this_thread::yield();
    EXPECT(!stop, "the default stream failed otherwise");
    stop = true;
    other.join();
    expect_ok([&](svdit_error *e) { return svdit_stream_synchronize(backend, nullptr, e); });
    svdit_graph_destroy(graph);
    expect_ok([&](svdit_error *e) { return svdit_event_destroy(backend, event, e); });
    expect_ok([&](svdit_error *e) { return svdit_stream_destroy(backend, stream, e); });
  });
  report.run("another library's captures are not broken", [&] {
    for (const unsigned flags : {cudaStreamDefault, cudaStreamNonBlocking}) {
      for (const auto mode : {cudaStreamCaptureModeGlobal, cudaStreamCaptureModeThreadLocal,
                              cudaStreamCaptureModeRelaxed}) {
        Theirs theirs(flags, mode);
        busy();
        elsewhere(busy);
        const auto wait = [&](svdit_error *e) {
          return svdit_stream_synchronize(backend, nullptr, e);
        };
        if (flags == cudaStreamDefault) {
          expect_status(SVDIT_INVALID_ARGUMENT, wait, "default stream");
        } else {
          expect_ok(wait);
        }
        const cudaError_t ended = theirs.end();
        EXPECT(ended == cudaSuccess, "flags %u, mode %d: %s", flags, (int)mode,
               cudaGetErrorName(ended));
      }
    }
  });
  report.run(
      "the capture of a stream that does not block keeps nobody from the default stream", [&] {
        cudaStream_t theirs = nullptr;
        good(cudaStreamCreateWithFlags(&theirs, cudaStreamNonBlocking), "their stream");
        svdit_graph *graph = nullptr;
        expect_ok([&](svdit_error *e) { return svdit_capture_begin(backend, theirs, e); });
        expect_ok([&](svdit_error *e) { return svdit_stream_synchronize(backend, nullptr, e); });
        busy();
        expect_ok([&](svdit_error *e) { return svdit_capture_end(backend, theirs, &graph, e); });
        svdit_graph_destroy(graph);
        good(cudaStreamDestroy(theirs), "their stream");
      });
}

}  // namespace

int main() {
  if (!open_cuda()) return 1;
  test_events();
  test_runtime();
  test_families();
  test_rules_of_captures();
  test_captures();
  svdit_backend_close(backend);
  return report.finish();
}

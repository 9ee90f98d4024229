// Convolutions by oneDNN: the picture's channels last, the weights in whatever layout the compiled
// primitive wants.
#include <algorithm>

#include "cpu/ops/dnnl.h"

namespace svdit::cpu {
namespace {

constexpr size_t kConvolutionsKept = 512;

}  // namespace

// A compiled convolution, the layouts of its operands, and the primitive that lays weights out.
struct MatmulLibrary::Convolution {
  Made x, weight, bias, y, plan, primitive, reorder_plan, reorder;
  const void *laid_out = nullptr, *scratchpad = nullptr;  // owned by plan
  size_t laid_out_bytes = 0, scratchpad_bytes = 0;
  explicit Convolution(Functions *f)
      : x(f->description_destroy),
        weight(f->description_destroy),
        bias(f->description_destroy),
        y(f->description_destroy),
        plan(f->plan_destroy),
        primitive(f->primitive_destroy),
        reorder_plan(f->plan_destroy),
        reorder(f->primitive_destroy) {}
};

std::shared_ptr<MatmulLibrary::Convolution> MatmulLibrary::compile(const ConvShape &s,
                                                                   std::string *reason) {
  Functions &f = *functions_;
  const OneThread one_thread(f.openmp_get_threads, f.openmp_set_threads);
  auto made = std::make_shared<Convolution>(&f);
  const int64_t rows = (s.rows - s.kernel_rows) / s.stride_rows + 1;
  const int64_t columns = (s.columns - s.kernel_columns) / s.stride_columns + 1;
  int status = 0;
  auto picture = [&](Made &description, int64_t height, int64_t width, int64_t channels,
                     int32_t type) {
    const int64_t extent[] = {1, channels, height, width};
    const int64_t strides[] = {height * width * channels, 1, width * channels, channels};
    if (status == 0)
      status = f.description_create(description.out(), 4, extent, data_type(type), strides);
  };
  picture(made->x, s.rows, s.columns, s.inputs, s.type);
  picture(made->y, rows, columns, s.outputs, s.y_type);
  const int64_t kernel[] = {s.outputs, s.inputs, s.kernel_rows, s.kernel_columns};
  const int64_t stored[] = {s.kernel_rows * s.kernel_columns * s.inputs, 1,
                            s.kernel_columns * s.inputs, s.inputs};
  Made any(f.description_destroy), attributes(f.attributes_destroy);
  if (status == 0)
    status = f.description_create(made->weight.out(), 4, kernel, data_type(s.type), stored);
  if (status == 0)
    status = f.description_create_tagged(any.out(), 4, kernel, data_type(s.type), kAnyLayout);
  if (s.bias && status == 0) {
    const int64_t one = 1;
    status =
        f.description_create(made->bias.out(), 1, &s.outputs, data_type(SVDIT_FP32), &one);
  }
  if (status == 0) status = f.attributes_create(attributes.out());
  if (status == 0) status = f.attributes_scratchpad(attributes.get(), kUserScratchpad);
  if (status == 0) status = f.attributes_math(attributes.get(), kStrictMath);
  const int64_t strides[] = {s.stride_rows, s.stride_columns}, none[] = {0, 0};
  if (status == 0) {
    status = f.convolution_create(made->plan.out(), engine_, kInference, kDirect, made->x.get(),
                                  any.get(), made->bias.get(), made->y.get(), strides, none, none,
                                  none, attributes.get());
  }
  if (status == 0) status = f.primitive_create(made->primitive.out(), made->plan.get());
  if (status == 0) {
    made->laid_out = f.plan_description(made->plan.get(), kWeightDescription, 0);
    made->laid_out_bytes = f.description_size(made->laid_out);
    made->scratchpad = f.plan_description(made->plan.get(), kScratchpadDescription, 0);
    made->scratchpad_bytes =
        made->scratchpad == nullptr ? 0 : f.description_size(made->scratchpad);
    status = f.reorder_create(made->reorder_plan.out(), made->weight.get(), engine_,
                              made->laid_out, engine_, nullptr);
  }
  if (status == 0) status = f.primitive_create(made->reorder.out(), made->reorder_plan.get());
  if (status != 0) {
    *reason = std::string("oneDNN refused the convolution: ") + status_name(status);
    return nullptr;
  }
  return made;
}

std::shared_ptr<MatmulLibrary::Convolution> MatmulLibrary::convolution(const ConvShape &shape,
                                                                       std::string *reason) {
  {
    const std::lock_guard lock(mutex_);
    if (functions_->convolution_create == nullptr && !functions_->find_convolutions(reason))
      return nullptr;
    const auto found = convolutions_.find(shape);
    if (found != convolutions_.end()) return found->second;
  }
  // Compiled without the lock, as products are.
  std::shared_ptr<Convolution> made = compile(shape, reason);
  if (made == nullptr) return nullptr;
  const std::lock_guard lock(mutex_);
  if (convolutions_.size() >= kConvolutionsKept) convolutions_.clear();
  return convolutions_.emplace(shape, made).first->second;
}

size_t MatmulLibrary::weight_bytes(const ConvShape &shape, std::string *reason) {
  const std::shared_ptr<Convolution> made = convolution(shape, reason);
  return made == nullptr ? 0 : made->laid_out_bytes;
}

bool MatmulLibrary::same_weights(const ConvShape &a, const ConvShape &b) {
  if (a == b) return true;
  std::string reason;
  const std::shared_ptr<Convolution> first = convolution(a, &reason),
                                     second = convolution(b, &reason);
  return first != nullptr && second != nullptr &&
         functions_->description_equal(first->laid_out, second->laid_out) != 0;
}

std::string MatmulLibrary::lay_out(const ConvShape &shape, const void *weight, void *laid_out) {
  Functions &f = *functions_;
  std::string reason;
  const std::shared_ptr<Convolution> c = convolution(shape, &reason);
  if (c == nullptr) return reason;
  std::unique_ptr<Context> context = borrow();
  if (context == nullptr) return "oneDNN made no stream";
  const OneThread one_thread(f.openmp_get_threads, f.openmp_set_threads);
  Made from(f.memory_destroy), to(f.memory_destroy);
  int status =
      f.memory_create(from.out(), c->weight.get(), engine_, const_cast<void *>(weight));
  if (status == 0) status = f.memory_create(to.out(), c->laid_out, engine_, laid_out);
  const Argument arguments[] = {{kArgX, from.get()}, {kArgY, to.get()}};
  if (status == 0)
    status = f.primitive_execute(c->reorder.get(), context->stream.get(), 2, arguments);
  if (status == 0) status = f.stream_wait(context->stream.get());
  give_back(std::move(context));
  return status == 0 ? ""
                     : std::string("oneDNN failed to lay weights out: ") + status_name(status);
}

std::string MatmulLibrary::convolve(const ConvShape &shape, const void *x, const void *laid_out,
                                    const float *bias, void *y) {
  Functions &f = *functions_;
  std::string reason;
  const std::shared_ptr<Convolution> c = convolution(shape, &reason);
  if (c == nullptr) return reason;
  std::unique_ptr<Context> context = borrow();
  if (context == nullptr) return "oneDNN made no stream";
  const OneThread one_thread(f.openmp_get_threads, f.openmp_set_threads);
  Made x_memory(f.memory_destroy), weight_memory(f.memory_destroy), bias_memory(f.memory_destroy);
  Made y_memory(f.memory_destroy), scratch_memory(f.memory_destroy);
  Argument arguments[5];
  int count = 0, status = 0;
  auto pass = [&](int index, Made &memory, const void *description, const void *data) {
    if (status != 0) return;
    status = f.memory_create(memory.out(), description, engine_, const_cast<void *>(data));
    arguments[count++] = {index, memory.get()};
  };
  pass(kArgX, x_memory, c->x.get(), x);
  pass(kArgWeight, weight_memory, c->laid_out, laid_out);
  pass(kArgY, y_memory, c->y.get(), y);
  if (shape.bias) pass(kArgBias, bias_memory, c->bias.get(), bias);
  if (c->scratchpad_bytes > 0)
    pass(kArgScratchpad, scratch_memory, c->scratchpad, context->scratch_of(c->scratchpad_bytes));
  if (status == 0)
    status = f.primitive_execute(c->primitive.get(), context->stream.get(), count, arguments);
  if (status == 0) status = f.stream_wait(context->stream.get());
  give_back(std::move(context));
  return status == 0 ? "" : std::string("oneDNN failed in the convolution: ") + status_name(status);
}

}  // namespace svdit::cpu

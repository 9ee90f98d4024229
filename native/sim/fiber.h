// A fiber: a call stack of its own that runs until it suspends. The simulator gives every CUDA
// thread one, so that the kernels' source runs unchanged and stops in the middle of a primitive.
#ifndef SVDIT_SIM_FIBER_H
#define SVDIT_SIM_FIBER_H

#include <cstddef>

namespace svdit::sim {

class Fiber {
 public:
  Fiber();
  ~Fiber();
  Fiber(const Fiber &) = delete;
  Fiber &operator=(const Fiber &) = delete;

  // The next resume() enters entry(argument) on an empty stack; what ran here before is forgotten.
  // entry must not return: its last act is suspend().
  void start(void (*entry)(void *), void *argument);

  // Runs the fiber until it suspends. Called from outside of any fiber.
  void resume();

  // Called inside the fiber: back to who resumed it.
  void suspend();

 private:
  static void enter();

  std::byte *mapping_;  // a guard page, then the stack
  void *stack_pointer_ = nullptr;
  void *host_pointer_ = nullptr;
  void (*entry_)(void *) = nullptr;
  void *argument_ = nullptr;
  // AddressSanitizer is told of every switch; else it takes one stack's frames for another's.
  void *fake_stack_ = nullptr;
  const void *host_bottom_ = nullptr;
  std::size_t host_bytes_ = 0;
};

}  // namespace svdit::sim

#endif

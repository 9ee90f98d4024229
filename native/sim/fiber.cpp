#include "fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <new>

#if !defined(__x86_64__)
#error "the simulator switches stacks by hand on x86-64 only"
#endif

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

// Saves the callee-saved registers and the stack pointer, and goes on where the other stack
// stopped.
extern "C" void svdit_sim_switch(void **saved, void *next);
asm(R"(
.text
.globl svdit_sim_switch
.type svdit_sim_switch, @function
svdit_sim_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size svdit_sim_switch, .-svdit_sim_switch
)");

namespace svdit::sim {
namespace {
constexpr std::size_t kGuardBytes = 4096;
constexpr std::size_t kStackBytes = 128 * 1024;
thread_local Fiber *entering = nullptr;
}  // namespace

Fiber::Fiber() {
  void *mapping = mmap(nullptr, kGuardBytes + kStackBytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED || mprotect(mapping, kGuardBytes, PROT_NONE) != 0)
    throw std::bad_alloc();
  mapping_ = static_cast<std::byte *>(mapping);
}

Fiber::~Fiber() {
#if defined(__SANITIZE_ADDRESS__)
  __asan_unpoison_memory_region(mapping_ + kGuardBytes, kStackBytes);
#endif
  munmap(mapping_, kGuardBytes + kStackBytes);
}

void Fiber::start(void (*entry)(void *), void *argument) {
#if defined(__SANITIZE_ADDRESS__)
  __asan_unpoison_memory_region(mapping_ + kGuardBytes, kStackBytes);
#endif
  entry_ = entry;
  argument_ = argument;
  fake_stack_ = nullptr;
  auto *top = reinterpret_cast<std::uintptr_t *>(mapping_ + kGuardBytes + kStackBytes);
  top -=
      8;  // six registers, the return address, and one word so that enter() finds its stack aligned
  for (int i = 0; i < 6; ++i) top[i] = 0;
  top[6] = reinterpret_cast<std::uintptr_t>(&Fiber::enter);
  top[7] = 0;
  stack_pointer_ = top;
}

void Fiber::resume() {
  entering = this;
#if defined(__SANITIZE_ADDRESS__)
  void *host_fake_stack = nullptr;
  __sanitizer_start_switch_fiber(&host_fake_stack, mapping_ + kGuardBytes, kStackBytes);
#endif
  svdit_sim_switch(&host_pointer_, stack_pointer_);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(host_fake_stack, nullptr, nullptr);
#endif
}

void Fiber::suspend() {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&fake_stack_, host_bottom_, host_bytes_);
#endif
  svdit_sim_switch(&stack_pointer_, host_pointer_);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(fake_stack_, &host_bottom_, &host_bytes_);
#endif
}

void Fiber::enter() {
  Fiber *self = entering;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, &self->host_bottom_, &self->host_bytes_);
#endif
  self->entry_(self->argument_);
  __builtin_trap();
}

}  // namespace svdit::sim

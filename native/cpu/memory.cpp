#include "memory.h"

#include <cstdlib>
#include <new>
#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace tarl {

namespace {

constexpr int64_t kHugePage = 2 << 20;

}  // namespace

void Free::operator()(void* p) const { std::free(p); }

Memory allocate(int64_t bytes) {
  // A layer's weights are read from end to end: large pages spare look-ups of addresses.
  const bool huge = bytes >= 2 * kHugePage;
  const int64_t align = huge ? kHugePage : 64, whole = (bytes + align - 1) / align * align;
  Memory memory(std::aligned_alloc(static_cast<size_t>(align), static_cast<size_t>(whole)));
  if (!memory) throw std::bad_alloc();
#if defined(__linux__)
  if (huge) madvise(memory.get(), static_cast<size_t>(whole), MADV_HUGEPAGE);
#endif
  return memory;
}

void* thread_scratch(int64_t bytes) {
  thread_local Memory memory;
  thread_local int64_t capacity = 0;
  if (bytes > capacity) {
    memory.reset();
    capacity = 0;
    memory = allocate(bytes);
    capacity = bytes;
  }
  return memory.get();
}

}  // namespace tarl

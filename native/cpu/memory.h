// Memory for kernels: aligned to what they load, in large pages where it is large.

#pragma once
#include <cstdint>
#include <memory>

namespace tarl {

struct Free {
  void operator()(void* p) const;
};
using Memory = std::unique_ptr<void, Free>;

/// Aligned to 64 bytes; std::bad_alloc.
Memory allocate(int64_t bytes);

/// The calling thread's own, at least so many bytes; what was there is lost when it grows.
void* thread_scratch(int64_t bytes);

}  // namespace tarl

// The size of a page of the KV pool, which kernels know too.

#pragma once
#include <cstdint>

namespace tarl {

/// Tokens of a page, and the lanes of every reduction in the CPU's kernels.
constexpr int64_t kPage = 16;

}  // namespace tarl

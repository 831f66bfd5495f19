// The CPU's Backend (core/backend.h): row-wise kernels (kernels.h) and matrix products (gemm.h) over a pool
// of threads.

#pragma once
#include "core/backend.h"

namespace tarl {

/// For fp32.
std::unique_ptr<Backend> cpu_backend(int threads);

}  // namespace tarl

// The CPU's Backend (core/backend.h): row-wise kernels (kernels.h) and matrix products (gemm.h) over a pool
// of threads.

#pragma once
#include "core/backend.h"

namespace tarl {

/// For fp32 and bf16; null for other dtypes.
std::unique_ptr<Backend> cpu_backend(at::ScalarType dtype, int threads);

}  // namespace tarl

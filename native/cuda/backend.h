// The kernels of ours on a GPU as a Backend (core/backend.h). They are a library of their own,
// libtarl_cuda.so, which the engine opens where there is a GPU, so that the addon runs without CUDA.

#pragma once
#include <torch/version.h>

#include "core/backend.h"

namespace tarl {

struct CudaOptions {
  at::Device device;
  at::ScalarType dtype;
  /// A row's bits do not depend on its company: products in tiles of a fixed number of rows, attention by our
  /// own kernel everywhere. docs/gpu.md says what it costs.
  bool batch_invariant = false;
  /// Decode rounds are recorded once and replayed.
  bool graphs = true;
};

/// The headers and the libtorch that this is compiled with.
constexpr const char* kInterface = TARL_INTERFACE " libtorch " TORCH_VERSION;

}  // namespace tarl

/// The library's functions. What `tarl_cuda_interface` says must be the caller's own kInterface, or nothing
/// else may be called; the caller owns the backend.
extern "C" __attribute__((visibility("default"))) const char* tarl_cuda_interface();
extern "C" __attribute__((visibility("default"))) tarl::Backend* tarl_cuda_backend(const tarl::CudaOptions*);

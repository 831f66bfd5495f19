// Products with weights, by cuBLAS. Tested by native/test/cuda_backend_test.cpp and test/gpu.

#pragma once
#include "core/backend.h"

namespace tarl::cuda {

/// `tiled`: every product of a forward pass has kTileRows rows, the last ones padded, so that cuBLAS chooses
/// the same kernel for them all and a row's bits do not depend on how many there are.
constexpr int64_t kTileRows = 128;
std::unique_ptr<LinearKernel> linear(const at::Tensor& weight, const at::Tensor& bias, bool tiled);

/// a [M, K] b [K, N] -> fp32; any strides.
at::Tensor product(const at::Tensor& a, const at::Tensor& b);

}  // namespace tarl::cuda

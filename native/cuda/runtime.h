// Between tensors and the kernels' raw pointers: storage types, streams, uploads. Under the emulation the
// same code runs on the CPU's tensors (native/test/cuda_backend_test.cpp).

#pragma once
#include <c10/core/DeviceGuard.h>
#include <torch/torch.h>

#include <cstring>
#include <vector>

#include "kernels.h"

#if !defined(TARL_EMULATE_CUDA)
#include <c10/cuda/CUDAStream.h>
#endif

namespace tarl::cuda {

inline bool is_bf16(const at::Tensor& t) { return t.scalar_type() == at::kBFloat16; }

/// Calls f with a value of the tensor's storage type, on its device and that device's stream.
template <class F>
void on(const at::Tensor& x, const F& f) {
  const c10::DeviceGuard guard(x.device());
#if defined(TARL_EMULATE_CUDA)
  const Stream stream = nullptr;
#else
  const Stream stream = c10::cuda::getCurrentCUDAStream(x.device().index()).stream();
#endif
  if (is_bf16(x))
    f(bf16{}, stream);
  else if (x.scalar_type() == at::kFloat)
    f(float{}, stream);
  else
    throw std::invalid_argument("the kernels on CUDA take float32 and bfloat16");
}

/// A tensor's numbers; null where it is undefined.
template <class T>
const T* in(const at::Tensor& t) {
  if (!t.defined()) return nullptr;
  TORCH_INTERNAL_ASSERT(t.is_contiguous() && t.element_size() == sizeof(T));
  return static_cast<const T*>(t.const_data_ptr());
}
template <class T>
T* out(const at::Tensor& t) {
  if (!t.defined()) return nullptr;
  TORCH_INTERNAL_ASSERT(t.is_contiguous() && t.element_size() == sizeof(T));
  return static_cast<T*>(t.mutable_data_ptr());
}

inline at::Tensor like(const at::Tensor& t, at::IntArrayRef sizes) {
  return at::empty(sizes, t.options().requires_grad(false));
}
inline at::Tensor wide_like(const at::Tensor& t, at::IntArrayRef sizes) {
  return at::empty(sizes, t.options().dtype(at::kFloat).requires_grad(false));
}

/// Bytes of the host, in memory from which a GPU takes them without anybody waiting.
inline at::Tensor pinned(const void* from, size_t bytes, at::Device device) {
  const at::Tensor host = at::empty({static_cast<int64_t>(bytes)},
                                    at::TensorOptions().dtype(at::kByte).pinned_memory(device.is_cuda()));
  if (bytes > 0) std::memcpy(host.mutable_data_ptr(), from, bytes);
  return host;
}
/// The numbers of a list on a device.
template <class T>
at::Tensor upload(const std::vector<T>& list, at::Device device) {
  return pinned(list.data(), list.size() * sizeof(T), device)
      .to(device, /*non_blocking=*/true)
      .view(c10::CppTypeToScalarType<T>::value);
}

}  // namespace tarl::cuda

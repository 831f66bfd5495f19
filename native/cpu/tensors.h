// Where the elements of a tensor lie.

#pragma once
#include <torch/torch.h>

#include "kernels.h"

namespace tarl {

template <class E>
const E* in(const at::Tensor& t) {
  return static_cast<const E*>(t.const_data_ptr());
}
template <class E>
E* out(const at::Tensor& t) {
  return static_cast<E*>(t.mutable_data_ptr());
}
template <class E>
const E* in_or_null(const at::Tensor& t) {
  return t.defined() ? in<E>(t) : nullptr;
}
/// An empty tensor of t's dtype, or of another.
inline at::Tensor like(const at::Tensor& t, at::IntArrayRef shape) {
  return at::empty(shape, t.options().requires_grad(false));
}
inline at::Tensor like(const at::Tensor& t, at::IntArrayRef shape, at::ScalarType dtype) {
  return at::empty(shape, t.options().requires_grad(false).dtype(dtype));
}

}  // namespace tarl

// silu(gate) up and its gradient: a thread per pack of 16 bytes, in blocks of 256, since every number is read
// and written once and only bandwidth counts.

#include "kernels.h"

namespace tarl::cuda {

namespace {

constexpr int kThreads = 256;

template <class T, int N>
__global__ void swiglu_kernel(int64_t packs, int64_t feed, const T* gate_up, T* y) {
  const int64_t i = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) * N;
  if (i >= packs * N) return;
  const int64_t t = i / feed, at = t * 2 * feed + i % feed;
  const Pack<T, N> gate = load<N>(gate_up + at), up = load<N>(gate_up + at + feed);
  Pack<T, N> result;
  for (int n = 0; n < N; n++) {
    const float g = wide(gate.at[n]);
    result.at[n] = narrow<T>(g / (1.f + expf(-g)) * wide(up.at[n]));
  }
  store(y + i, result);
}

template <class T, int N>
__global__ void swiglu_backward_kernel(int64_t packs, int64_t feed, const T* gate_up, const T* dy, T* d) {
  const int64_t i = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) * N;
  if (i >= packs * N) return;
  const int64_t t = i / feed, at = t * 2 * feed + i % feed;
  const Pack<T, N> gate = load<N>(gate_up + at), up = load<N>(gate_up + at + feed), dout = load<N>(dy + i);
  Pack<T, N> d_gate, d_up;
  for (int n = 0; n < N; n++) {
    const float g = wide(gate.at[n]), sigma = 1.f / (1.f + expf(-g)), silu = g * sigma, o = wide(dout.at[n]);
    d_gate.at[n] = narrow<T>(o * wide(up.at[n]) * (sigma + silu * (1.f - sigma)));
    d_up.at[n] = narrow<T>(o * silu);
  }
  store(d + at, d_gate);
  store(d + at + feed, d_up);
}

}  // namespace

template <class T>
void swiglu(int64_t tokens, int64_t feed, const T* gate_up, T* y, Stream stream) {
  const bool packed = packable<T>(feed, {gate_up, y});
  const int64_t packs = tokens * feed / (packed ? kPack<T> : 1);
  const dim3 grid(static_cast<unsigned>(ceil_div(packs, kThreads)));
  launch(packed ? swiglu_kernel<T, kPack<T>> : swiglu_kernel<T, 1>, grid, kThreads, 0, stream, packs, feed,
         gate_up, y);
}

template <class T>
void swiglu_backward(int64_t tokens, int64_t feed, const T* gate_up, const T* dy, T* d, Stream stream) {
  const bool packed = packable<T>(feed, {gate_up, dy, d});
  const int64_t packs = tokens * feed / (packed ? kPack<T> : 1);
  const dim3 grid(static_cast<unsigned>(ceil_div(packs, kThreads)));
  launch(packed ? swiglu_backward_kernel<T, kPack<T>> : swiglu_backward_kernel<T, 1>, grid, kThreads, 0,
         stream, packs, feed, gate_up, dy, d);
}

template void swiglu(int64_t, int64_t, const float*, float*, Stream);
template void swiglu(int64_t, int64_t, const bf16*, bf16*, Stream);
template void swiglu_backward(int64_t, int64_t, const float*, const float*, float*, Stream);
template void swiglu_backward(int64_t, int64_t, const bf16*, const bf16*, bf16*, Stream);

}  // namespace tarl::cuda

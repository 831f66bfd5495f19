// One AdamW update (Loshchilov and Hutter 2019) of many numbers: bf16 or fp32 values, fp32 master, gradient
// and moments. A thread per four numbers, in blocks of 256: 30 bytes a number are read or written, only
// bandwidth counts.

#include "kernels.h"

namespace tarl::cuda {

namespace {

constexpr int kThreads = 256, kAtOnce = 4;

template <class T, int N>
__global__ void adamw_kernel(int64_t count, T* value, const float* grad, float* master, float* m, float* v,
                             Adamw a) {
  const int64_t i = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) * N;
  if (i >= count) return;
  const Pack<float, N> g = load<N>(grad + i);
  Pack<float, N> p = load<N>(master + i), first = load<N>(m + i), second = load<N>(v + i);
  Pack<T, N> result;
  for (int n = 0; n < N; n++) {
    const float slope = g.at[n] * a.scale;
    first.at[n] = a.beta1 * first.at[n] + (1.f - a.beta1) * slope;
    second.at[n] = a.beta2 * second.at[n] + (1.f - a.beta2) * slope * slope;
    p.at[n] = p.at[n] * a.decay - a.step * first.at[n] / (sqrtf(second.at[n]) * a.root + a.eps);
    result.at[n] = narrow<T>(p.at[n]);
  }
  store(master + i, p);
  store(m + i, first);
  store(v + i, second);
  if constexpr (sizeof(T) < sizeof(float)) store(value + i, result);
}

}  // namespace

template <class T>
void adamw(int64_t count, T* value, const float* grad, float* master, float* m, float* v, const Adamw& a,
           Stream stream) {
  const bool packed =
      packable<float>(count, {grad, master, m, v}) && reinterpret_cast<uintptr_t>(value) % 16 == 0;
  const dim3 grid(static_cast<unsigned>(ceil_div(packed ? count / kAtOnce : count, kThreads)));
  launch(packed ? adamw_kernel<T, kAtOnce> : adamw_kernel<T, 1>, grid, kThreads, 0, stream, count, value,
         grad, master, m, v, a);
}

template void adamw(int64_t, float*, const float*, float*, float*, float*, const Adamw&, Stream);
template void adamw(int64_t, bf16*, const float*, float*, float*, float*, const Adamw&, Stream);

}  // namespace tarl::cuda

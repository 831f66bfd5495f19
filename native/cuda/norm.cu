// RMS norm on the residual stream, and its gradient.
//
// Forward: a block per row, as many threads as the row has packs of 16 bytes (at most 1024), so that at a
// decode round's few rows the latency is one read. A thread keeps its first pack in registers; only rows over
// 8192 (bf16) are read twice. Backward: partials(T) blocks walk over the rows, so that the gradient of w is
// added up in shared memory (D floats) and written once per block; add_columns sums the blocks in a fixed
// order.

#include "kernels.h"

namespace tarl::cuda {

namespace {

constexpr int64_t kMostWidth =
    12288 - 64;  // floats of w's gradient in plain shared memory, beside block_sum's

template <class T, int N>
__global__ void __launch_bounds__(kWidestBlock) norm_kernel(Norm<T> a) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * a.width,
                first = static_cast<int64_t>(threadIdx.x) * N;
  const T* const from = a.add ? a.sum : a.x;
  float square = 0;
  Pack<T, N> held{};
  for (int64_t i = first; i < a.width; i += static_cast<int64_t>(blockDim.x) * N) {
    Pack<T, N> x = load<N>(a.x + row + i);
    if (a.add) {
      const Pack<T, N> add = load<N>(a.add + row + i);
      for (int n = 0; n < N; n++) x.at[n] = narrow<T>(wide(x.at[n]) + wide(add.at[n]));
      store(a.sum + row + i, x);
    }
    for (int n = 0; n < N; n++) square += wide(x.at[n]) * wide(x.at[n]);
    if (i == first) held = x;
  }
  const float rstd = 1.f / sqrtf(block_sum(square) / static_cast<float>(a.width) + a.eps);
  if (threadIdx.x == 0) a.rstd[blockIdx.x] = rstd;
  for (int64_t i = first; i < a.width; i += static_cast<int64_t>(blockDim.x) * N) {
    const Pack<T, N> x = i == first ? held : load<N>(from + row + i), w = load<N>(a.w + i);
    Pack<T, N> y;
    for (int n = 0; n < N; n++) y.at[n] = narrow<T>(wide(x.at[n]) * rstd * wide(w.at[n]));
    store(a.normed + row + i, y);
  }
}

template <class T, int N>
__global__ void __launch_bounds__(kWidestBlock) norm_backward_kernel(NormBackward<T> a) {
  DYNAMIC_SHARED(memory);
  float* const dw = reinterpret_cast<float*>(memory);  // [D]; each thread its own columns
  const int64_t first = static_cast<int64_t>(threadIdx.x) * N, step = static_cast<int64_t>(blockDim.x) * N;
  if (a.grad)
    for (int64_t i = first; i < a.width; i += step)
      for (int n = 0; n < N; n++) dw[i + n] = 0;
  for (int64_t t = blockIdx.x; t < a.tokens; t += gridDim.x) {
    const int64_t row = t * a.width;
    const float rstd = a.rstd[t];
    float dot = 0;
    for (int64_t i = first; i < a.width; i += step) {
      const Pack<T, N> x = load<N>(a.sum + row + i), dy = load<N>(a.d_normed + row + i), w = load<N>(a.w + i);
      for (int n = 0; n < N; n++) dot += wide(x.at[n]) * wide(w.at[n]) * wide(dy.at[n]);
    }
    const float mean = block_sum(dot) * rstd * rstd / static_cast<float>(a.width);
    for (int64_t i = first; i < a.width; i += step) {
      const Pack<T, N> x = load<N>(a.sum + row + i), dy = load<N>(a.d_normed + row + i), w = load<N>(a.w + i);
      Pack<T, N> dx{};
      if (a.d_sum) dx = load<N>(a.d_sum + row + i);
      for (int n = 0; n < N; n++) {
        const float g = wide(dy.at[n]), value = wide(x.at[n]);
        const float through = (g * wide(w.at[n]) - value * mean) * rstd;
        dx.at[n] = narrow<T>(a.d_sum ? wide(dx.at[n]) + through : through);
        if (a.grad) dw[i + n] += g * (value * rstd);
      }
      store(a.dx + row + i, dx);
    }
  }
  if (a.grad)
    for (int64_t i = first; i < a.width; i += step)
      for (int n = 0; n < N; n++) a.partial[static_cast<int64_t>(blockIdx.x) * a.width + i + n] = dw[i + n];
}

__global__ void add_columns_kernel(const float* partial, int64_t blocks, int64_t stride, int64_t width,
                                   float* to) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= width) return;
  float sum = 0;
  for (int64_t b = 0; b < blocks; b++) sum += partial[b * stride + i];
  to[i] += sum;
}

}  // namespace

/// Two blocks for each of the 132 processors of an H100 or H200.
int64_t partials(int64_t tokens) { return tokens < 264 ? tokens : 264; }

void add_columns(const float* partial, int64_t blocks, int64_t stride, int64_t width, float* to,
                 Stream stream) {
  constexpr int kThreads = 64;  // few columns, long sums: many small blocks
  launch(add_columns_kernel, dim3(static_cast<unsigned>(ceil_div(width, kThreads))), kThreads, 0, stream,
         partial, blocks, stride, width, to);
}

template <class T>
void norm(const Norm<T>& a, Stream stream) {
  const dim3 grid(static_cast<unsigned>(a.tokens));
  constexpr int N = kPack<T>;
  if (packable<T>(a.width, {a.x, a.add, a.w, a.sum, a.normed}))
    launch(norm_kernel<T, N>, grid, row_threads(a.width / N), 0, stream, a);
  else
    launch(norm_kernel<T, 1>, grid, row_threads(a.width), 0, stream, a);
}

template <class T>
void norm_backward(const NormBackward<T>& a, Stream stream) {
  if (a.width > kMostWidth)
    throw std::invalid_argument("a width of " + std::to_string(a.width) +
                                ": the kernels on CUDA take up to " + std::to_string(kMostWidth));
  const dim3 grid(static_cast<unsigned>(partials(a.tokens)));
  const size_t shared = a.grad ? static_cast<size_t>(a.width) * sizeof(float) : 0;
  constexpr int N = kPack<T>;
  if (packable<T>(a.width, {a.d_sum, a.d_normed, a.sum, a.w, a.dx}))
    launch(norm_backward_kernel<T, N>, grid, row_threads(a.width / N), shared, stream, a);
  else
    launch(norm_backward_kernel<T, 1>, grid, row_threads(a.width), shared, stream, a);
  if (a.grad) add_columns(a.partial, partials(a.tokens), a.width, a.width, a.grad, stream);
}

template void norm(const Norm<float>&, Stream);
template void norm(const Norm<bf16>&, Stream);
template void norm_backward(const NormBackward<float>&, Stream);
template void norm_backward(const NormBackward<bf16>&, Stream);

}  // namespace tarl::cuda

// Queries, keys and values out of one product's rows: norm per head, rotation, and the gradients.
//
// A warp per head of a token: heads are 64 to 256 channels, so a lane has up to four pairs (i, i + C/2), the
// two numbers that a rotation mixes, and norms need no shared memory. Blocks of eight warps. Backward:
// partials(T) blocks walk over all heads, a lane adding up its channels' share of the norms' gradients in
// registers.

#include "kernels.h"

namespace tarl::cuda {

namespace {

constexpr int kWarps = 8;
constexpr int kPairs = kMostChannels / 2 / kWarp;  // of a lane

/// Calls f(j, i): pair j of this lane is (i, i + half).
template <class F>
__device__ void over_pairs(int half, F f) {
#pragma unroll
  for (int j = 0; j < kPairs; j++) {
    const int i = j * kWarp + static_cast<int>(threadIdx.x) % kWarp;
    if (i < half) f(j, i);
  }
}

template <class T>
__global__ void split_kernel(Split<T> a) {
  const int kinds = a.heads + 2 * a.kv_heads, half = a.channels / 2;
  const int64_t unit = static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / kWarp;
  if (unit >= a.tokens * kinds) return;
  const int64_t t = unit / kinds;
  const int head = static_cast<int>(unit % kinds);
  const T* const from = a.qkv + unit * a.channels;
  if (head >= a.heads + a.kv_heads) {
    T* const to = a.v + (t * a.kv_heads + head - a.heads - a.kv_heads) * a.channels;
    over_pairs(half, [&](int, int i) {
      to[i] = from[i];
      to[i + half] = from[i + half];
    });
    return;
  }
  const bool query = head < a.heads;
  float low[kPairs] = {}, high[kPairs] = {};
  over_pairs(half, [&](int j, int i) {
    low[j] = wide(from[i]);
    high[j] = wide(from[i + half]);
  });
  const T* const w = query ? a.q_norm : a.k_norm;
  if (w) {
    float square = 0;
    for (int j = 0; j < kPairs; j++) square += low[j] * low[j] + high[j] * high[j];
    square = over_warp(square, Sum());
    const float rstd = 1.f / sqrtf(square / static_cast<float>(a.channels) + a.eps);
    if (threadIdx.x % kWarp == 0) a.rstd[t * (a.heads + a.kv_heads) + head] = rstd;
    over_pairs(half, [&](int j, int i) {
      low[j] *= rstd * wide(w[i]);
      high[j] *= rstd * wide(w[i + half]);
    });
  }
  T* const to =
      query ? a.q + (t * a.heads + head) * a.channels : a.k + (t * a.kv_heads + head - a.heads) * a.channels;
  over_pairs(half, [&](int j, int i) {
    const float cos = a.cos[t * half + i], sin = a.sin[t * half + i];
    to[i] = narrow<T>(low[j] * cos - high[j] * sin);
    to[i + half] = narrow<T>(high[j] * cos + low[j] * sin);
  });
}

template <class T>
__global__ void split_backward_kernel(SplitBackward<T> a) {
  __shared__ float sums[kWarps][2 * kMostChannels];
  const int kinds = a.heads + 2 * a.kv_heads, half = a.channels / 2,
            warp = static_cast<int>(threadIdx.x) / kWarp;
  float low_grad[2][kPairs] = {}, high_grad[2][kPairs] = {};  // of q_norm and of k_norm
  for (int64_t unit = static_cast<int64_t>(blockIdx.x) * kWarps + warp; unit < a.tokens * kinds;
       unit += static_cast<int64_t>(gridDim.x) * kWarps) {
    const int64_t t = unit / kinds;
    const int head = static_cast<int>(unit % kinds);
    const T* const x = a.qkv + unit * a.channels;
    T* const dx = a.dqkv + unit * a.channels;
    if (head >= a.heads + a.kv_heads) {
      const T* const dv = a.dv + (t * a.kv_heads + head - a.heads - a.kv_heads) * a.channels;
      over_pairs(half, [&](int, int i) {
        dx[i] = dv[i];
        dx[i + half] = dv[i + half];
      });
      continue;
    }
    const bool query = head < a.heads;
    const T* const dy = query ? a.dq + (t * a.heads + head) * a.channels
                              : a.dk + (t * a.kv_heads + head - a.heads) * a.channels;
    float low[kPairs] = {}, high[kPairs] = {};  // gradient before the rotation
    over_pairs(half, [&](int j, int i) {
      const float cos = a.cos[t * half + i], sin = a.sin[t * half + i];
      const float one = wide(dy[i]), two = wide(dy[i + half]);
      low[j] = one * cos + two * sin;
      high[j] = two * cos - one * sin;
    });
    const T* const w = query ? a.q_norm : a.k_norm;
    if (w) {
      const float rstd = a.rstd[t * (a.heads + a.kv_heads) + head];
      float dot = 0;
      over_pairs(half, [&](int j, int i) {
        dot += low[j] * wide(w[i]) * wide(x[i]) + high[j] * wide(w[i + half]) * wide(x[i + half]);
      });
      const float mean = over_warp(dot, Sum()) * rstd * rstd / static_cast<float>(a.channels);
      over_pairs(half, [&](int j, int i) {
        const float x_low = wide(x[i]), x_high = wide(x[i + half]);
        if (query) {
          low_grad[0][j] += low[j] * (x_low * rstd);
          high_grad[0][j] += high[j] * (x_high * rstd);
        } else {
          low_grad[1][j] += low[j] * (x_low * rstd);
          high_grad[1][j] += high[j] * (x_high * rstd);
        }
        low[j] = (low[j] * wide(w[i]) - x_low * mean) * rstd;
        high[j] = (high[j] * wide(w[i + half]) - x_high * mean) * rstd;
      });
    }
    over_pairs(half, [&](int j, int i) {
      dx[i] = narrow<T>(low[j]);
      dx[i + half] = narrow<T>(high[j]);
    });
  }
  if (!a.q_grad && !a.k_grad) return;
  for (int kind = 0; kind < 2; kind++)
    over_pairs(half, [&](int j, int i) {
      sums[warp][kind * a.channels + i] = low_grad[kind][j];
      sums[warp][kind * a.channels + i + half] = high_grad[kind][j];
    });
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.x); i < 2 * a.channels; i += static_cast<int>(blockDim.x)) {
    float sum = 0;
    for (int w = 0; w < kWarps; w++) sum += sums[w][i];
    a.partial[static_cast<int64_t>(blockIdx.x) * 2 * a.channels + i] = sum;
  }
}

void check(int channels) {
  if (channels % 2 != 0 || channels > kMostChannels)
    throw std::invalid_argument("heads of " + std::to_string(channels) +
                                " channels: the kernels on CUDA take even numbers up to " +
                                std::to_string(kMostChannels));
}

}  // namespace

template <class T>
void split(const Split<T>& a, Stream stream) {
  check(a.channels);
  const int64_t units = a.tokens * (a.heads + 2 * a.kv_heads);
  launch(split_kernel<T>, dim3(static_cast<unsigned>(ceil_div(units, kWarps))), kWarps * kWarp, 0, stream, a);
}

template <class T>
void split_backward(const SplitBackward<T>& a, Stream stream) {
  check(a.channels);
  const int64_t blocks = partials(a.tokens);
  launch(split_backward_kernel<T>, dim3(static_cast<unsigned>(blocks)), kWarps * kWarp, 0, stream, a);
  const int64_t stride = 2 * a.channels;
  if (a.q_grad) add_columns(a.partial, blocks, stride, a.channels, a.q_grad, stream);
  if (a.k_grad) add_columns(a.partial + a.channels, blocks, stride, a.channels, a.k_grad, stream);
}

template void split(const Split<float>&, Stream);
template void split(const Split<bf16>&, Stream);
template void split_backward(const SplitBackward<float>&, Stream);
template void split_backward(const SplitBackward<bf16>&, Stream);

}  // namespace tarl::cuda

// Log-probs and entropies of rows of logits [T, V], and the gradient. Forward: a block of 1024 threads per
// row, one pass over the logits (softmax.h). Backward: blocks of 256 over (part of the row, row): every
// number by itself.

#include "softmax.h"

namespace tarl::cuda {

namespace {

constexpr int kThreads = 256;

template <int N>
__global__ void __launch_bounds__(kRowThreads)
    logp_kernel(int64_t vocab, const float* logits, const int32_t* ids, float inverse, float* logp,
                float* entropy, float* stats) {
  const int64_t t = blockIdx.x;
  const Stats s = softmax_stats<N>(vocab, logits + t * vocab, inverse);
  if (threadIdx.x != 0) return;
  logp[t] = token_logp(scaled(logits[t * vocab + ids[t]], inverse), s);
  entropy[t] = logf(s.sum) - s.weighted / s.sum;
  stats[3 * t] = s.max;
  stats[3 * t + 1] = s.sum;
  stats[3 * t + 2] = s.weighted;
}

// d logp_id / d z_j = [j = id] - p_j;  d H / d z_j = -p_j (log p_j + H), with H = log(sum) - weighted / sum
template <class T>
__global__ void logp_backward_kernel(int64_t vocab, const float* logits, const int32_t* ids,
                                     const float* stats, float inverse, const float* d_logp,
                                     const float* d_entropy, T* d) {
  const int64_t t = blockIdx.y, i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= vocab) return;
  const float sum = stats[3 * t + 1], mean = stats[3 * t + 2] / sum;
  const float z = scaled(logits[t * vocab + i], inverse) - stats[3 * t], p = expf(z) / sum;
  float slope = p > 0.f ? p * (-d_logp[t] - d_entropy[t] * (z - mean)) : 0.f;
  if (i == ids[t]) slope += d_logp[t];
  d[t * vocab + i] = narrow<T>(slope * inverse);
}

constexpr int64_t kMostRows = 65535;  // of a grid's second dimension

}  // namespace

void logp(int64_t tokens, int64_t vocab, const float* logits, const int32_t* ids, float inverse, float* logp,
          float* entropy, float* stats, Stream stream) {
  const bool packed = packable<float>(vocab, {logits});
  launch(packed ? logp_kernel<kPack<float>> : logp_kernel<1>, dim3(static_cast<unsigned>(tokens)),
         kRowThreads, 0, stream, vocab, logits, ids, inverse, logp, entropy, stats);
}

template <class T>
void logp_backward(int64_t tokens, int64_t vocab, const float* logits, const int32_t* ids, const float* stats,
                   float inverse, const float* d_logp, const float* d_entropy, T* d, Stream stream) {
  for (int64_t first = 0; first < tokens; first += kMostRows) {
    const int64_t rows = tokens - first < kMostRows ? tokens - first : kMostRows;
    launch(logp_backward_kernel<T>,
           dim3(static_cast<unsigned>(ceil_div(vocab, kThreads)), static_cast<unsigned>(rows)), kThreads, 0,
           stream, vocab, logits + first * vocab, ids + first, stats + 3 * first, inverse, d_logp + first,
           d_entropy + first, d + first * vocab);
  }
}

template void logp_backward(int64_t, int64_t, const float*, const int32_t*, const float*, float, const float*,
                            const float*, float*, Stream);
template void logp_backward(int64_t, int64_t, const float*, const int32_t*, const float*, float, const float*,
                            const float*, bf16*, Stream);

}  // namespace tarl::cuda

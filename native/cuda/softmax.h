// The softmax of one row of logits by one block, for log-probs (logp.cu) and for sampling (sample.cu): both
// do the same operations in the same order, so that the sampler's log-prob has the bits of the trainer's.

#pragma once
#include <cmath>

#include "kernels.h"

namespace tarl::cuda {

/// Threads per row. One row of a vocabulary of 152k is 600 kB: a whole processor's work, 5 us at its
/// bandwidth.
constexpr int kRowThreads = 1024;
constexpr int kRowWarps = kRowThreads / kWarp;

/// max z, sum exp(z - max), sum exp(z - max) (z - max) and min z, with z = inverse logit.
struct Stats {
  float max, sum, weighted, min;
};

__device__ inline float infinity() { return INFINITY; }
/// Rounded by itself, so that no compiler makes it part of a fused operation in one place and not in another.
__device__ inline float scaled(float logit, float inverse) { return __fmul_rn(logit, inverse); }
__device__ inline float weight(float z, float max) { return expf(__fsub_rn(z, max)); }
__device__ inline float token_logp(float z, const Stats& s) {
  return __fsub_rn(__fsub_rn(z, s.max), logf(s.sum));
}

/// Of the union of two sets.
__device__ inline Stats joined(const Stats& a, const Stats& b) {
  const float max = fmaxf(a.max, b.max), min = fminf(a.min, b.min);
  if (max == -infinity()) return {max, a.sum + b.sum, a.weighted + b.weighted, min};
  const auto to = [max](const Stats& s) {
    if (s.max == -infinity()) return Stats{max, s.sum, 0.f, 0.f};  // sum 0, or nan that has to stay
    const float down = s.max - max, factor = expf(down);
    return Stats{max, s.sum * factor, (s.weighted + s.sum * down) * factor, 0.f};
  };
  const Stats x = to(a), y = to(b);
  return {max, x.sum + y.sum, x.weighted + y.weighted, min};
}

/// To be called by all kRowThreads of a block; all have the result. sum is nan where logits are not finite
/// numbers (-inf beside finite ones is a probability of 0). N: logits read at once.
template <int N>
__device__ Stats softmax_stats(int64_t vocab, const float* logits, float inverse) {
  __shared__ Stats parts[kRowWarps];
  Stats own{-infinity(), 0.f, 0.f, infinity()};
  for (int64_t i = static_cast<int64_t>(threadIdx.x) * N; i < vocab;
       i += static_cast<int64_t>(kRowThreads) * N) {
    const Pack<float, N> pack = load<N>(logits + i);
    for (int n = 0; n < N; n++) {
      const float z = scaled(pack.at[n], inverse), min = fminf(own.min, z);
      own.min = min;
      if (z > own.max) {
        const float down = own.max - z, factor = expf(down);
        own = own.max == -infinity()
                  ? Stats{z, own.sum + 1.f, own.weighted, min}
                  : Stats{z, own.sum * factor + 1.f, (own.weighted + own.sum * down) * factor, min};
      } else if (z != -infinity()) {
        const float e = weight(z, own.max);
        own.sum += e;
        if (e > 0.f) own.weighted += e * (z - own.max);
      }
    }
  }
  for (int step = kWarp / 2; step > 0; step /= 2) {
    const Stats other{__shfl_xor_sync(kAllLanes, own.max, step), __shfl_xor_sync(kAllLanes, own.sum, step),
                      __shfl_xor_sync(kAllLanes, own.weighted, step),
                      __shfl_xor_sync(kAllLanes, own.min, step)};
    // The lower lane's part first, so that both compute the same.
    own = threadIdx.x & static_cast<unsigned>(step) ? joined(other, own) : joined(own, other);
  }
  __syncthreads();
  if (threadIdx.x % kWarp == 0) parts[threadIdx.x / kWarp] = own;
  __syncthreads();
  Stats all = parts[0];
  for (int i = 1; i < kRowWarps; i++) all = joined(all, parts[i]);
  // An infinite logit, or none that is finite, has no softmax; a nan has made its way into the sum.
  if (!(fabsf(all.max) < infinity())) all.sum = NAN;
  return all;
}

}  // namespace tarl::cuda

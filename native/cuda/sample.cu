// A token for each row of logits, a block per row: temperature, top-k, top-p and min-p as `distribution` of
// core/sampler.h defines them, without sorting. Probabilities are counted in integers of 2^-44 of the
// likeliest token's: their sums are exact, so that no order of threads changes a choice.
//
// top-k and top-p are both "the largest key above which less than `target` lies": found by three passes over
// the row, each of which counts the next 11, 11 and 10 bits of the keys in a histogram in shared memory. The
// draw itself splits the row in one part per warp; the warp in whose part the number falls walks over it once
// more.

#include "softmax.h"

namespace tarl::cuda {

namespace {

using Mass = unsigned long long;

constexpr float kUnit = 17592186044416.f;  // 2^44: a vocabulary of up to 2^19 sums up in 63 bits
constexpr int kBins = 2048;

/// Numbers in the order of the logits; -0 is 0.
__device__ inline uint32_t key_of(float logit) {
  const uint32_t bits = __float_as_uint(logit + 0.f);
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

__device__ inline Mass mass_of(float logit, float inverse, float max) {
  return static_cast<Mass>(weight(scaled(logit, inverse), max) * kUnit);
}

/// Of the tokens above a key and of those at it.
struct Border {
  uint32_t key;
  Mass above;
};

/// The sum over the lanes before this one.
__device__ inline Mass before_lane(Mass own) {
  Mass sum = own;
  for (int step = 1; step < kWarp; step *= 2) {
    const Mass other = __shfl_up_sync(kAllLanes, sum, static_cast<unsigned>(step));
    if (static_cast<int>(threadIdx.x) % kWarp >= step) sum += other;
  }
  return sum - own;
}

/// The key such that less than `target` lies above it, and at least `target` above and at it; what lies at a
/// token is amount(logit). Only keys from `floor` on count. Called by the whole block.
template <class F>
__device__ Border border(int64_t vocab, const float* logits, uint32_t floor, Mass target, F amount) {
  __shared__ Mass bins[kBins];
  __shared__ Border found;
  Border b{0, 0};
  for (int shift = 32; shift > 0;) {
    const int bits = shift > 10 ? 11 : 10, past = shift;  // 11, 11, 10
    shift -= bits;
    for (int i = static_cast<int>(threadIdx.x); i < kBins; i += kRowThreads) bins[i] = 0;
    __syncthreads();
    for (int64_t i = threadIdx.x; i < vocab; i += kRowThreads) {
      const uint32_t key = key_of(logits[i]);
      if (key < floor || static_cast<uint64_t>(key) >> past != b.key) continue;
      const Mass own = amount(logits[i]);
      if (own > 0) atomicAdd(&bins[(key >> shift) & ((1u << bits) - 1)], own);
    }
    __syncthreads();
    if (threadIdx.x < kWarp) {  // one warp, from the top bin down
      const int each = (1 << bits) / kWarp, first = (1 << bits) - 1 - static_cast<int>(threadIdx.x) * each;
      Mass own = 0;
      for (int i = 0; i < each; i++) own += bins[first - i];
      Mass above = b.above + before_lane(own);
      if (above < target && above + own >= target) {
        int i = 0;
        for (; above + bins[first - i] < target; i++) above += bins[first - i];
        found = {b.key << bits | static_cast<uint32_t>(first - i), above};
      }
    }
    __syncthreads();
    b = found;
  }
  return b;
}

/// Which tokens may be drawn: those above `key`, and the first `ties` at it; of these those of at least
/// `least`.
struct Kept {
  uint32_t key;
  Mass ties;
  float least;  // share of the likeliest token's probability
};

/// One warp's walk over its part of the row: visit(i, mass) for each lane's token in turn, mass 0 where it
/// may not be drawn, until visit, which all lanes return alike, says stop. `rank`: tokens at the key before
/// this part.
template <class F>
__device__ void walk(const float* logits, int64_t from, int64_t to, const Kept& kept, Mass rank,
                     float inverse, float max, F visit) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  for (int64_t i = from; i < to; i += kWarp) {
    const bool inside = i + lane < to;
    const float logit = inside ? logits[i + lane] : -infinity();
    const uint32_t key = key_of(logit);
    const unsigned at = __ballot_sync(kAllLanes, inside && key == kept.key);
    const Mass mine = rank + static_cast<Mass>(__popc(at & ((1u << lane) - 1)));
    rank += static_cast<Mass>(__popc(at));
    const bool may = inside && (key > kept.key || (key == kept.key && mine < kept.ties)) &&
                     weight(scaled(logit, inverse), max) >= kept.least;
    if (visit(i + lane, may ? mass_of(logit, inverse, max) : Mass{0})) return;
  }
}

/// The first of the largest logits.
__device__ inline int32_t likeliest(int64_t vocab, const float* logits) {
  __shared__ unsigned long long best[kRowWarps];
  const auto larger = [](unsigned long long a, unsigned long long b) { return a > b ? a : b; };
  unsigned long long own = 0;
  for (int64_t i = threadIdx.x; i < vocab; i += kRowThreads)
    own = larger(own, static_cast<unsigned long long>(key_of(logits[i])) << 32 |
                          (0xffffffffu - static_cast<uint32_t>(i)));
  own = over_warp(own, larger);
  if (threadIdx.x % kWarp == 0) best[threadIdx.x / kWarp] = own;
  __syncthreads();
  own = best[0];
  for (int i = 1; i < kRowWarps; i++) own = larger(own, best[i]);
  return static_cast<int32_t>(0xffffffffu - static_cast<uint32_t>(own));
}

template <int N>
__global__ void __launch_bounds__(kRowThreads)
    sample_kernel(int64_t vocab, const float* all, const Choice* choices, Drawn* drawn) {
  __shared__ Mass parts[kRowWarps];
  const float* const logits = all + static_cast<int64_t>(blockIdx.x) * vocab;
  const Choice c = choices[blockIdx.x];
  Drawn& result = drawn[blockIdx.x];
  const Stats s = softmax_stats<N>(vocab, logits, c.inverse);
  if (!(s.sum < infinity()) || s.min == -infinity()) {
    if (threadIdx.x == 0) result = {-1, NAN};
    return;
  }
  const auto done = [&](int64_t id) {
    result = {static_cast<int32_t>(id), token_logp(scaled(logits[id], c.inverse), s)};
  };
  if (c.greedy) {
    const int32_t id = likeliest(vocab, logits);
    if (threadIdx.x == 0) done(id);
    return;
  }
  const auto mass = [&](float logit) { return mass_of(logit, c.inverse, s.max); };
  const int warp = static_cast<int>(threadIdx.x) / kWarp, lane = static_cast<int>(threadIdx.x) % kWarp;

  /// The sum over the block of a number that each warp's first lane has; `before`: over the warps before.
  const auto over_parts = [&](Mass own, Mass& before) {
    __syncthreads();
    if (lane == 0) parts[warp] = own;
    __syncthreads();
    Mass sum = 0;
    for (int i = 0; i < kRowWarps; i++) {
      if (i == warp) before = sum;
      sum += parts[i];
    }
    return sum;
  };
  const auto add = [](Mass a, Mass b) { return a + b; };

  Kept kept{0, ~Mass{0}, static_cast<float>(c.min_p)};
  if (c.top_k > 0 && c.top_k < vocab)
    kept.key = border(vocab, logits, 0, static_cast<Mass>(c.top_k), [](float) { return Mass{1}; }).key;
  if (c.top_p < 1) {
    Mass own = 0, before = 0;
    for (int64_t i = threadIdx.x; i < vocab; i += kRowThreads)
      if (key_of(logits[i]) >= kept.key) own += mass(logits[i]);
    const Mass whole = over_parts(over_warp(own, add), before);
    // A token stays while the mass before it is below top_p: the first one always does.
    const double limit = c.top_p > 0 ? ceil(c.top_p * static_cast<double>(whole)) : 0;
    const Mass target = limit > 1 ? static_cast<Mass>(limit) : 1;
    const Border b = border(vocab, logits, kept.key, target < whole ? target : whole, mass);
    Mass each = 0;  // of a token at the border, which any of them knows
    for (int64_t i = threadIdx.x; i < vocab; i += kRowThreads)
      if (key_of(logits[i]) == b.key) each = mass(logits[i]);
    each = over_warp(each, [](Mass x, Mass y) { return x > y ? x : y; });
    __syncthreads();
    if (lane == 0) parts[warp] = each;
    __syncthreads();
    for (int i = 0; i < kRowWarps; i++)
      if (parts[i] > each) each = parts[i];
    kept.key = b.key;
    kept.ties = (target - b.above + each - 1) / each;
  }

  const int64_t part = round_to(ceil_div(vocab, kRowWarps), kWarp);
  const int64_t from = warp * part < vocab ? warp * part : vocab,
                to = from + part < vocab ? from + part : vocab;
  Mass at = 0, rank = 0, own = 0, before = 0;
  for (int64_t i = from + lane; i < to; i += kWarp) at += key_of(logits[i]) == kept.key;
  over_parts(over_warp(at, add), rank);
  walk(logits, from, to, kept, rank, c.inverse, s.max, [&](int64_t, Mass m) {
    own += m;
    return false;
  });
  const Mass sum = over_parts(over_warp(own, add), before);
  // u < below / sum, in integers: below > floor(u sum). The product may be rounded up to the sum itself.
  const Mass target_of_u = static_cast<Mass>(c.uniform * static_cast<double>(sum));
  const Mass wanted = target_of_u < sum ? target_of_u : sum - 1;
  Mass below = before;
  const Mass mine = parts[warp];
  if (wanted < below || wanted >= below + mine) return;
  walk(logits, from, to, kept, rank, c.inverse, s.max, [&](int64_t id, Mass m) {
    const Mass upto = below + before_lane(m) + m;
    const unsigned past = __ballot_sync(kAllLanes, upto > wanted);
    if (past != 0 && lane == __ffs(past) - 1) done(id);
    below = __shfl_sync(kAllLanes, upto, kWarp - 1);
    return past != 0;
  });
}

}  // namespace

void sample(int64_t rows, int64_t vocab, const float* logits, const Choice* choices, Drawn* drawn,
            Stream stream) {
  const bool packed = packable<float>(vocab, {logits});
  launch(packed ? sample_kernel<kPack<float>> : sample_kernel<1>, dim3(static_cast<unsigned>(rows)),
         kRowThreads, 0, stream, vocab, logits, choices, drawn);
}

}  // namespace tarl::cuda

// From logits to a token. The random number of a token is a function of the conversation's seed and the
// token's position, so that it does not depend on what else is in the batch.

#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace tarl {

/// The lowest temperature above 0: logits over it have to be fp32 numbers.
constexpr double kColdest = 1e-6;

/// Sampling of src/types.ts.
struct Sampling {
  double temperature = 1;  // 0: the likeliest token; else at least kColdest
  double top_p = 1;
  int64_t top_k = 0;
  double min_p = 0;
  std::vector<int32_t> stop_ids;
  int64_t max_tokens = 1;
};

struct Draw {
  int32_t id;  // -1, and logp nan, where logits are not finite numbers
  float logp;  // over the whole vocabulary at the sampling temperature (1 where that is 0), nats
};

/// Uniform in [0, 1) from a seed and a counter (two rounds of SplitMix64, Steele et al. 2014).
double uniform(uint64_t seed, uint64_t counter);

/// Probabilities after temperature, top-k (keeps ties), top-p (keeps a token while the mass before it is
/// below p) and min-p (relative to the likeliest), in this order, each over what the one before has left. [V]
std::vector<double> distribution(std::span<const float> logits, const Sampling&);

/// The id that `uniform` falls on in the distribution, and -1 where logits are not finite numbers.
int32_t pick(std::span<const float> logits, const Sampling&, double uniform);

/// The plain twin of Backend::sample.
Draw draw(std::span<const float> logits, const Sampling&, double uniform);

}  // namespace tarl

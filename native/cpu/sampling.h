// From a row of logits to a token, fast at large vocabularies: what core/sampler.h's `pick` draws from
// `distribution`, without making one. The same id for the same number, unless that lies on a border between
// two ids to within fp32's error in an exponential. Test: native/test/sampling_test.cpp.

#pragma once
#include <span>

#include "core/sampler.h"
#include "kernels.h"

namespace tarl {

/// log softmax(logits / temperature) of one: one expression for sampler and trainer, so that they agree to
/// the bit.
float log_prob(float logit, float inv_temperature, const SoftmaxStats&);

/// `uniform` in [0, 1).
Draw sample_row(std::span<const float> logits, const Sampling&, double uniform);

}  // namespace tarl

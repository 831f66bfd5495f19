#include "sampling.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <vector>

namespace tarl {

namespace {

bool finite(std::span<const float> logits) {
  uint32_t wrong = 0;  // a loop that a compiler makes vectors of
  for (const float z : logits) {
    uint32_t bits;
    std::memcpy(&bits, &z, 4);
    wrong |= (bits & 0x7f800000u) == 0x7f800000u;
  }
  return wrong == 0;
}

/// The first id with more than `target` below and at it; the last possible one where rounding leaves none.
int32_t among_all(std::span<const float> logits, float inverse, const SoftmaxStats& s,
                  std::span<const double> blocks, double target) {
  size_t block = 0;
  double below = 0;
  while (block + 1 < blocks.size() && below + blocks[block] <= target) below += blocks[block++];
  float e[kLogitBlock];
  int32_t id = -1;
  for (;; block--) {
    const size_t first = block * kLogitBlock, count = std::min<size_t>(kLogitBlock, logits.size() - first);
    kernels<float>().exponentials(static_cast<int64_t>(count), logits.data() + first, inverse, s.max, e);
    for (size_t i = 0; i < count; i++) {
      if (e[i] == 0) continue;
      id = static_cast<int32_t>(first + i);
      below += e[i];
      if (target < below) break;
    }
    if (id >= 0) return id;  // a block whose ids are all impossible: the last possible one is before it
  }
}

struct Candidate {
  int32_t id;
  float logit;
  double p;  // relative to the likeliest
};

/// The likeliest tokens, in the order of their ids: at least `count` of them, with at least `mass` of the
/// likeliest one's probability together and with all that have `least` of it.
std::vector<Candidate> likeliest(std::span<const float> logits, float max, double temperature, size_t count,
                                 double mass, double least) {
  std::vector<Candidate> list;
  const double widest = least > 0 ? -std::log(least) * (1 + 1e-9) + 1e-9 : 0;
  for (double depth = std::max(4.0, widest);; depth *= 2) {
    const float floor = static_cast<float>(max - depth * temperature);
    list.clear();
    double sum = 0;
    for (size_t i = 0; i < logits.size(); i++)
      if (logits[i] >= floor) {
        const double p = std::exp((static_cast<double>(logits[i]) - max) / temperature);
        list.push_back({static_cast<int32_t>(i), logits[i], p});
        sum += p;
      }
    if (list.size() == logits.size() || (list.size() >= count && sum >= mass)) return list;
  }
}

double total(const std::vector<Candidate>& list) {
  return std::accumulate(list.begin(), list.end(), 0.0, [](double s, const Candidate& c) { return s + c.p; });
}

/// As `distribution` cuts: top-k, top-p, min-p, each over what the one before has left.
void cut(std::vector<Candidate>& list, const Sampling& s, double all, bool top_k) {
  if (top_k) {
    std::vector<float> sorted;
    for (const Candidate& c : list) sorted.push_back(c.logit);
    std::nth_element(sorted.begin(), sorted.begin() + (s.top_k - 1), sorted.end(), std::greater<>());
    const float least = sorted[static_cast<size_t>(s.top_k - 1)];
    std::erase_if(list, [&](const Candidate& c) { return c.logit < least; });
    all = total(list);
  }
  if (s.top_p < 1) {
    std::stable_sort(list.begin(), list.end(),
                     [](const Candidate& a, const Candidate& b) { return a.p > b.p; });
    double before = 0;
    size_t kept = 0;
    while (kept < list.size() && (kept == 0 || before < s.top_p)) before += list[kept++].p / all;
    list.resize(kept);
    std::sort(list.begin(), list.end(), [](const Candidate& a, const Candidate& b) { return a.id < b.id; });
  }
  if (s.min_p > 0) std::erase_if(list, [&](const Candidate& c) { return c.p < s.min_p; });
}

}  // namespace

float log_prob(float logit, float inv_temperature, const SoftmaxStats& s) {
  return (logit - s.max) * inv_temperature - std::log(s.sum);
}

Draw sample_row(std::span<const float> logits, const Sampling& s, double uniform) {
  if (!finite(logits)) return {-1, std::numeric_limits<float>::quiet_NaN()};
  const double temperature = s.temperature == 0 ? 1 : s.temperature;
  const float inverse = static_cast<float>(1 / temperature);
  thread_local std::vector<double> blocks;
  blocks.resize((logits.size() + kLogitBlock - 1) / kLogitBlock);
  const SoftmaxStats stats = kernels<float>().softmax_stats(static_cast<int64_t>(logits.size()),
                                                            logits.data(), inverse, blocks.data());
  const double all = std::accumulate(blocks.begin(), blocks.end(), 0.0);
  const bool top_k = s.top_k > 0 && s.top_k < static_cast<int64_t>(logits.size());
  int32_t id;
  if (s.temperature == 0) {
    id = static_cast<int32_t>(std::find(logits.begin(), logits.end(), stats.max) - logits.begin());
  } else if (!top_k && s.top_p >= 1 && s.min_p <= 0) {
    id = among_all(logits, inverse, stats, blocks, uniform * all);
  } else {
    const bool top_p = !top_k && s.top_p < 1;  // of everything
    std::vector<Candidate> list =
        likeliest(logits, stats.max, temperature, top_k ? static_cast<size_t>(s.top_k) : 1,
                  top_p ? all * s.top_p * (1 + 1e-6) : 0, top_k || top_p ? 0 : s.min_p);
    cut(list, s, all, top_k);
    const double target = uniform * total(list);
    double below = 0;
    id = list.back().id;
    for (const Candidate& c : list)
      if (target < (below += c.p)) {
        id = c.id;
        break;
      }
  }
  return {id, log_prob(logits[static_cast<size_t>(id)], inverse, stats)};
}

}  // namespace tarl

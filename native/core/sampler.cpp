#include "sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace tarl {

namespace {

uint64_t mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

void normalise(std::vector<double>& p) {
  const double sum = std::accumulate(p.begin(), p.end(), 0.0);
  for (double& x : p) x /= sum;
}

void keep_top_k(std::vector<double>& p, int64_t k) {
  if (k <= 0 || k >= static_cast<int64_t>(p.size())) return;
  std::vector<double> sorted = p;
  std::nth_element(sorted.begin(), sorted.begin() + (k - 1), sorted.end(), std::greater<>());
  const double least = sorted[static_cast<size_t>(k - 1)];
  for (double& x : p) x = x < least ? 0 : x;
  normalise(p);
}

void keep_top_p(std::vector<double>& p, double limit) {
  if (limit >= 1) return;
  std::vector<size_t> order(p.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return p[a] > p[b]; });
  double before = 0;
  for (size_t i = 0; i < order.size(); i++) {
    const double x = p[order[i]];
    if (i > 0 && before >= limit) p[order[i]] = 0;
    before += x;
  }
  normalise(p);
}

void keep_min_p(std::vector<double>& p, double share) {
  if (share <= 0) return;
  const double least = share * *std::max_element(p.begin(), p.end());
  for (double& x : p) x = x < least ? 0 : x;
  normalise(p);
}

}  // namespace

double uniform(uint64_t seed, uint64_t counter) {
  return static_cast<double>(mix(mix(seed) ^ counter) >> 11) * 0x1.0p-53;
}

std::vector<double> distribution(std::span<const float> logits, const Sampling& s) {
  const float max = *std::max_element(logits.begin(), logits.end());
  std::vector<double> p(logits.size());
  if (s.temperature == 0) {
    p[static_cast<size_t>(std::max_element(logits.begin(), logits.end()) - logits.begin())] = 1;
    return p;
  }
  for (size_t i = 0; i < p.size(); i++)
    p[i] = std::exp((static_cast<double>(logits[i]) - max) / s.temperature);
  normalise(p);
  keep_top_k(p, s.top_k);
  keep_top_p(p, s.top_p);
  keep_min_p(p, s.min_p);
  return p;
}

int32_t pick(std::span<const float> logits, const Sampling& s, double u) {
  for (const float z : logits)
    if (!std::isfinite(z)) return -1;
  if (s.temperature == 0)
    return static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
  const std::vector<double> p = distribution(logits, s);
  int32_t id = 0;
  double below = 0;
  for (size_t i = 0; i < p.size(); i++) {
    if (p[i] == 0) continue;
    id = static_cast<int32_t>(i);  // the last possible one where rounding leaves u above the sum
    below += p[i];
    if (u < below) break;
  }
  return id;
}

Draw draw(std::span<const float> logits, const Sampling& s, double u) {
  const int32_t id = pick(logits, s, u);
  if (id < 0) return {-1, std::numeric_limits<float>::quiet_NaN()};
  const double temperature = s.temperature == 0 ? 1 : s.temperature;
  const double max = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float z : logits) sum += std::exp((z - max) / temperature);
  return {id, static_cast<float>((logits[static_cast<size_t>(id)] - max) / temperature - std::log(sum))};
}

}  // namespace tarl

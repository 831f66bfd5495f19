// The slow sampler on a case worked by hand, and the fast one against it: the same id for the same number,
// unless that lies on a border.

#include "cpu/sampling.h"

#include <algorithm>
#include <numeric>

#include "test.h"

using namespace tarl;

namespace {

/// Logits about as a model's: many small ones, a few that stand out.
std::vector<float> logits(size_t n, uint32_t seed, float spread) {
  std::vector<float> list = numbers(n, seed);
  for (size_t i = 0; i < n; i++) list[i] = list[i] * spread + (i % 97 == seed % 97 ? 2 * spread : 0);
  return list;
}

/// How far u is from the nearest border between two ids that can be drawn.
double to_border(const std::vector<double>& p, double u) {
  double below = 0, nearest = 1;
  for (const double x : p) {
    nearest = std::min(nearest, std::abs(below - u));
    below += x;
  }
  return nearest;
}

}  // namespace

TEST(slow_sampler) {
  const std::vector<float> logits{0.f, 1.f, 2.f, 2.f, -50.f};
  Sampling s;
  s.top_k = 1;  // ties are kept
  const std::vector<double> p = distribution(logits, s);
  EXPECT(p[2] == 0.5 && p[3] == 0.5 && p[1] == 0);
  EXPECT(draw(logits, s, 0.0).id == 2 && draw(logits, s, 0.9999999).id == 3);
  s.temperature = 0;
  EXPECT(draw(logits, s, 0.7).id == 2);
  for (const float wrong : {NAN, INFINITY})
    for (s.temperature = 0; s.temperature < 2; s.temperature++) {
      const Draw drawn = draw(std::vector<float>{0.f, wrong, 1.f}, s, 0.5);
      EXPECT(drawn.id == -1 && std::isnan(drawn.logp));
    }
  double mean = 0;
  for (uint64_t i = 0; i < 10000; i++) mean += uniform(42, i) / 10000;
  EXPECT_NEAR(mean, 0.5, 0.01);
}

TEST(fast_sampler_draws_what_the_slow_one_draws) {
  uint32_t seed = 1;
  int64_t drawn = 0;
  for (const size_t vocabulary : {1, 3, 1000, 1024, 5000})
    for (const float spread : {0.f, 0.5f, 4.f, 12.f})
      for (const double temperature : {0.0, 0.3, 1.0, 1.7})
        for (const int64_t top_k : {0, 1, 20})
          for (const double top_p : {1.0, 0.9, 0.2})
            for (const double min_p : {0.0, 0.05}) {
              Sampling s;
              s.temperature = temperature;
              s.top_k = top_k;
              s.top_p = top_p;
              s.min_p = min_p;
              const auto z = logits(vocabulary, ++seed, spread);
              const auto p = distribution(z, s);
              if (spread == 0 && top_p < 1) continue;  // whether one more of many equals is kept is rounding
              for (uint64_t i = 0; i < 5; i++) {
                const double u = i == 4 ? 1 - 1e-12 : uniform(seed, i);
                const Draw slow = draw(z, s, u), fast = sample_row(z, s, u);
                if (to_border(p, u) > 1e-6) {
                  EXPECT(fast.id == slow.id);
                  EXPECT_NEAR(fast.logp, slow.logp, 1e-5);
                  drawn++;
                }
              }
            }
  EXPECT(drawn > 5000);
}

TEST(fast_sampler_refuses_what_is_not_finite) {
  Sampling s;
  for (const float wrong : {NAN, INFINITY, -INFINITY})
    for (s.temperature = 0; s.temperature < 2; s.temperature++) {
      const Draw drawn = sample_row(std::vector<float>{0.f, wrong, 1.f}, s, 0.5);
      EXPECT(drawn.id == -1 && std::isnan(drawn.logp));
    }
}

TEST(fast_sampler_passes_over_what_cannot_be_drawn) {
  // The last block holds nothing but ids whose exponentials vanish.
  std::vector<float> z(3 * kLogitBlock, -1000.f);
  z[5] = 1.f, z[kLogitBlock + 7] = 2.f;
  EXPECT(sample_row(z, {}, 0.0).id == 5);
  EXPECT(sample_row(z, {}, 0.9).id == kLogitBlock + 7);
  EXPECT(sample_row(z, {}, std::nextafter(1.0, 0.0)).id == kLogitBlock + 7);
}

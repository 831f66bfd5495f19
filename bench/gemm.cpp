// How near the CPU kernels' matrix product comes to what the processor can do in fp32.
// bench/engine.ts builds it against the core library of the set-up.  Run: gemm THREADS M N K [M N K ...]
// Prints GFLOP/s, one number a line: the peak (fused multiply-adds in registers), then each product.

#include "cpu/gemm.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace {

using namespace tarl;

constexpr int kRepeats = 7;
constexpr double kSeconds = 0.05;  // of one repeat

#ifdef __AVX512F__
constexpr int kWidth = 16;
#else
constexpr int kWidth = 8;
#endif
constexpr int kChains = 12;  // independent sums: more than latency times ports, fewer than registers
typedef float Vec __attribute__((vector_size(kWidth * 4)));

/// Sums that converge, each from another start: equal ones would be computed once.
float multiply_add(int64_t steps, float scale) {
  Vec sums[kChains];
  for (int c = 0; c < kChains; c++) sums[c] = static_cast<float>(c) - Vec{};
  for (int64_t i = 0; i < steps; i++)
    for (Vec& sum : sums) sum = sum * scale + 1.f;
  float total = 0;
  for (const Vec& sum : sums) total += sum[0];
  return total;
}

/// Calls a second under the best of some repeats; each repeat calls until it has lasted long enough.
template <class F>
double rate(const F& call) {
  using clock = std::chrono::steady_clock;
  double best = 0;
  for (int repeat = 0; repeat < kRepeats; repeat++) {
    const auto start = clock::now();
    double seconds = 0;
    int64_t calls = 0;
    do {
      call();
      calls++;
      seconds = std::chrono::duration<double>(clock::now() - start).count();
    } while (seconds < kSeconds);
    best = std::max(best, static_cast<double>(calls) / seconds);
  }
  return best;
}

double peak(Pool& pool) {
  constexpr int64_t kSteps = 1 << 18;
  std::vector<float> sink(pool.threads());
  const double calls =
      rate([&] { pool.run(pool.threads(), [&](int64_t i) { sink[i] = multiply_add(kSteps, 0.4f); }); });
  return calls * pool.threads() * kSteps * kChains * kWidth * 2 / 1e9;
}

double product(Pool& pool, int64_t m, int64_t n, int64_t k) {
  std::vector<float> a(m * k, 0.5f), b(k * n, 0.5f), c(m * n);
  Packed packed;
  packed.pack(pool, k, n, b.data(), n, 1, 0, n);
  const double calls = rate([&] { gemm(pool, m, {a.data(), k, 1}, packed, c.data(), n, false); });
  return calls * m * n * k * 2 / 1e9;
}

}  // namespace

int main(int count, char** arguments) {
  const auto number = [&](int i) { return std::atoll(arguments[i]); };
  Pool pool(static_cast<int>(number(1)));
  std::printf("%.1f\n", peak(pool));
  for (int i = 2; i + 2 < count; i += 3)
    std::printf("%.1f\n", product(pool, number(i), number(i + 1), number(i + 2)));
}

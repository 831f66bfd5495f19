// How fast the CPU kernels' own fp32 matrix product is, for bench/machine.ts, which builds it against the
// core library of the set-up.  Run: gemm THREADS M N K [M N K ...].  Prints GFLOP/s, one number a line. Not
// the processor's peak: bench/roof.cpp.

#include "cpu/gemm.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace {

using namespace tarl;

constexpr int kRepeats = 5;

double product(Pool& pool, int64_t m, int64_t n, int64_t k) {
  using clock = std::chrono::steady_clock;
  std::vector<float> a(m * k, 0.5f), b(k * n, 0.5f), c(m * n);
  Packed packed;
  packed.pack(pool, k, n, b.data(), n, 1, 0, n);
  double best = 1e30;
  for (int repeat = 0; repeat < kRepeats; repeat++) {
    const auto start = clock::now();
    gemm(pool, m, {a.data(), k, 1}, packed, c.data(), n, false);
    best = std::min(best, std::chrono::duration<double>(clock::now() - start).count());
  }
  return static_cast<double>(m * n * k) * 2 / best / 1e9;
}

}  // namespace

int main(int count, char** arguments) {
  const auto number = [&](int i) { return std::atoll(arguments[i]); };
  Pool pool(static_cast<int>(number(1)));
  for (int i = 2; i + 2 < count; i += 3)
    std::printf("%.1f\n", product(pool, number(i), number(i + 1), number(i + 2)));
}

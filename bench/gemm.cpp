// How fast the CPU kernels' own matrix product is in fp32 and bf16, for bench/machine.ts, which builds it
// against the core library of the set-up.  Run: gemm THREADS M N K [M N K ...].  Prints GFLOP/s in fp32, then
// in bf16, one number a line. Not the processor's peak: bench/roof.cpp.

#include "cpu/gemm.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace {

using namespace tarl;

constexpr int kRepeats = 5;

template <class E>
double product(Pool& pool, int64_t m, int64_t n, int64_t k) {
  using clock = std::chrono::steady_clock;
  std::vector<E> a(m * k), b(k * n);  // zeros take as long as other numbers
  std::vector<float> c(m * n);
  Packed<E> packed;
  packed.pack(pool, k, n, b.data(), n, 1);
  double best = 1e30;
  for (int repeat = 0; repeat < kRepeats; repeat++) {
    const auto start = clock::now();
    gemm<E>(pool, m, {a.data(), k, 1}, packed, {.wide = c.data(), .narrow = nullptr, .stride = n});
    best = std::min(best, std::chrono::duration<double>(clock::now() - start).count());
  }
  return static_cast<double>(m * n * k) * 2 / best / 1e9;
}

}  // namespace

int main(int count, char** arguments) {
  const auto number = [&](int i) { return std::atoll(arguments[i]); };
  Pool pool(static_cast<int>(number(1)));
  for (int i = 2; i + 2 < count; i += 3)
    std::printf("%.1f\n%.1f\n", product<float>(pool, number(i), number(i + 1), number(i + 2)),
                product<bf16>(pool, number(i), number(i + 1), number(i + 2)));
}

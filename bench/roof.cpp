// What the processor can do at the most, for bench/machine.ts, which builds it for the machine at hand and
// runs it. Run: roof THREADS.  Prints three numbers, a line each: GB/s of streaming reads from memory,
// GFLOP/s of fp32 multiply-adds in registers, GFLOP/s of bf16 dot products in registers (0 where the
// processor has none). Not a matrix product: bench/gemm.cpp.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <thread>
#include <vector>
#ifdef __AVX512BF16__
#include <immintrin.h>
#endif

namespace {

// Many short repeats, of which the best counts: about 10 ms each, shorter than a slice of time that others
// get.
constexpr int kRepeats = 40;
constexpr int64_t kStreamBytes = int64_t{1} << 27;  // of each thread: beyond any cache
constexpr int64_t kSteps = 1 << 21;                 // of the register loops

#ifdef __AVX512F__
constexpr int kWidth = 16;
#else
constexpr int kWidth = 8;
#endif
constexpr int kChains = 12;  // independent sums: more than latency times ports, fewer than registers
typedef float Vec __attribute__((vector_size(kWidth * 4)));

/// Seconds of the slowest thread, the best of some repeats; all begin together.
double best_time(int threads, const std::function<void(int)>& work) {
  using clock = std::chrono::steady_clock;
  double best = 1e30;
  for (int repeat = 0; repeat < kRepeats; repeat++) {
    std::atomic<int> ready{0};
    std::vector<double> seconds(threads);
    std::vector<std::thread> crew;
    for (int t = 0; t < threads; t++)
      crew.emplace_back([&, t] {
        ready++;
        while (ready < threads) {
        }
        const auto start = clock::now();
        work(t);
        seconds[t] = std::chrono::duration<double>(clock::now() - start).count();
      });
    for (std::thread& thread : crew) thread.join();
    best = std::min(best, *std::max_element(seconds.begin(), seconds.end()));
  }
  return best;
}

volatile float sink;

float read_stream(const Vec* data, int64_t count) {
  Vec sums[8] = {};
  for (int64_t i = 0; i < count; i += 8)
    for (int j = 0; j < 8; j++) sums[j] += data[i + j];
  float total = 0;
  for (const Vec& sum : sums) total += sum[0];
  return total;
}

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

#ifdef __AVX512BF16__
/// Each step multiplies 32 pairs of bf16 numbers and adds them into 16 sums, for every chain.
float dot(int64_t steps) {
  __m512 sums[kChains];
  for (int c = 0; c < kChains; c++) sums[c] = _mm512_set1_ps(static_cast<float>(c));
  __m512bh left = (__m512bh)_mm512_set1_epi16(0x3f80), right = (__m512bh)_mm512_set1_epi16(0x3c00);
  for (int64_t i = 0; i < steps; i++) {
    asm volatile("" : "+v"(left), "+v"(right));  // keeps the products inside the loop
    for (__m512& sum : sums) sum = _mm512_dpbf16_ps(sum, left, right);
  }
  float total = 0;
  for (const __m512& sum : sums) total += sum[0];
  return total;
}
#endif

}  // namespace

int main(int, char** arguments) {
  const int threads = std::atoi(arguments[1]);
  const int64_t count = kStreamBytes / static_cast<int64_t>(sizeof(Vec));
  std::vector<std::unique_ptr<Vec[]>> data(threads);
  for (auto& own : data) {
    own = std::make_unique<Vec[]>(count);
    std::fill_n(own.get(), count, Vec{} + 1.f);
  }
  const double stream = best_time(threads, [&](int t) { sink = read_stream(data[t].get(), count); });
  std::printf("%.2f\n", static_cast<double>(threads) * kStreamBytes / stream / 1e9);
  data.clear();

  const double products = static_cast<double>(threads) * kSteps * kChains * kWidth * 2 / 1e9;
  std::printf("%.1f\n", products / best_time(threads, [](int) { sink = multiply_add(kSteps, 0.4f); }));
#ifdef __AVX512BF16__
  std::printf("%.1f\n", 2 * products / best_time(threads, [](int) { sink = dot(kSteps); }));
#else
  std::printf("0\n");
#endif
}

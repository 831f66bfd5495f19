// Enough of CUDA for g++ to compile the .cu files and run them on the CPU: the threads of a block are fibers
// that change places at barriers and shuffles, blocks come one after the other. Finds wrong indices, missing
// barriers (by running the threads in either order) and barriers that some thread does not reach; says
// nothing of speed, nor of races between blocks. Included by cuda/device.h in place of the CUDA headers.

#pragma once
#include <ucontext.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <initializer_list>
#include <memory>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

#define __global__
#define __device__
#define __host__
#define __shared__ static
#define __forceinline__ inline
#define __launch_bounds__(...)

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};
using cudaStream_t = void*;

inline dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace emulation {

/// Threads run from the last to the first: a kernel that lacks a barrier gives something else.
inline bool backwards = false;

struct Barrier {
  unsigned arrived = 0, generation = 0;
};

struct Fiber {
  ucontext_t context;
  std::vector<char> stack;
  bool done = false;
};

/// Memory as a GPU aligns it, of exactly so many bytes, so that AddressSanitizer sees its end.
class Shared {
 public:
  void allocate(size_t size) {
    void* memory = nullptr;
    if (posix_memalign(&memory, 128, std::max<size_t>(size, 1)) != 0) std::abort();
    bytes_.reset(static_cast<unsigned char*>(memory));
    size_ = size;
  }
  void fill(int byte) { std::memset(bytes_.get(), byte, size_); }
  unsigned char* data() const { return bytes_.get(); }

 private:
  struct Free {
    void operator()(unsigned char* p) const { std::free(p); }
  };
  std::unique_ptr<unsigned char, Free> bytes_;
  size_t size_ = 0;
};

struct Block {
  std::vector<std::unique_ptr<Fiber>> fibers;  // kept from launch to launch
  ucontext_t scheduler;
  unsigned threads = 0, current = 0;
  std::function<void()> body;
  Barrier all;
  std::vector<Barrier> warps;
  std::vector<uint64_t> slots;
  Shared shared;
  uint64_t progress = 0;  // arrivals and ends
};
inline Block block;

[[noreturn]] inline void fail(const char* what) {
  std::fprintf(stderr, "cuda_emulation: %s\n", what);
  std::abort();
}

constexpr size_t kStack = 128 << 10;

inline void enter(Fiber& fiber) {
#if defined(__SANITIZE_ADDRESS__)
  void* fake = nullptr;
  __sanitizer_start_switch_fiber(&fake, fiber.stack.data(), fiber.stack.size());
  swapcontext(&block.scheduler, &fiber.context);
  __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#else
  swapcontext(&block.scheduler, &fiber.context);
#endif
}

#if defined(__SANITIZE_ADDRESS__)
inline const void* scheduler_stack = nullptr;
inline size_t scheduler_size = 0;
#endif

/// Back to the scheduler; `last`: for good.
inline void leave(bool last) {
  Fiber& fiber = *block.fibers[block.current];
#if defined(__SANITIZE_ADDRESS__)
  void* fake = nullptr;
  __sanitizer_start_switch_fiber(last ? nullptr : &fake, scheduler_stack, scheduler_size);
  swapcontext(&fiber.context, &block.scheduler);
  __sanitizer_finish_switch_fiber(fake, &scheduler_stack, &scheduler_size);
#else
  (void)last;
  swapcontext(&fiber.context, &block.scheduler);
#endif
}

inline void start() {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, &scheduler_stack, &scheduler_size);
#endif
  block.body();
  block.fibers[block.current]->done = true;
  block.progress++;
  leave(true);
}

inline void wait(Barrier& barrier, unsigned count) {
  const unsigned generation = barrier.generation;
  block.progress++;
  if (++barrier.arrived == count) {
    barrier.arrived = 0;
    barrier.generation++;
    return;
  }
  while (barrier.generation == generation) leave(false);
}

inline void run_block() {
  block.all = {};
  block.warps.assign((block.threads + 31) / 32, {});
  block.slots.assign(2 * block.threads, 0);
  block.shared.fill(0xff);  // NaN, so that nobody counts on zeros
  while (block.fibers.size() < block.threads) {
    block.fibers.push_back(std::make_unique<Fiber>());
    block.fibers.back()->stack.resize(kStack);
  }
  for (unsigned i = 0; i < block.threads; i++) {
    Fiber& fiber = *block.fibers[i];
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.data();
    fiber.context.uc_stack.ss_size = fiber.stack.size();
    fiber.context.uc_link = nullptr;
    makecontext(&fiber.context, start, 0);
    fiber.done = false;
  }
  for (unsigned left = block.threads; left > 0;) {
    const uint64_t before = block.progress;
    for (unsigned i = 0; i < block.threads; i++) {
      block.current = backwards ? block.threads - 1 - i : i;
      Fiber& fiber = *block.fibers[block.current];
      if (fiber.done) continue;
      threadIdx = dim3(block.current, 0, 0);
      enter(fiber);
      if (fiber.done) left--;
    }
    if (block.progress == before) fail("some threads wait at a barrier that others do not reach");
  }
}

inline void run(dim3 grid, unsigned threads, size_t shared, std::function<void()> body) {
  if (threads == 0 || threads > 1024 || threads % 32 != 0)
    fail("blocks are 32 to 1024 threads, in whole warps");
  block.threads = threads;
  block.body = std::move(body);
  block.shared.allocate(shared);
  gridDim = grid;
  blockDim = dim3(threads);
  for (unsigned y = 0; y < grid.y; y++)
    for (unsigned x = 0; x < grid.x; x++) {
      blockIdx = dim3(x, y, 0);
      run_block();
    }
}

inline unsigned char* dynamic_shared() { return block.shared.data(); }

/// Leaves a value in this lane's slot and waits for the other lanes. The slots alternate: they are written
/// again only after one more barrier, when all lanes have read them.
template <class V>
uint64_t* hand_in(V value) {
  const unsigned me = block.current;
  Barrier& warp = block.warps[me / 32];
  uint64_t* const slots = block.slots.data() + warp.generation % 2 * block.threads;
  std::memcpy(&slots[me], &value, sizeof(V));
  wait(warp, 32);
  return slots;
}

/// What lane `from(own lane)` of the warp hands in.
template <class V, class F>
V exchange(V value, F from) {
  static_assert(sizeof(V) <= sizeof(uint64_t));
  const unsigned me = block.current, warp = me / 32, lane = me % 32;
  uint64_t* const slots = hand_in(value);
  std::memcpy(&value, &slots[warp * 32 + from(lane)], sizeof(V));
  return value;
}

inline void whole(unsigned mask) {
  if (mask != 0xffffffffu) fail("warp operations are for whole warps");
}

}  // namespace emulation

inline void __syncthreads() { emulation::wait(emulation::block.all, emulation::block.threads); }
inline void __syncwarp(unsigned mask = 0xffffffffu) {
  emulation::whole(mask);
  emulation::wait(emulation::block.warps[emulation::block.current / 32], 32);
}
template <class V>
V __shfl_xor_sync(unsigned mask, V value, int step) {
  emulation::whole(mask);
  return emulation::exchange(value, [=](unsigned lane) { return lane ^ static_cast<unsigned>(step); });
}
template <class V>
V __shfl_up_sync(unsigned mask, V value, unsigned step) {
  emulation::whole(mask);
  return emulation::exchange(value, [=](unsigned lane) { return lane >= step ? lane - step : lane; });
}
template <class V>
V __shfl_sync(unsigned mask, V value, int lane) {
  emulation::whole(mask);
  return emulation::exchange(value, [=](unsigned) { return static_cast<unsigned>(lane); });
}
inline unsigned __ballot_sync(unsigned mask, bool yes) {
  emulation::whole(mask);
  unsigned result = 0;
  const uint64_t* const slots = emulation::hand_in(uint64_t{yes}) + emulation::block.current / 32 * 32;
  for (unsigned i = 0; i < 32; i++) result |= static_cast<unsigned>(slots[i]) << i;
  return result;
}
template <class V>
V atomicAdd(V* to, V value) {
  const V before = *to;
  *to = before + value;
  return before;
}
inline int __popc(unsigned x) { return std::popcount(x); }
inline int __ffs(unsigned x) { return x == 0 ? 0 : std::countr_zero(x) + 1; }
inline unsigned __float_as_uint(float x) { return std::bit_cast<unsigned>(x); }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }

/// Rounded to nearest, ties to even.
struct __nv_bfloat16 {
  uint16_t bits;
};
inline float __bfloat162float(__nv_bfloat16 x) {
  return std::bit_cast<float>(static_cast<uint32_t>(x.bits) << 16);
}
inline __nv_bfloat16 __float2bfloat16(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  if (x != x) return {0x7fff};
  return {static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16)};
}

/// Products of 16 x 16 tiles by a warp. Every lane holds the whole tile.
namespace nvcuda::wmma {
struct row_major {};
struct col_major {};
struct matrix_a {};
struct matrix_b {};
struct accumulator {};
enum layout_t { mem_row_major };

template <class Use, int M, int N, int K, class T, class Layout = void>
struct fragment {
  static_assert(M == 16 && N == 16 && K == 16);
  float tile[16][16];
};
inline void aligned(const void* p, unsigned step) {
  if (reinterpret_cast<uintptr_t>(p) % 32 != 0 || step % 16 != 0)
    emulation::fail("wmma: tile is not aligned");
}
template <class Use, class Layout>
void load_matrix_sync(fragment<Use, 16, 16, 16, __nv_bfloat16, Layout>& f, const __nv_bfloat16* from,
                      unsigned step) {
  aligned(from, step * 2);
  constexpr bool turned = std::is_same_v<Layout, col_major>;
  for (unsigned i = 0; i < 16; i++)
    for (unsigned j = 0; j < 16; j++)
      f.tile[i][j] = __bfloat162float(turned ? from[j * step + i] : from[i * step + j]);
  __syncwarp();
}
inline void load_matrix_sync(fragment<accumulator, 16, 16, 16, float>& f, const float* from, unsigned step,
                             layout_t) {
  aligned(from, step * 4);
  for (unsigned i = 0; i < 16; i++)
    for (unsigned j = 0; j < 16; j++) f.tile[i][j] = from[i * step + j];
  __syncwarp();
}
inline void fill_fragment(fragment<accumulator, 16, 16, 16, float>& f, float x) {
  for (auto& row : f.tile) std::fill(row, row + 16, x);
}
template <class A, class B>
void mma_sync(fragment<accumulator, 16, 16, 16, float>& d, const A& a, const B& b,
              const fragment<accumulator, 16, 16, 16, float>& c) {
  for (unsigned i = 0; i < 16; i++)
    for (unsigned j = 0; j < 16; j++) {
      float sum = c.tile[i][j];
      for (unsigned k = 0; k < 16; k++) sum += a.tile[i][k] * b.tile[k][j];
      d.tile[i][j] = sum;
    }
}
inline void store_matrix_sync(float* to, const fragment<accumulator, 16, 16, 16, float>& f, unsigned step,
                              layout_t) {
  aligned(to, step * 4);
  __syncwarp();
  if (threadIdx.x % 32 == 0)
    for (unsigned i = 0; i < 16; i++)
      for (unsigned j = 0; j < 16; j++) to[i * step + j] = f.tile[i][j];
  __syncwarp();
}
}  // namespace nvcuda::wmma

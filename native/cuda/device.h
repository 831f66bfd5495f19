// What the kernels are written against: CUDA under nvcc, native/test/cuda_emulation.h under g++, which runs
// the same source on the CPU (native/test/cuda_test.cpp). Knows nothing of tensors.

#pragma once
#include <cstdint>
#include <stdexcept>
#include <string>

#if defined(TARL_EMULATE_CUDA)
#include "test/cuda_emulation.h"
#else
#include <cuda_bf16.h>
#include <cuda_runtime.h>
#endif

namespace tarl::cuda {

using bf16 = __nv_bfloat16;
using Stream = cudaStream_t;

constexpr int kWarp = 32;
constexpr unsigned kAllLanes = 0xffffffffu;
constexpr int kWidestBlock = 1024;
/// Shared memory that a block gets without asking, on every GPU.
constexpr size_t kPlainShared = 48 << 10;

__host__ __device__ inline constexpr int64_t ceil_div(int64_t n, int64_t by) { return (n + by - 1) / by; }
__host__ __device__ inline constexpr int64_t round_to(int64_t n, int64_t to) { return ceil_div(n, to) * to; }

/// Threads for a row of `packs`: whole warps, each thread as few packs as can be.
inline int row_threads(int64_t packs) {
  return static_cast<int>(packs >= kWidestBlock ? kWidestBlock : round_to(packs, kWarp));
}

/// N neighbours, read and written at once; at most 16 bytes.
template <class T, int N>
struct alignas(sizeof(T) * N) Pack {
  T at[N];
};
/// Elements of T in 16 bytes.
template <class T>
constexpr int kPack = 16 / static_cast<int>(sizeof(T));

/// May rows of `width` elements from here be read in packs?
template <class T>
bool packable(int64_t width, std::initializer_list<const void*> rows) {
  if (width % kPack<T> != 0) return false;
  for (const void* row : rows)
    if (reinterpret_cast<uintptr_t>(row) % 16 != 0) return false;
  return true;
}

#if defined(__CUDACC__) || defined(TARL_EMULATE_CUDA)

__device__ inline float wide(float x) { return x; }
__device__ inline float wide(bf16 x) { return __bfloat162float(x); }
template <class T>
__device__ T narrow(float x);
template <>
__device__ inline float narrow<float>(float x) {
  return x;
}
template <>
__device__ inline bf16 narrow<bf16>(float x) {
  return __float2bfloat16(x);
}

template <int N, class T>
__device__ Pack<T, N> load(const T* from) {
  return *reinterpret_cast<const Pack<T, N>*>(from);
}
template <int N, class T>
__device__ void store(T* to, const Pack<T, N>& pack) {
  *reinterpret_cast<Pack<T, N>*>(to) = pack;
}

struct Sum {
  __device__ float operator()(float a, float b) const { return a + b; }
};

/// Over the lanes of a warp, in an order that does not change; every lane has the result.
template <class V, class F>
__device__ V over_warp(V x, F f) {
  for (int step = kWarp / 2; step > 0; step /= 2) x = f(x, __shfl_xor_sync(kAllLanes, x, step));
  return x;
}

/// Over a block of whole warps; every thread has the result. To be reached by all threads.
__device__ inline float block_sum(float x) {
  __shared__ float sums[kWidestBlock / kWarp];
  const int warp = static_cast<int>(threadIdx.x) / kWarp, lane = static_cast<int>(threadIdx.x) % kWarp;
  x = over_warp(x, Sum());
  __syncthreads();  // the sums of the call before have been read
  if (lane == 0) sums[warp] = x;
  __syncthreads();
  return over_warp(lane < static_cast<int>(blockDim.x) / kWarp ? sums[lane] : 0.f, Sum());
}

#endif

#if defined(__CUDACC__)

/// Memory of the block that the launch gives.
#define DYNAMIC_SHARED(name) extern __shared__ __align__(128) unsigned char name[]

template <class... P, class... A>
void launch(void (*kernel)(P...), dim3 grid, int threads, size_t shared, Stream stream, A... args) {
  const auto check = [](cudaError_t error) {
    if (error != cudaSuccess)
      throw std::runtime_error(std::string("CUDA kernel: ") + cudaGetErrorString(error));
  };
  if (grid.x == 0 || grid.y == 0) return;
  if (shared > kPlainShared)
    check(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                               cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared)));
  kernel<<<grid, static_cast<unsigned>(threads), shared, stream>>>(static_cast<P>(args)...);
  check(cudaGetLastError());
}

#elif defined(TARL_EMULATE_CUDA)

#define DYNAMIC_SHARED(name) unsigned char* const name = emulation::dynamic_shared()

template <class... P, class... A>
void launch(void (*kernel)(P...), dim3 grid, int threads, size_t shared, Stream, A... args) {
  emulation::run(grid, static_cast<unsigned>(threads), shared, [&] { kernel(static_cast<P>(args)...); });
}

#endif

}  // namespace tarl::cuda

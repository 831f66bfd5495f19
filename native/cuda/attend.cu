// Attention over keys and values that lie in slots: pages of conversations, or the packed rows of a batch.
//
// A block takes a tile: queries of the same keys (a conversation's new tokens; conversations of a group that
// share their first pages, so that these are read once), all heads of one key-value head, 16 or 64 rows in
// all. It walks over the keys 64 at a time: keys and values into shared memory, scores, softmax with a
// running maximum, products with the values; bf16 products on tensor cores, fp32 in plain arithmetic. What a
// chunk of 256 keys gives is merged with the chunks before it by `Merge`, in the order of the positions. A
// decode round has few queries with many keys: there each chunk is a tile of its own and attend_merge does
// the merging, with the same operations. So the bits of a query depend on its own keys alone: not on its
// company, on whether its chunks were computed together, on prefill or decode or training.
//
// Blocks: a fixed number, each taking every n-th (tile, key-value head); 128 threads for 16 rows (60 kB of
// shared memory at 128 channels: three or four blocks per processor hide each other's loads), 512 for 64
// rows.

#include <cmath>
#include <type_traits>

#include "kernels.h"

#if !defined(TARL_EMULATE_CUDA)
#include <mma.h>
#endif

namespace tarl::cuda {

namespace {

namespace wmma = nvcuda::wmma;

constexpr int kTensor = 16;  // side of a tensor core's tile
constexpr int kLanes = 8;    // threads of a row of the softmax, whatever the rows: their sums are the same

template <class T>
constexpr bool kIsBf16 = std::is_same_v<T, bf16>;

/// What a block keeps in shared memory, in floats and T's; `width` channels with padding of zeros.
template <class T, int ROWS>
struct Layout {
  int channels, width, keys, kv_step, score_step, weight_step, out_step;
  size_t q, k, v, scores, weights, chunk, total, limits, bytes;

  __host__ __device__ Layout(int c, bool whole) : channels(c), width(static_cast<int>(round_to(c, kTensor))) {
    keys = width * static_cast<int>(sizeof(T)) > 512 ? 32 : 64;
    // A few numbers more than needed, so that the rows begin in different banks.
    kv_step = width + 16 / static_cast<int>(sizeof(T));
    score_step = keys + 4;
    weight_step = keys + 16 / static_cast<int>(sizeof(T));
    out_step = width + 4;
    size_t at = 0;
    q = take(at, sizeof(T) * ROWS * kv_step);
    k = take(at, sizeof(T) * keys * kv_step);
    v = take(at, sizeof(T) * keys * kv_step);
    scores = take(at, sizeof(float) * ROWS * score_step);
    weights = take(at, sizeof(T) * ROWS * weight_step);
    chunk = take(at, sizeof(float) * ROWS * out_step);
    total = take(at, whole ? sizeof(float) * ROWS * out_step : 0);
    limits = take(at, sizeof(int32_t) * ROWS);
    bytes = at;
  }
  __host__ __device__ static size_t take(size_t& at, size_t size) {
    const size_t here = at;
    at += (size + 127) / 128 * 128;
    return here;
  }
};

/// Softmax over chunks in their order: maximum and sum so far, and the factors for what has been added up and
/// for what comes. Every operation is rounded by itself, wherever it is compiled into.
struct Merge {
  float max = -INFINITY, sum = 0, before = 1, now = 0;
  __device__ void add(float chunk_max, float chunk_sum) {
    before = 1, now = 0;
    if (chunk_sum == 0) return;  // no key was seen; a nan goes on
    const float top = fmaxf(max, chunk_max);
    before = expf(__fsub_rn(max, top));
    now = expf(__fsub_rn(chunk_max, top));
    sum = __fmaf_rn(sum, before, __fmul_rn(chunk_sum, now));
    max = top;
  }
  __device__ float value(float so_far, float chunk) const {
    return __fmaf_rn(so_far, before, __fmul_rn(chunk, now));
  }
  __device__ float result(float value) const { return sum == 0 ? 0.f : value / sum; }
  __device__ float lse() const { return max + logf(sum); }
};

/// scores [rows, keys] = q [rows, width] k [keys, width]^T
template <class T, int ROWS>
__device__ void score(const Layout<T, ROWS>& at, int rows, const T* q, const T* k, float* scores) {
  if constexpr (kIsBf16<T>) {
    const int down = static_cast<int>(ceil_div(rows, kTensor)), across = at.keys / kTensor;
    for (int tile = static_cast<int>(threadIdx.x) / kWarp; tile < down * across;
         tile += static_cast<int>(blockDim.x) / kWarp) {
      const int row = tile / across * kTensor, key = tile % across * kTensor;
      wmma::fragment<wmma::accumulator, 16, 16, 16, float> sum;
      wmma::fill_fragment(sum, 0.f);
      for (int c = 0; c < at.width; c += kTensor) {
        wmma::fragment<wmma::matrix_a, 16, 16, 16, bf16, wmma::row_major> left;
        wmma::fragment<wmma::matrix_b, 16, 16, 16, bf16, wmma::col_major> right;
        wmma::load_matrix_sync(left, q + row * at.kv_step + c, static_cast<unsigned>(at.kv_step));
        wmma::load_matrix_sync(right, k + key * at.kv_step + c, static_cast<unsigned>(at.kv_step));
        wmma::mma_sync(sum, left, right, sum);
      }
      wmma::store_matrix_sync(scores + row * at.score_step + key, sum, static_cast<unsigned>(at.score_step),
                              wmma::mem_row_major);
    }
  } else {
    for (int i = static_cast<int>(threadIdx.x); i < rows * at.keys; i += static_cast<int>(blockDim.x)) {
      const int row = i / at.keys, key = i % at.keys;
      float sum = 0;
      for (int c = 0; c < at.width; c += 4) {
        const Pack<float, 4> left = load<4>(q + row * at.kv_step + c),
                             right = load<4>(k + key * at.kv_step + c);
        for (int n = 0; n < 4; n++) sum = __fmaf_rn(left.at[n], right.at[n], sum);
      }
      scores[row * at.score_step + key] = sum;
    }
  }
}

/// out [rows, width] += weights [rows, keys] v [keys, width]
template <class T, int ROWS>
__device__ void mix(const Layout<T, ROWS>& at, int rows, const T* weights, const T* v, float* out) {
  if constexpr (kIsBf16<T>) {
    const int down = static_cast<int>(ceil_div(rows, kTensor)), across = at.width / kTensor;
    for (int tile = static_cast<int>(threadIdx.x) / kWarp; tile < down * across;
         tile += static_cast<int>(blockDim.x) / kWarp) {
      const int row = tile / across * kTensor, column = tile % across * kTensor;
      float* const to = out + row * at.out_step + column;
      wmma::fragment<wmma::accumulator, 16, 16, 16, float> sum;
      wmma::load_matrix_sync(sum, to, static_cast<unsigned>(at.out_step), wmma::mem_row_major);
      for (int key = 0; key < at.keys; key += kTensor) {
        wmma::fragment<wmma::matrix_a, 16, 16, 16, bf16, wmma::row_major> left;
        wmma::fragment<wmma::matrix_b, 16, 16, 16, bf16, wmma::row_major> right;
        wmma::load_matrix_sync(left, weights + row * at.weight_step + key,
                               static_cast<unsigned>(at.weight_step));
        wmma::load_matrix_sync(right, v + key * at.kv_step + column, static_cast<unsigned>(at.kv_step));
        wmma::mma_sync(sum, left, right, sum);
      }
      wmma::store_matrix_sync(to, sum, static_cast<unsigned>(at.out_step), wmma::mem_row_major);
    }
  } else {
    for (int i = static_cast<int>(threadIdx.x); i < rows * at.width; i += static_cast<int>(blockDim.x)) {
      const int row = i / at.width, column = i % at.width;
      float sum = out[row * at.out_step + column];
      for (int key = 0; key < at.keys; key++)
        sum = __fmaf_rn(weights[row * at.weight_step + key], v[key * at.kv_step + column], sum);
      out[row * at.out_step + column] = sum;
    }
  }
}

/// N: channels read at once.
template <class T, int ROWS, bool WHOLE, int N>
__global__ void __launch_bounds__(ROWS* kLanes) attend_kernel(Attend<T> a) {
  DYNAMIC_SHARED(memory);
  const Layout<T, ROWS> at(a.channels, WHOLE);
  T* const q = reinterpret_cast<T*>(memory + at.q);
  T* const k = reinterpret_cast<T*>(memory + at.k);
  T* const v = reinterpret_cast<T*>(memory + at.v);
  float* const scores = reinterpret_cast<float*>(memory + at.scores);
  T* const weights = reinterpret_cast<T*>(memory + at.weights);
  float* const chunk = reinterpret_cast<float*>(memory + at.chunk);
  float* const total = reinterpret_cast<float*>(memory + at.total);
  int32_t* const limits = reinterpret_cast<int32_t*>(memory + at.limits);  // keys that a row sees; 0: no row

  const int threads = static_cast<int>(blockDim.x), thread = static_cast<int>(threadIdx.x);
  const int group = a.heads / a.kv_heads, each = group < kNarrow ? group : kNarrow;  // heads at once
  const int parts = static_cast<int>(ceil_div(group, each)), packs = a.channels / N;
  const int row = thread / kLanes, lane = thread % kLanes;  // of the softmax
  const auto over_lanes = [&](float x, auto f) {
    for (int step = kLanes / 2; step > 0; step /= 2) x = f(x, __shfl_xor_sync(kAllLanes, x, step));
    return x;
  };
  for (size_t i = static_cast<size_t>(thread); i < at.scores / sizeof(T); i += static_cast<size_t>(threads))
    q[i] = narrow<T>(0.f);  // q, k and v: what lies beyond the channels stays zero

  const int64_t units = static_cast<int64_t>(*a.tile_count) * a.kv_heads * parts;
  for (int64_t unit = blockIdx.x; unit < units; unit += gridDim.x) {
    const Tile tile = a.tiles[unit / (a.kv_heads * parts)];
    const int kv_head = static_cast<int>(unit / parts % a.kv_heads);
    const int first_head = kv_head * group + static_cast<int>(unit % parts) * each;
    const int rows = tile.count * each, heads_end = (kv_head + 1) * group;
    const auto head_of = [&](int r) { return first_head + r % each; };
    __syncthreads();  // the unit before is done with what follows
    for (int r = thread; r < ROWS; r += threads)
      limits[r] = r < rows && head_of(r) < heads_end ? a.queries[tile.first + r / each].keys : 0;
    for (int i = thread; i < ROWS * packs; i += threads) {
      const int r = i / packs, c = i % packs * N;
      Pack<T, N> pack;
      for (int n = 0; n < N; n++) pack.at[n] = narrow<T>(0.f);
      if (r < rows && head_of(r) < heads_end) {
        const int64_t token = a.queries[tile.first + r / each].token;
        pack = load<N>(a.q + (token * a.heads + head_of(r)) * a.channels + c);
      }
      store(q + r * at.kv_step + c, pack);
    }
    for (int c = lane; c < at.width; c += kLanes) {
      chunk[row * at.out_step + c] = 0;
      if constexpr (WHOLE) total[row * at.out_step + c] = 0;
    }
    __syncthreads();
    int64_t end = 0;  // keys that any row sees
    for (int r = 0; r < rows; r += each)
      if (limits[r] > end) end = limits[r];
    const Query query = row < rows ? a.queries[tile.first + row / each] : Query{0, 0, 0};

    Merge merge;
    for (int step = 0; step < tile.chunks; step++) {
      const int64_t begin = (tile.chunk + step) * kChunk, stop = begin + kChunk < end ? begin + kChunk : end;
      float max = -INFINITY, sum = 0;
      for (int64_t base = begin; base < stop; base += at.keys) {
        for (int i = thread; i < at.keys * packs; i += threads) {
          const int j = i / packs, c = i % packs * N;
          const int64_t key = base + j;
          Pack<T, N> one, two;
          if (key < stop) {
            const int64_t slot =
                a.table[tile.table + (key >> a.shift)] + (key & ((int64_t{1} << a.shift) - 1));
            const int64_t from = (slot * a.kv_heads + kv_head) * a.channels + c;
            one = load<N>(a.keys + from);
            two = load<N>(a.values + from);
          } else {
            for (int n = 0; n < N; n++) one.at[n] = two.at[n] = narrow<T>(0.f);
          }
          store(k + j * at.kv_step + c, one);
          store(v + j * at.kv_step + c, two);
        }
        __syncthreads();
        score(at, rows, q, k, scores);
        __syncthreads();
        if (row < rows) {
          float top = max;
          for (int j = lane; j < at.keys; j += kLanes)
            if (base + j < limits[row]) top = fmaxf(top, scores[row * at.score_step + j] * a.scale);
          top = over_lanes(top, [](float x, float y) { return fmaxf(x, y); });
          const float factor = max == top ? 1.f : expf(max - top);
          float own = 0;
          for (int j = lane; j < at.keys; j += kLanes) {
            const bool seen = base + j < limits[row];
            const float p = seen ? expf(scores[row * at.score_step + j] * a.scale - top) : 0.f;
            own += p;
            weights[row * at.weight_step + j] = narrow<T>(p);
          }
          sum = sum * factor + over_lanes(own, Sum());
          max = top;
          if (factor != 1.f)
            for (int c = lane; c < at.width; c += kLanes) chunk[row * at.out_step + c] *= factor;
        } else {
          over_lanes(0.f, Sum());
          over_lanes(0.f, Sum());
          for (int j = lane; j < at.keys; j += kLanes) weights[row * at.weight_step + j] = narrow<T>(0.f);
        }
        __syncthreads();
        mix(at, rows, weights, v, chunk);
        __syncthreads();
      }
      if constexpr (WHOLE) {
        merge.add(max, sum);
        for (int c = lane; c < at.width; c += kLanes) {
          const int i = row * at.out_step + c;
          total[i] = merge.value(total[i], chunk[i]);
          chunk[i] = 0;
        }
      } else if (row < rows && head_of(row) < heads_end) {
        float* const to =
            a.partial + (static_cast<int64_t>(query.partial + tile.chunk + step) * a.heads + head_of(row)) *
                            (a.channels + 2);
        for (int c = lane; c < a.channels; c += kLanes) to[c] = chunk[row * at.out_step + c];
        if (lane == 0) {
          to[a.channels] = max;
          to[a.channels + 1] = sum;
        }
      }
    }
    if constexpr (WHOLE) {
      if (row < rows && head_of(row) < heads_end) {
        T* const to = a.out + (static_cast<int64_t>(query.token) * a.heads + head_of(row)) * a.channels;
        for (int c = lane; c < a.channels; c += kLanes)
          to[c] = narrow<T>(merge.result(total[row * at.out_step + c]));
        if (a.lse && lane == 0) a.lse[head_of(row) * a.lse_stride + query.token] = merge.lse();
      }
    }
  }
}

/// A block per (query, head).
template <class T>
__global__ void merge_kernel(Attend<T> a) {
  const Query query = a.queries[blockIdx.x];
  const int head = static_cast<int>(blockIdx.y);
  const int64_t chunks = ceil_div(query.keys, kChunk),
                step = static_cast<int64_t>(a.heads) * (a.channels + 2);
  const float* const from =
      a.partial + (static_cast<int64_t>(query.partial) * a.heads + head) * (a.channels + 2);
  T* const to = a.out + (static_cast<int64_t>(query.token) * a.heads + head) * a.channels;
  for (int c = static_cast<int>(threadIdx.x); c < a.channels; c += static_cast<int>(blockDim.x)) {
    Merge merge;
    float total = 0;
    for (int64_t i = 0; i < chunks; i++) {
      merge.add(from[i * step + a.channels], from[i * step + a.channels + 1]);
      total = merge.value(total, from[i * step + c]);
    }
    to[c] = narrow<T>(merge.result(total));
    if (a.lse && c == 0) a.lse[head * a.lse_stride + query.token] = merge.lse();
  }
}

template <class T>
__global__ void write_kernel(int64_t packs, int64_t width, const T* k, const T* v, const int32_t* slots,
                             T* keys, T* values) {
  constexpr int N = kPack<T>;
  const int64_t i = (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) * N;
  if (i >= packs * N) return;
  const int64_t to = slots[i / width] * width + i % width;
  if (slots[i / width] < 0) return;
  store(keys + to, load<N>(k + i));
  store(values + to, load<N>(v + i));
}

template <class T>
__global__ void write_one_kernel(int64_t count, int64_t width, const T* k, const T* v, const int32_t* slots,
                                 T* keys, T* values) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= count || slots[i / width] < 0) return;
  const int64_t to = slots[i / width] * width + i % width;
  keys[to] = k[i];
  values[to] = v[i];
}

template <class T, int ROWS, bool WHOLE>
void attend(const Attend<T>& a, int blocks, Stream stream) {
  const Layout<T, ROWS> at(a.channels, WHOLE);
  constexpr int threads = ROWS * kLanes;
  const bool packed = packable<T>(a.channels, {a.q, a.keys, a.values});
  launch(packed ? attend_kernel<T, ROWS, WHOLE, kPack<T>> : attend_kernel<T, ROWS, WHOLE, 1>,
         dim3(static_cast<unsigned>(blocks)), threads, at.bytes, stream, a);
}

template <class T, bool WHOLE>
void attend(const Attend<T>& a, int rows, int blocks, Stream stream) {
  if constexpr (kIsBf16<T>) {
    if (rows == kWide) return attend<T, kWide, WHOLE>(a, blocks, stream);
  }
  attend<T, kNarrow, WHOLE>(a, blocks, stream);
}

}  // namespace

/// 142 kB at 128 channels in bf16: what an A100 has. fp32 is for comparisons.
int wide_rows(bool is_bf16, int channels) { return is_bf16 && channels <= 128 ? kWide : kNarrow; }

template <class T>
void attend_whole(const Attend<T>& a, int rows, int blocks, Stream stream) {
  attend<T, true>(a, rows, blocks, stream);
}

template <class T>
void attend_chunks(const Attend<T>& a, int rows, int blocks, Stream stream) {
  attend<T, false>(a, rows, blocks, stream);
}

template <class T>
void attend_merge(const Attend<T>& a, int64_t queries, Stream stream) {
  const int threads = static_cast<int>(round_to(a.channels < 128 ? a.channels : 128, kWarp));
  launch(merge_kernel<T>, dim3(static_cast<unsigned>(queries), static_cast<unsigned>(a.heads)), threads, 0,
         stream, a);
}

template <class T>
void write_slots(int64_t tokens, int64_t width, const T* k, const T* v, const int32_t* slots, T* keys,
                 T* values, Stream stream) {
  constexpr int kThreads = 256;
  const bool packed = packable<T>(width, {k, v, keys, values});
  const int64_t count = packed ? tokens * width / kPack<T> : tokens * width;
  launch(packed ? write_kernel<T> : write_one_kernel<T>,
         dim3(static_cast<unsigned>(ceil_div(count, kThreads))), kThreads, 0, stream, count, width, k, v,
         slots, keys, values);
}

#define TARL_FOR(T)                                                \
  template void attend_whole(const Attend<T>&, int, int, Stream);  \
  template void attend_chunks(const Attend<T>&, int, int, Stream); \
  template void attend_merge(const Attend<T>&, int64_t, Stream);   \
  template void write_slots(int64_t, int64_t, const T*, const T*, const int32_t*, T*, T*, Stream);
TARL_FOR(float)
TARL_FOR(bf16)
#undef TARL_FOR

}  // namespace tarl::cuda

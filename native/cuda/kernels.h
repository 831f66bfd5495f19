// Our CUDA kernels, raw pointers in and out: one .cu file per operation, which says its launch geometry and
// why. Storage T is float or bf16, all arithmetic is fp32. A row's bits depend on that row and on its sizes
// alone, so every operation here is batch-invariant. Not here: tensors (backend.cpp), products with weights
// (linear.cpp). Tested by native/test/cuda_test.cpp on the CPU and by test/gpu on a GPU.
//
// T tokens, D width, H query heads, G key-value heads, C channels per head, F feed-forward, V vocabulary; S
// cache slots. Rows are contiguous.

#pragma once
#include "device.h"

namespace tarl::cuda {

/// sum [T, D] = x + add (not written where add is null), normed = w sum rstd, rstd [T] = 1 / sqrt(mean(sum^2)
/// + eps).
template <class T>
struct Norm {
  int64_t tokens, width;
  const T *x, *add, *w;
  float eps;
  T *sum, *normed;
  float* rstd;
};
template <class T>
void norm(const Norm<T>&, Stream);

/// dx = d_sum + gradient through normed; d_sum may be null. grad [D] fp32 += gradient of w, where it is not
/// null; then `partial` has partials(tokens) x D floats.
template <class T>
struct NormBackward {
  int64_t tokens, width;
  const T *d_sum, *d_normed, *sum, *w;
  const float* rstd;
  T* dx;
  float *grad, *partial;
};
template <class T>
void norm_backward(const NormBackward<T>&, Stream);

/// Blocks that add up the gradient of a weight, each over some of the tokens.
int64_t partials(int64_t tokens);
/// to[i] += sum over b < blocks of partial[b * stride + i], in the order of b, for i < width.
void add_columns(const float* partial, int64_t blocks, int64_t stride, int64_t width, float* to, Stream);

/// q [T, H, C], k, v [T, G, C] of qkv [T, (H + 2G) C]; q and k normed per head (w [C]; null: not) and rotated
/// by cos, sin [T, C/2]. rstd [T, H + G], written where there is a norm. C <= 256 and even.
constexpr int64_t kMostChannels = 256;
template <class T>
struct Split {
  int64_t tokens;
  int heads, kv_heads, channels;
  const T *qkv, *q_norm, *k_norm;
  float eps;
  const float *cos, *sin;
  T *q, *k, *v;
  float* rstd;
};
template <class T>
void split(const Split<T>&, Stream);

/// dqkv from dq, dk, dv. q_grad, k_grad [C] += gradients of the norms' weights, where they are not null; then
/// `partial` has partials(tokens) x 2C floats.
template <class T>
struct SplitBackward {
  int64_t tokens;
  int heads, kv_heads, channels;
  const T *dq, *dk, *dv, *qkv, *q_norm, *k_norm;
  const float *rstd, *cos, *sin;
  T* dqkv;
  float *q_grad, *k_grad, *partial;
};
template <class T>
void split_backward(const SplitBackward<T>&, Stream);

/// y [T, F] = silu(gate) up of gate | up [T, 2F].
template <class T>
void swiglu(int64_t tokens, int64_t feed, const T* gate_up, T* y, Stream);
template <class T>
void swiglu_backward(int64_t tokens, int64_t feed, const T* gate_up, const T* dy, T* d_gate_up, Stream);

/// logp, entropy [T] and stats [T, 3] (LogpRows of backend.h) of logits [T, V].
void logp(int64_t tokens, int64_t vocab, const float* logits, const int32_t* ids, float inverse, float* logp,
          float* entropy, float* stats, Stream);
/// d [T, V]; may be the logits themselves where T is float.
template <class T>
void logp_backward(int64_t tokens, int64_t vocab, const float* logits, const int32_t* ids, const float* stats,
                   float inverse, const float* d_logp, const float* d_entropy, T* d, Stream);

/// How a row's token is drawn (Sampling of sampler.h).
struct Choice {
  double uniform, top_p, min_p;
  int64_t top_k;
  float inverse;  // 1 / temperature; 1 where greedy
  int32_t greedy;
};
struct Drawn {
  int32_t id;  // -1, and logp nan, where logits are not finite numbers
  float logp;
};
void sample(int64_t rows, int64_t vocab, const float* logits, const Choice*, Drawn*, Stream);

/// AdamW on `count` numbers. Where T is float, master is value itself.
struct Adamw {
  float decay;  // 1 - lr weight_decay
  float step;   // lr / (1 - beta1^t)
  float root;   // 1 / sqrt(1 - beta2^t)
  float beta1, beta2, eps, scale;
};
template <class T>
void adamw(int64_t count, T* value, const float* grad, float* master, float* m, float* v, const Adamw&,
           Stream);

/// Row i of k and v [T, width] to row slots[i] of keys and values [S, width].
template <class T>
void write_slots(int64_t tokens, int64_t width, const T* k, const T* v, const int32_t* slots, T* keys,
                 T* values, Stream);

/// Keys that are attended to before what was found is merged with what the keys before them gave.
constexpr int64_t kChunk = 256;

/// A query that sees the first `keys` keys of its sequence. `partial`: where its chunks' results begin.
struct Query {
  int32_t token, keys, partial;
};
/// Some queries of the same keys: `count` of the list from `first` on, over chunks [chunk, chunk + chunks) of
/// the keys whose places in the table begin at `table`.
struct Tile {
  int32_t table, chunk, chunks, first, count;
};
template <class T>
struct Attend {
  int heads, kv_heads, channels;
  float scale;
  const T* q;              // [T, H, C]
  const T *keys, *values;  // [S, G, C]
  /// Key j of a sequence lies in slot table[j >> shift] + (j & ((1 << shift) - 1)).
  const int32_t* table;
  int shift;
  const Tile* tiles;
  const int32_t* tile_count;  // on the device, so that a recorded launch serves any number of tiles
  const Query* queries;
  T* out;      // [T, H, C]
  float* lse;  // [H, lse_stride] nats; may be null
  int64_t lse_stride;
  float* partial;  // [chunks of all queries, H, C + 2]
};
/// Heads of how many queries a block takes: rows / (H / G) queries.
constexpr int kNarrow = 16, kWide = 64;
/// Rows of a block for tiles of many queries: kWide where it fits into shared memory.
int wide_rows(bool is_bf16, int channels);
/// Tiles of all chunks of their queries; writes out and lse.
template <class T>
void attend_whole(const Attend<T>&, int rows, int blocks, Stream);
/// Tiles of one chunk each; writes partial. attend_merge makes out and lse of it, with the bits of
/// attend_whole.
template <class T>
void attend_chunks(const Attend<T>&, int rows, int blocks, Stream);
template <class T>
void attend_merge(const Attend<T>&, int64_t queries, Stream);

}  // namespace tarl::cuda

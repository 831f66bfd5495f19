// CPU kernels in fp32 and bf16. One source (kernels.inc) is compiled once per instruction set; `kernels<E>()`
// picks at run time. Not here: threads (gemm.cpp and backend.cpp split the work), tensors, anything that
// allocates. Test: native/test/kernels_test.cpp.
//
// An element E is a float or a bf16: what is read is widened to fp32, all arithmetic is fp32, what is written
// is rounded once, to the nearest even. Products of bf16 are exact and are added up in fp32.
//
// Every kernel is row-wise: what it writes for a row depends on that row alone, bit for bit, whatever the
// number of rows, their order and how they are split over threads. Sums run over sixteen fixed lanes or in
// index order, on every instruction set. This is what makes the sampler's log-probs equal the trainer's to
// the bit.
//
// M rows, N columns, K depth; T tokens, D width, C channels per head, V vocabulary; S keys, in pages of 16.

#pragma once
#include <cstdint>

#include "core/page.h"

namespace tarl {

struct bf16 {
  uint16_t bits;  // the upper half of a float
  bool operator==(const bf16&) const = default;
};

/// Elements that lie side by side along the depth of a product, as the instruction that multiplies them
/// wants.
template <class E>
constexpr int64_t kSide = sizeof(E) == 2 ? 2 : 1;

/// Keys between two corrections of the running softmax; counted from a conversation's first key.
constexpr int64_t kKeyBlock = 256;
/// Logits whose exponentials are added up in fp32, before they join a sum in double.
constexpr int64_t kLogitBlock = 1024;

constexpr int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

/// c[M, N] = a . b, or += it: some rows of a, packed by `lay_left` or as they are where `reads_in_place`
/// says so, and N columns of b packed by `lay_right`.
template <class E>
struct Product {
  int64_t rows, depth, columns;  // rows <= tile; depth <= that of the panels
  const void* left;
  int64_t left_stride;   // bytes from row to row
  const E* right;        // first panel, at the first depth
  int64_t right_stride;  // elements between panels
  const float* from;     // [rows][from_stride]: what the sums start from; null: 0
  int64_t from_stride;   // 0 where all rows start from the same (a bias)
  float* wide;           // [rows][stride]: the result in fp32, or
  E* narrow;             // rounded; the other is null
  int64_t stride;
};

/// The queries that some tokens have for one key-value head: `group` each, side by side.
struct Queries {
  int64_t tokens, group, channels;
  const int64_t* at;    // [tokens]: token i is row at[i] of q, out, ...
  const int64_t* keys;  // [tokens]: it sees the first keys[i] keys
  int64_t stride;       // elements from row to row of q, out, ...
  int64_t lse_stride;
};

/// Attention of them. Page p of a list lies at k + pages[p] * k_stride.
///   lanes of keys   [C / side, 16, side]   (side = kSide<E>; C even)
///   rows of values  [16 / side, Cp, side]  with Cp = round_up(C, 16), zero beyond C
/// What follows a conversation's last key in its last page must be finite.
template <class E>
struct Attend {
  Queries queries;
  const int64_t* const* pages;  // [tokens] -> page list; tokens with the same list stand side by side
  int64_t shared;               // so many first pages are the same in all lists: they are read once
  const E *q, *k, *v;
  int64_t k_stride, v_stride;
  E* out;
  float* lse;  // or null
  float scale;
  void* scratch;  // Kernels::attend_scratch(C) bytes, aligned to 64
};

/// Backward of Attend for tokens with one page list. Rows of keys lie as rows of values.
template <class E>
struct AttendBackward {
  Queries queries;
  const int64_t* pages;
  const E *q, *out, *dout;
  const float* lse;
  const E *k_lanes, *k_rows, *v_lanes;
  int64_t lanes_stride, rows_stride;
  E* dq;
  float *dk, *dv;  // pages [16, Cp], added to
  int64_t grad_stride;
  float scale;
  void* scratch;  // Kernels::attend_backward_scratch(C) bytes, aligned to 64
};

/// max_j logit_j, sum_j exp(z_j), sum_j exp(z_j) z_j, with z = (logit - max) * inv_temperature.
struct SoftmaxStats {
  float max, sum, weighted;
};

/// One AdamW update in fp32: bias corrections are in rate (lr / (1 - beta1^t)) and root (1 / (1 - beta2^t)).
struct AdamwRow {
  float scale, beta1, beta2, eps, rate, root, keep;  // keep = 1 - lr * weight decay
};

template <class E>
struct Kernels {
  const char* isa;
  /// Columns of a packed panel of the right operand, most rows of the left one at a time.
  int64_t panel, tile;

  /// Bytes from row to row of a left operand, which is laid so that `product` can read it.
  int64_t (*left_stride)(int64_t depth);
  /// Whether `product` can read a left operand, 4-byte aligned, where it is; element (m, k) is a[m * row + k
  /// * column]. It wants columns side by side, in whole steps of 4 bytes, and rows not at multiples of 4 KiB.
  bool (*reads_in_place)(int64_t depth, int64_t row, int64_t column);
  void (*lay_left)(int64_t rows, int64_t depth, const E* a, int64_t row, int64_t column, void* out);
  /// A panel [K / side, panel, side], zeros after its columns; element (k, n) is read from b[k * row + n *
  /// column].
  void (*lay_right)(int64_t depth, int64_t columns, const E* b, int64_t row, int64_t column, E* out);
  void (*product)(const Product<E>&);

  /// One row of D: y = w * (x * rstd), rstd = 1/sqrt(mean(x^2) + eps), returned. With `add`: x = from + add
  /// first, and x is written (the residual stream); else x is `from`.
  float (*rms_norm)(int64_t d, const E* from, const E* add, E* x, const E* w, float eps, E* y);
  /// dx = add (or 0 where null) + gradient; dw += this row's share.
  void (*rms_norm_backward)(int64_t d, const E* x, const E* w, float rstd, const E* dy, const E* add, E* dx,
                            float* dw);

  /// One head: y = rotate(norm(x)), pairs (i, i + C/2); w may be null (no norm). Returns rstd.
  float (*head)(int64_t c, const E* x, const E* w, float eps, const float* cos, const float* sin, E* y);
  /// dx = gradient; dw += this head's share, where w is not null.
  void (*head_backward)(int64_t c, const E* x, const E* w, float rstd, const float* cos, const float* sin,
                        const E* dy, E* dx, float* dw);

  /// out = silu(gate) * up for gate | up = gu[2F].
  void (*swiglu)(int64_t f, const E* gu, E* out);
  void (*swiglu_backward)(int64_t f, const E* gu, const E* dout, E* dgu);

  /// A page of keys or values, in lanes or in rows as Attend wants them: key i is at from + at[i] * stride;
  /// zeros after the last.
  void (*lay_lanes)(int64_t keys, int64_t channels, const E* from, const int64_t* at, int64_t stride,
                    E* page);
  void (*lay_rows)(int64_t keys, int64_t channels, const E* from, const int64_t* at, int64_t stride, E* page);
  int64_t (*attend_scratch)(int64_t channels);
  void (*attend)(const Attend<E>&);
  int64_t (*attend_backward_scratch)(int64_t channels);
  void (*attend_backward)(const AttendBackward<E>&);

  /// `blocks`, where not null: the sum of each kLogitBlock logits' exponentials.
  SoftmaxStats (*softmax_stats)(int64_t v, const float* logits, float inv_temperature, double* blocks);
  /// exp(z), as softmax_stats adds them up.
  void (*exponentials)(int64_t v, const float* logits, float inv_temperature, float max, float* out);
  /// d loss / d logits for loss gradients with respect to log-prob of `id` and to the entropy; `out` may be
  /// the logits' own memory.
  void (*logp_backward)(int64_t v, const float* logits, float inv_temperature, SoftmaxStats, int64_t id,
                        float dlogp, float dentropy, E* out);

  void (*widen)(int64_t n, const E*, float*);
  void (*round)(int64_t n, const float*, E*);
  /// `value` may be `master`.
  void (*adamw)(int64_t n, E* value, const float* grad, float* master, float* m, float* v, AdamwRow);
  /// Sum of squares, in double.
  double (*square)(int64_t n, const float*);
};

template <class E>
const Kernels<E>& kernels_generic();
#if defined(__x86_64__)
template <class E>
const Kernels<E>& kernels_avx2();
template <class E>
const Kernels<E>& kernels_avx512();
template <class E>
const Kernels<E>& kernels_avx512_bf16();
#endif

/// The widest that this processor runs; TARL_ISA=generic|avx2|avx512|avx512_bf16 asks for a narrower one.
template <class E>
const Kernels<E>& kernels();

}  // namespace tarl

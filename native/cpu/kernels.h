// fp32 CPU kernels. One source (kernels.inc) is compiled once per instruction set; `kernels()` picks at run
// time. Not here: threads (ops.cpp splits the work), tensors, anything that allocates.
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

inline constexpr int64_t round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

/// Attention of some queries over one key-value head. Query i sees the first keys[i] keys.
/// K pages are [C, 16] (keys in lanes), V pages are [16, Cp] with Cp = round_up(C, 16), zero beyond C.
struct Attend {
  int64_t queries, channels;
  const float* const* q;        // [queries] -> [C]
  float* const* out;            // [queries] -> [C]
  float* const* lse;            // [queries] -> scalar, or null
  const int64_t* keys;          // [queries]
  const float* const* k_pages;  // [pages]
  const float* const* v_pages;  // [pages]
  float scale;
  float* scratch;  // attend_scratch(most keys, C) floats
};

/// Backward of Attend, same layout. dk and dv pages are [16, Cp] and are added to.
struct AttendBackward {
  int64_t queries, channels;
  const float* const* q;
  const float* const* out;
  const float* const* dout;
  const float* const* lse;
  float* const* dq;  // [queries] -> [C], written
  const int64_t* keys;
  const float* const* k_pages;   // [C, 16]
  const float* const* k_rows;    // [16, Cp]
  const float* const* vt_pages;  // [C, 16]
  float* const* dk_pages;
  float* const* dv_pages;
  float scale;
  float* scratch;
};

constexpr int64_t kQueryBlock = 4;
inline int64_t attend_scratch(int64_t keys, int64_t channels) {
  return kQueryBlock * (2 * round_up(keys, kPage) + 2 * round_up(channels, kPage));
}

/// max_j z_j, sum_j exp(z_j - max), sum_j exp(z_j - max) (z_j - max), with z = logits * inv_temperature.
struct SoftmaxStats {
  float max, sum, weighted;
};

struct Kernels {
  const char* isa;
  /// Columns of a packed panel of the right operand, most rows of the left one at a time.
  int64_t panel, tile;

  /// c[rows, cols] (+)= a . b over `depth`; a is [rows][lda], b is packed [depth][panel].
  void (*gemm)(int64_t rows, int64_t depth, const float* a, int64_t lda, const float* b, float* c,
               int64_t ldc, int64_t cols, bool accumulate);

  /// One row of D: y = w * (x * rstd), rstd = 1/sqrt(mean(x^2) + eps), returned. With `add`: x = from + add
  /// first, and x is written (the residual stream); else x is `from`.
  float (*rms_norm)(int64_t d, const float* from, const float* add, float* x, const float* w, float eps,
                    float* y);
  /// dx += gradient; dw += this row's share.
  void (*rms_norm_backward)(int64_t d, const float* x, const float* w, float rstd, const float* dy, float* dx,
                            float* dw);

  /// Rotates pairs (i, i + C/2) of one head; sign -1 is the inverse.
  void (*rope)(int64_t c, float* x, const float* cos, const float* sin, float sign);

  /// out = silu(gate) * up for gate | up = gu[2F].
  void (*swiglu)(int64_t f, const float* gu, float* out);
  void (*swiglu_backward)(int64_t f, const float* gu, const float* dout, float* dgu);

  void (*attend)(const Attend&);
  void (*attend_backward)(const AttendBackward&);

  SoftmaxStats (*softmax_stats)(int64_t v, const float* logits, float inv_temperature);
  /// In place: logits -> d loss / d logits for loss gradients with respect to log-prob of `id` and to the
  /// entropy.
  void (*logp_backward)(int64_t v, float* logits, float inv_temperature, SoftmaxStats, int64_t id,
                        float dlogp, float dentropy);
};

const Kernels& kernels_generic();
#if defined(__x86_64__)
const Kernels& kernels_avx2();
const Kernels& kernels_avx512();
#endif

/// The widest that this processor runs; TARL_ISA=generic|avx2|avx512 asks for another.
const Kernels& kernels();

}  // namespace tarl

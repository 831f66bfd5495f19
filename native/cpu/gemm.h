// Matrix products on the CPU kernels: packed right operands, work split over a pool. fp32 and bf16.
// A row of the result depends on that row of the left operand alone (see kernels.h): its sums run along the
// whole depth in order, in fp32, and are rounded once.

#pragma once
#include "kernels.h"
#include "memory.h"
#include "pool.h"

namespace tarl {

/// The right operand of a product, K deep and N wide, in panels of kernels().panel columns, padded
/// with zeros.
template <class E>
class Packed {
 public:
  /// Element (k, n) of the operand is read from b[k * k_stride + n * n_stride].
  void pack(Pool&, int64_t k, int64_t n, const E* b, int64_t k_stride, int64_t n_stride);
  int64_t depth() const { return depth_; }
  int64_t columns() const { return columns_; }
  /// Elements from a panel to the next.
  int64_t stride() const { return round_up(depth_, kSide<E>) * kernels<E>().panel; }
  const E* panel(int64_t i) const { return data() + i * stride(); }

 private:
  E* data() const { return static_cast<E*>(data_.get()); }

  int64_t depth_ = 0, columns_ = 0, capacity_ = 0;
  Memory data_;
};

/// A strided left operand: element (m, k) at data[m * row + k * column].
template <class E>
struct Strided {
  const E* data;
  int64_t row, column;
};

/// Where a product goes: `wide` in fp32 or `narrow` rounded (the other is null), `stride` elements from row
/// to row. `bias` [N] may be null. `add`: to what is in `wide`.
template <class E>
struct Into {
  float* wide;
  E* narrow;
  int64_t stride;
  const float* bias = nullptr;
  bool add = false;
};

/// c[M, N] (+)= a[M, K] b[K, N]
template <class E>
void gemm(Pool&, int64_t m, Strided<E> a, const Packed<E>& b, Into<E> c);

}  // namespace tarl

// Matrix products on the CPU kernels: packed right operands, work split over a pool. fp32.
// A row of the result depends on that row of the left operand alone (see kernels.h).

#pragma once
#include <memory>

#include "kernels.h"
#include "pool.h"

namespace tarl {

/// The right operand of a product, K deep and N wide, in panels of kernels().panel columns, padded with
/// zeros.
class Packed {
 public:
  /// Element (k, n) of the operand is read from b[k * k_stride + n * n_stride].
  void pack(Pool&, int64_t k, int64_t n, const float* b, int64_t k_stride, int64_t n_stride, int64_t n_offset,
            int64_t n_total);
  int64_t depth() const { return depth_; }
  int64_t columns() const { return columns_; }
  const float* panel(int64_t i) const { return data_.get() + i * depth_ * kernels().panel; }

 private:
  int64_t depth_ = 0, columns_ = 0, capacity_ = 0;
  std::unique_ptr<float[], void (*)(float*)> data_{nullptr, [](float*) {}};
};

/// A strided left operand: element (m, k) at data[m * row + k * col].
struct Left {
  const float* data;
  int64_t row, col;
};

/// c[M, N] (+)= a[M, K] b[K, N], with ldc floats between the rows of c.
void gemm(Pool&, int64_t m, Left a, const Packed& b, float* c, int64_t ldc, bool accumulate);

}  // namespace tarl

#include "gemm.h"

#include <algorithm>

namespace tarl {

namespace {

constexpr int64_t kTileBlock = 8;  // tiles that use a panel while it is in a cache
constexpr int64_t kSmall =
    512 << 10;  // bytes of panels that a tile of rows can pass over: half of a second level cache
constexpr int64_t kDepthBlock = 1024;  // of a product in fp32, whose sums can wait in memory

}  // namespace

template <class E>
void Packed<E>::pack(Pool& pool, int64_t k, int64_t n, const E* b, int64_t k_stride, int64_t n_stride) {
  const Kernels<E>& kernel = kernels<E>();
  const int64_t width = kernel.panel;
  const int64_t size = round_up(k, kSide<E>) * round_up(n, width) * static_cast<int64_t>(sizeof(E));
  if (size > capacity_) {
    data_.reset();
    capacity_ = 0;  // also where there is no memory
    data_ = allocate(size);
    capacity_ = size;
  }
  depth_ = k;
  columns_ = n;
  pool.run((n + width - 1) / width, [&](int64_t i) {
    const int64_t first = i * width;
    kernel.lay_right(k, std::min(width, n - first), b + first * n_stride, k_stride, n_stride,
                     data() + i * stride());
  });
}

template <class E>
void gemm(Pool& pool, int64_t m, Strided<E> a, const Packed<E>& b, Into<E> c) {
  const Kernels<E>& kernel = kernels<E>();
  const int64_t tile = kernel.tile, width = kernel.panel, n = b.columns(), depth = b.depth();
  const int64_t panels = (n + width - 1) / width, tiles = (m + tile - 1) / tile;
  const int64_t blocks = (tiles + kTileBlock - 1) / kTileBlock;
  // Few rows: split over the columns as well, so that every thread has work.
  const int64_t groups = std::clamp<int64_t>(pool.threads() * 4 / std::max<int64_t>(blocks, 1), 1, panels);
  const int64_t deepest = c.wide ? std::min(depth, kDepthBlock) : depth;
  // A left operand that few panels meet is not worth a copy.
  const bool in_place = groups > 1 && kernel.reads_in_place(depth, a.row, a.column);
  const int64_t line = in_place ? 0 : kernel.left_stride(deepest);
  pool.run(blocks * groups, [&](int64_t unit) {
    const int64_t block = unit / groups, group = unit % groups;
    const int64_t row0 = block * kTileBlock * tile, row1 = std::min(m, row0 + kTileBlock * tile);
    const int64_t panel0 = panels * group / groups, panel1 = panels * (group + 1) / groups;
    const int64_t bytes = (panel1 - panel0) * width * deepest * static_cast<int64_t>(sizeof(E));
    const int64_t at_once = row1 - row0 <= tile || bytes <= kSmall ? panel1 - panel0 : 1;  // panels
    char* const packed = static_cast<char*>(thread_scratch((row1 - row0) * line));
    for (int64_t k = 0; k < depth; k += deepest) {
      const int64_t deep = std::min(deepest, depth - k);
      const E* const from = a.data + row0 * a.row + k * a.column;
      const char* const left = in_place ? reinterpret_cast<const char*>(from) : packed;
      const int64_t stride = in_place ? a.row * static_cast<int64_t>(sizeof(E)) : kernel.left_stride(deep);
      if (!in_place) kernel.lay_left(row1 - row0, deep, from, a.row, a.column, packed);
      for (int64_t p = panel0; p < panel1; p += at_once)
        for (int64_t row = row0; row < row1; row += tile) {
          const int64_t first = p * width, at = row * c.stride + first;
          const bool goes_on = c.add || k > 0;
          kernel.product({.rows = std::min(tile, row1 - row),
                          .depth = deep,
                          .columns = std::min(at_once * width, n - first),
                          .left = left + (row - row0) * stride,
                          .left_stride = stride,
                          .right = b.panel(p) + k * width,
                          .right_stride = b.stride(),
                          .from = goes_on  ? c.wide + at
                                  : c.bias ? c.bias + first
                                           : nullptr,
                          .from_stride = goes_on ? c.stride : 0,
                          .wide = c.wide ? c.wide + at : nullptr,
                          .narrow = c.wide ? nullptr : c.narrow + at,
                          .stride = c.stride});
        }
    }
  });
}

template class Packed<float>;
template class Packed<bf16>;
template void gemm(Pool&, int64_t, Strided<float>, const Packed<float>&, Into<float>);
template void gemm(Pool&, int64_t, Strided<bf16>, const Packed<bf16>&, Into<bf16>);

}  // namespace tarl

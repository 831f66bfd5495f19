#include "gemm.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <vector>

namespace tarl {

namespace {

constexpr int64_t kDepthBlock = 512;  // a panel of it stays in the first cache level
constexpr int64_t kTileBlock = 8;     // tiles that use a panel while it is there

float* allocate(int64_t n) {
  void* p = std::aligned_alloc(64, static_cast<size_t>(round_up(n * 4, 64)));
  if (!p) throw std::bad_alloc();
  return static_cast<float*>(p);
}

/// The rows of a one after another, where its columns are what lies side by side. A few columns at a time, so
/// that what is read stays in the first cache level until all rows have it; by itself, so that its counters
/// stay in registers.
[[gnu::noinline]] void turn(const Left a, int64_t rows, int64_t depth, float* out) {
  constexpr int64_t kStep = 16;
  for (int64_t k = 0; k < depth; k += kStep) {
    const int64_t count = std::min(kStep, depth - k);
    for (int64_t r = 0; r < rows; r++) {
      const float* from = a.data + r * a.row + k * a.col;
      float* to = out + r * depth + k;
      for (int64_t i = 0; i < count; i++) to[i] = from[i * a.col];
    }
  }
}

/// `rows` x `columns` of b, a few rows at a time, into lines of `width`; by itself as `turn` is.
[[gnu::noinline]] void lay(const float* b, int64_t row_stride, int64_t column_stride, int64_t rows,
                           int64_t columns, float* out, int64_t width) {
  constexpr int64_t kStep = 16;
  for (int64_t row = 0; row < rows; row += kStep) {
    const int64_t end = std::min(rows, row + kStep);
    if (column_stride == 1) {
      for (int64_t r = row; r < end; r++)
        std::memcpy(out + r * width, b + r * row_stride, static_cast<size_t>(columns) * 4);
    } else {
      for (int64_t c = 0; c < columns; c++)
        for (int64_t r = row; r < end; r++) out[r * width + c] = b[r * row_stride + c * column_stride];
    }
  }
}

}  // namespace

void Packed::pack(Pool& pool, int64_t k, int64_t n, const float* b, int64_t k_stride, int64_t n_stride,
                  int64_t n_offset, int64_t n_total) {
  const int64_t width = kernels().panel, size = k * round_up(n_total, width);
  if (size > capacity_) {
    data_ = {allocate(size), [](float* p) { std::free(p); }};
    capacity_ = size;
  }
  depth_ = k;
  columns_ = n_total;
  // Columns from other sources may share a panel with these, so each column is written by itself.
  const int64_t first = n_offset / width, last = (n_offset + n - 1) / width;
  pool.run(last - first + 1, [&](int64_t i) {
    float* panel = data_.get() + (first + i) * k * width;
    const int64_t begin = (first + i) * width;
    const int64_t from = std::max(begin, n_offset), to = std::min(begin + width, n_offset + n);
    lay(b + (from - n_offset) * n_stride, k_stride, n_stride, k, to - from, panel + from - begin, width);
    if (to == n_total)
      for (int64_t row = 0; row < k; row++)
        std::memset(panel + row * width + to - begin, 0, static_cast<size_t>(begin + width - to) * 4);
  });
}

void gemm(Pool& pool, int64_t m, Left a, const Packed& b, float* c, int64_t ldc, bool accumulate) {
  const Kernels& kernel = kernels();
  const int64_t tile = kernel.tile, width = kernel.panel, n = b.columns(), depth = b.depth();
  const int64_t panels = (n + width - 1) / width, tiles = (m + tile - 1) / tile;
  const int64_t blocks = (tiles + kTileBlock - 1) / kTileBlock;
  // Few rows: split over the columns as well, so that every thread has work.
  const int64_t groups = std::clamp<int64_t>(pool.threads() * 4 / std::max<int64_t>(blocks, 1), 1, panels);
  pool.run(blocks * groups, [&](int64_t unit) {
    thread_local std::vector<float> turned;
    if (a.col != 1) turned.resize(static_cast<size_t>(kTileBlock * tile * std::min(depth, kDepthBlock)));
    const int64_t block = unit / groups, group = unit % groups;
    const int64_t tile0 = block * kTileBlock, tile1 = std::min(tiles, tile0 + kTileBlock);
    const int64_t panel0 = panels * group / groups, panel1 = panels * (group + 1) / groups;
    for (int64_t k0 = 0; k0 < depth; k0 += kDepthBlock) {
      const int64_t deep = std::min(kDepthBlock, depth - k0);
      if (a.col != 1)
        turn({a.data + tile0 * tile * a.row + k0 * a.col, a.row, a.col},
             std::min(tile1 * tile, m) - tile0 * tile, deep, turned.data());
      for (int64_t p = panel0; p < panel1; p++)
        for (int64_t t = tile0; t < tile1; t++) {
          const float* left =
              a.col == 1 ? a.data + t * tile * a.row + k0 : turned.data() + (t - tile0) * tile * deep;
          kernel.gemm(std::min(tile, m - t * tile), deep, left, a.col == 1 ? a.row : deep,
                      b.panel(p) + k0 * width, c + t * tile * ldc + p * width, ldc,
                      std::min(width, n - p * width), accumulate || k0 > 0);
        }
    }
  });
}

}  // namespace tarl

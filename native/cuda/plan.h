// Which queries a launch of the attention kernels takes together, and where their keys lie: lists of tiles
// made on the host. Plain C++, so that native/test/cuda_test.cpp runs them through the emulated kernels.

#pragma once
#include <span>
#include <vector>

#include "kernels.h"

namespace tarl::cuda {

/// `length` new tokens, at `token` of the packed batch, after `past` earlier ones. The slots of all `past +
/// length` keys: one number each, or one per page of 2^shift slots.
struct Sequence {
  int64_t token, past, length;
  std::span<const int32_t> table;
};

/// What goes to the device; Attend of kernels.h says what each list means.
struct Tiles {
  std::vector<int32_t> table;
  std::vector<Tile> narrow, wide;
  std::vector<Query> queries;
  std::vector<Query> merged;  // queries whose chunks are merged afterwards
  int64_t partials = 0;       // chunks of all of them
};

/// Queries of a tile of `rows` rows.
int64_t queries_at_once(int rows, int heads, int kv_heads);

/// Tiles of neighbouring queries over all their keys, for attend_whole. `wide`: wide_rows of the backend.
Tiles whole_tiles(std::span<const Sequence>, int heads, int kv_heads, int wide);

/// For sequences of one new token each, with pages of 2^shift slots: a tile per chunk, for attend_chunks. A
/// chunk whose pages several sequences share is read once for as many of them as a tile takes.
Tiles chunk_tiles(std::span<const Sequence>, int shift, int heads, int kv_heads, int wide);

}  // namespace tarl::cuda

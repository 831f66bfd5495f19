// Causal attention: inside the rows of a packed training batch, and of new tokens over a conversation's
// cached keys. Both give a query the same bits on the kernels: the same keys in the same pages in the same
// order.

#pragma once
#include "kv.h"
#include "ops.h"

namespace tarl {

/// Some new tokens of one conversation, at [start, start + length) of the packed batch; `past` tokens are
/// cached. `pages` holds the conversation's pages, those for the new tokens included.
struct Segment {
  int64_t start, length, past;
  const std::vector<int64_t>* pages;
};

/// rows [B+1]: row b is [rows[b], rows[b+1]) of the packed batch. -> [T, H C]
at::Tensor attend_rows(const Context&, const Heads&, const std::vector<int64_t>& rows);

/// Writes the segments' keys and values into the pool, then attends over past and new ones. No gradient. ->
/// [T, H C]
at::Tensor attend_cached(const Context&, const Heads&, const std::vector<Segment>&, const KvPool&,
                         int64_t layer);

}  // namespace tarl

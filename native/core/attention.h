// Causal attention: inside the rows of a packed batch, and of new tokens over a conversation's cached keys.
// Each has its two twins (ops.h); with kernels both give a query the same bits.

#pragma once
#include "kv.h"
#include "ops.h"

namespace tarl {

/// Attention inside the rows of one batch, for every layer. Must outlive what autograd keeps of it.
class RowAttention {
 public:
  RowAttention(const Context&, Rows);
  /// -> [T, H C]
  at::Tensor operator()(const Heads&) const;

 private:
  friend struct RowsFunction;
  const Context& context_;
  Rows rows_;
  std::unique_ptr<RowsPlan> plan_;
};

/// Attention of the segments' new tokens over past and new ones, for every layer. No gradient.
class CachedAttention {
 public:
  /// `plan`: the kernels' one for the segments, where it has been made already; the caller keeps it.
  CachedAttention(const Context&, std::vector<Segment>, const KvPool&, const CachedPlan* plan = nullptr);
  /// Writes the keys and values of the new tokens into the pool first. -> [T, H C]
  at::Tensor operator()(int64_t layer, const Heads&) const;

 private:
  const Context& context_;
  std::vector<Segment> segments_;
  const KvPool& pool_;
  std::unique_ptr<CachedPlan> own_;
  const CachedPlan* plan_;
};

}  // namespace tarl

// Attention on the CPU's kernels: which work is one piece, and keys and values in the pages that kernels
// read. The arithmetic is attention.inc's. Test: test/native/policy.test.ts, test/native/sharing.test.ts.

#pragma once
#include "core/backend.h"
#include "kernels.h"
#include "pool.h"

namespace tarl {

std::unique_ptr<RowsPlan> cpu_plan(const Rows&);
template <class E>
AttentionRows cpu_attend(Pool&, const Heads&, const RowsPlan&);
template <class E>
Heads cpu_attend_backward(Pool&, const Heads&, const AttentionRows&, const at::Tensor& d_out,
                          const RowsPlan&);

std::unique_ptr<CachedPlan> cpu_plan(const std::vector<Segment>&);
template <class E>
at::Tensor cpu_attend_cached(Pool&, const Heads&, const CachedPlan&, const KvLayer&);

}  // namespace tarl

#include "attention.h"

#include <cmath>

namespace tarl {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

namespace {

/// q [T, H, C] over k, v [S, G, C]; the last query sees all S keys. -> [T, H C]
Tensor plain_attention(const Tensor& q, const Tensor& k, const Tensor& v) {
  const int64_t t = q.size(0), heads = q.size(1), keys = k.size(0), group = heads / k.size(1);
  const Tensor kh = k.repeat_interleave(group, 1).permute({1, 2, 0}),
               vh = v.repeat_interleave(group, 1).transpose(0, 1);
  Tensor scores = at::matmul(q.transpose(0, 1), kh) / std::sqrt(static_cast<double>(q.size(2)));
  const Tensor hidden =
      at::ones({t, keys}, q.options().dtype(at::kBool).requires_grad(false)).triu(keys - t + 1);
  scores = scores.to(at::kFloat).masked_fill(hidden, -INFINITY);
  return at::matmul(at::softmax(scores, -1).to(v.scalar_type()), vh).transpose(0, 1).reshape({t, -1});
}

Tensor on(const Tensor& t, at::ArrayRef<int64_t> values) { return at::tensor(values).to(t.device()); }

}  // namespace

struct RowsFunction : torch::autograd::Function<RowsFunction> {
  static Tensor forward(AutogradContext* ctx, const Tensor& q, const Tensor& k, const Tensor& v,
                        const RowAttention* rows) {
    const AttentionRows r = rows->context_.backend->attend({q, k, v}, *rows->plan_);
    ctx->save_for_backward({q, k, v, r.out, r.lse});
    ctx->saved_data["rows"] = reinterpret_cast<int64_t>(rows);
    return r.out;
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const variable_list saved = ctx->get_saved_variables();
    const RowAttention& rows = *reinterpret_cast<const RowAttention*>(ctx->saved_data["rows"].toInt());
    const Heads d = rows.context_.backend->attend_backward(
        {saved[0], saved[1], saved[2]}, {saved[3], saved[4]}, grads[0].contiguous(), *rows.plan_);
    return {d.q, d.k, d.v, Variable()};
  }
};

RowAttention::RowAttention(const Context& c, Rows rows) : context_(c), rows_(std::move(rows)) {
  if (c.backend) plan_ = c.backend->plan(rows_);
}

Tensor RowAttention::operator()(const Heads& x) const {
  if (context_.backend) {
    if (at::GradMode::is_enabled() && x.q.requires_grad()) return RowsFunction::apply(x.q, x.k, x.v, this);
    return context_.backend->attend(x, *plan_).out;
  }
  std::vector<Tensor> outs;
  for (int64_t r = 0; r < rows_.count(); r++) {
    const int64_t own = rows_.length(r) - rows_.shared[r];
    if (own == 0) continue;
    const at::ArrayRef<int64_t> place(rows_.place.data() + rows_.start[r], rows_.length(r));
    const Tensor index = on(x.q, place);
    outs.push_back(plain_attention(x.q.narrow(0, place[rows_.shared[r]], own), x.k.index_select(0, index),
                                   x.v.index_select(0, index)));
  }
  return at::cat(outs);
}

CachedAttention::CachedAttention(const Context& c, std::vector<Segment> segments, const KvPool& pool,
                                 const CachedPlan* plan)
    : context_(c), segments_(std::move(segments)), pool_(pool), plan_(plan) {
  if (!c.backend || plan) return;
  own_ = c.backend->plan(segments_);
  plan_ = own_.get();
}

Tensor CachedAttention::operator()(int64_t layer, const Heads& x) const {
  const KvLayer& kv = pool_.layer(layer);
  if (context_.backend) return context_.backend->attend_cached(x, *plan_, kv);
  std::vector<Tensor> outs;
  for (const Segment& s : segments_) {
    for (int64_t t = 0; t < s.length;) {
      const int64_t slot = (s.past + t) % kPage, n = std::min(kPage - slot, s.length - t);
      const int64_t page = (*s.pages)[static_cast<size_t>((s.past + t) / kPage)];
      kv.keys[page].narrow(0, slot, n).copy_(x.k.narrow(0, s.start + t, n));
      kv.values[page].narrow(0, slot, n).copy_(x.v.narrow(0, s.start + t, n));
      t += n;
    }
  }
  for (const Segment& s : segments_) {
    const int64_t total = s.past + s.length;
    const Tensor pages = on(x.q, {s.pages->data(), static_cast<size_t>((total + kPage - 1) / kPage)});
    const auto gathered = [&](const Tensor& pool) {
      return pool.index_select(0, pages).flatten(0, 1).narrow(0, 0, total);
    };
    outs.push_back(plain_attention(x.q.narrow(0, s.start, s.length), gathered(kv.keys), gathered(kv.values)));
  }
  return at::cat(outs);
}

}  // namespace tarl

#include "ops.h"

#include <cmath>
#include <numbers>

#include "error.h"
#include "lora.h"

namespace tarl {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

namespace {

constexpr int64_t kLogitRows = 256;  // rows of logits that exist at once

template <class T>
void keep(AutogradContext* ctx, const char* name, T* pointer) {
  ctx->saved_data[name] = reinterpret_cast<int64_t>(pointer);
}
template <class T>
T* kept(AutogradContext* ctx, const char* name) {
  return reinterpret_cast<T*>(ctx->saved_data[name].toInt());
}

bool records(const Tensor& t) { return at::GradMode::is_enabled() && t.requires_grad(); }

Tensor value_of(const Weight* w) { return w ? w->value.detach() : Tensor(); }
Tensor gradient_of(Weight* w) { return w ? w->gradient() : Tensor(); }

}  // namespace

const Tensor& Weight::gradient() {
  if (!grad.defined() && value.requires_grad())
    grad = at::zeros(value.sizes(), value.options().dtype(at::kFloat).requires_grad(false));
  return grad;
}

void Weight::collect() {
  if (!value.grad().defined()) return;
  gradient().add_(value.grad());
  value.mutable_grad().reset();
}

// ---------------------------------------------------------------------------------------------------------------------
// Linear, embedding
// ---------------------------------------------------------------------------------------------------------------------

Linear::Linear(Weight& weight, Weight* bias, int64_t limit)
    : weight_(weight), bias_(bias), out_(weight.value.size(0)) {
  if (limit > 0) out_ = std::min(out_, limit);
}

Tensor Linear::used(const Tensor& rows) const {
  return rows.defined() && out_ < rows.size(0) ? rows.narrow(0, 0, out_) : rows;
}

LinearKernel& Linear::kernel(const Context& c) {
  if (!kernel_) kernel_ = c.backend->linear(used(weight_.value.detach()), used(value_of(bias_)));
  return *kernel_;
}

void Linear::changed() {
  const uint32_t version = weight_.value._version() + (bias_ ? bias_->value._version() : 0);
  if (kernel_ && (weight_.value.requires_grad() || version != copied_)) kernel_->changed();
  copied_ = version;
}

Tensor Linear::backward(const Context& c, const Tensor& x, const Tensor& dy) {
  const Tensor grad = used(weight_.gradient()), bias_grad = used(gradient_of(bias_));
  if (grad.defined() || bias_grad.defined()) kernel(c).gradient(x, dy, grad, bias_grad);
  return kernel(c).backward(dy);
}

struct LinearFunction : torch::autograd::Function<LinearFunction> {
  static Tensor forward(AutogradContext* ctx, const Tensor& x, Linear* layer, const Context* c) {
    ctx->save_for_backward({x});
    keep(ctx, "layer", layer);
    keep(ctx, "context", c);
    return layer->kernel(*c).forward(x, false);
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const Tensor x = ctx->get_saved_variables()[0];
    const Tensor dx =
        kept<Linear>(ctx, "layer")->backward(*kept<const Context>(ctx, "context"), x, grads[0].contiguous());
    return {dx, Variable(), Variable()};
  }
};

Tensor Linear::operator()(const Context& c, const Tensor& x, bool wide) {
  return lora_ ? lora_->add(c, x, own(c, x, wide)) : own(c, x, wide);
}

Tensor Linear::own(const Context& c, const Tensor& x, bool wide) {
  if (c.backend) return records(x) ? LinearFunction::apply(x, this, &c) : kernel(c).forward(x, wide);
  const Tensor y = at::linear(x, used(weight_.value), bias_ ? used(bias_->value) : Tensor());
  return wide ? y.to(at::kFloat) : y;
}

namespace {

struct EmbedFunction : torch::autograd::Function<EmbedFunction> {
  static Tensor forward(AutogradContext* ctx, const Tensor& value, const Tensor& ids, Weight* weight) {
    ctx->save_for_backward({ids});
    keep(ctx, "weight", weight);
    return at::embedding(value, ids);
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const Tensor& grad = kept<Weight>(ctx, "weight")->gradient();
    grad.index_add_(0, ctx->get_saved_variables()[0], grads[0].to(at::kFloat));
    return {Variable(), Variable(), Variable()};
  }
};

}  // namespace

Tensor embed(const Context& c, Weight& weight, const Tensor& ids) {
  if (c.backend && records(weight.value)) return EmbedFunction::apply(weight.value, ids, &weight);
  return at::embedding(weight.value, ids);
}

// ---------------------------------------------------------------------------------------------------------------------
// RMS norm on the residual stream
// ---------------------------------------------------------------------------------------------------------------------

namespace {

struct NormFunction : torch::autograd::Function<NormFunction> {
  /// autograd takes no undefined input: where there is nothing to add, `add` is x and `adds` false.
  static variable_list forward(AutogradContext* ctx, const Tensor& x, const Tensor& add, bool adds, Weight* w,
                               double eps, const Context* c) {
    const NormRows r = c->backend->norm(x, adds ? add : Tensor(), w->value.detach(), eps);
    ctx->save_for_backward({r.sum, r.rstd});
    ctx->saved_data["adds"] = adds;
    keep(ctx, "weight", w);
    keep(ctx, "context", c);
    return {adds ? r.sum : x.view_as(x), r.normed};
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const variable_list saved = ctx->get_saved_variables();
    Weight& w = *kept<Weight>(ctx, "weight");
    const Tensor d_sum = grads[0].defined() ? grads[0].contiguous() : Tensor();
    const Tensor dx = kept<const Context>(ctx, "context")
                          ->backend->norm_backward(d_sum, grads[1].contiguous(), saved[0], w.value.detach(),
                                                   saved[1], w.gradient());
    return {dx,        ctx->saved_data["adds"].toBool() ? dx : Variable(), Variable(), Variable(), Variable(),
            Variable()};
  }
};

Tensor plain_norm(const Tensor& x, const Tensor& w, double eps) {
  const Tensor wide = x.to(at::kFloat);
  return w * (wide * at::rsqrt(wide.square().mean(-1, true) + eps)).to(x.scalar_type());
}

}  // namespace

Normed add_rms_norm(const Context& c, const Tensor& x, const Tensor& add, Weight& w, double eps) {
  if (c.backend) {
    if (!records(x)) {
      const NormRows r = c.backend->norm(x, add, w.value.detach(), eps);
      return {r.sum, r.normed};
    }
    const variable_list r = NormFunction::apply(x, add.defined() ? add : x, add.defined(), &w, eps, &c);
    return {r[0], r[1]};
  }
  const Tensor sum = add.defined() ? x + add : x;
  return {sum, plain_norm(sum, w.value, eps)};
}

// ---------------------------------------------------------------------------------------------------------------------
// Heads: split, norm, rotate
// ---------------------------------------------------------------------------------------------------------------------

namespace {

/// The order of operations is transformers', so that the bits are.
Tensor stretch(const Tensor& frequency, const RopeScaling& s) {
  const double original = static_cast<double>(s.original);
  const Tensor wavelength = 2 * std::numbers::pi / frequency;
  const Tensor slow = wavelength > original / s.low, fast = wavelength < original / s.high;
  const Tensor ends = at::where(slow, frequency / s.factor, frequency);
  const Tensor smooth = (original / wavelength - s.low) / (s.high - s.low);
  const Tensor mixed = (1 - smooth) * ends / s.factor + smooth * ends;
  return at::where(slow.logical_or(fast), ends, mixed);
}

}  // namespace

Rotation rotation(const Tensor& positions, int64_t channels, double theta, const RopeScaling& scaling) {
  const Tensor exponent = at::arange(0, channels, 2, positions.options().dtype(at::kLong)).to(at::kFloat) /
                          static_cast<double>(channels);
  Tensor inverse = 1.0 / at::pow(theta, exponent);
  if (scaling.original > 0) inverse = stretch(inverse, scaling);
  const Tensor angle = positions.to(at::kFloat).unsqueeze(1) * inverse.unsqueeze(0);
  return {angle.cos().contiguous(), angle.sin().contiguous()};
}

namespace {

struct SplitFunction : torch::autograd::Function<SplitFunction> {
  static variable_list forward(AutogradContext* ctx, const Tensor& qkv, const HeadShape& s, Weight* q_norm,
                               Weight* k_norm, double eps, const Tensor& cos, const Tensor& sin,
                               const Context* c) {
    const SplitRows r = c->backend->split(qkv, s, value_of(q_norm), value_of(k_norm), eps, {cos, sin});
    ctx->save_for_backward({qkv, cos, sin, r.rstd});
    keep(ctx, "q_norm", q_norm);
    keep(ctx, "k_norm", k_norm);
    keep(ctx, "context", c);
    return {r.heads.q, r.heads.k, r.heads.v};
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const variable_list saved = ctx->get_saved_variables();
    Weight *q_norm = kept<Weight>(ctx, "q_norm"), *k_norm = kept<Weight>(ctx, "k_norm");
    variable_list result(8);
    result[0] =
        kept<const Context>(ctx, "context")
            ->backend->split_backward({grads[0].contiguous(), grads[1].contiguous(), grads[2].contiguous()},
                                      saved[0], value_of(q_norm), value_of(k_norm), saved[3],
                                      {saved[1], saved[2]}, gradient_of(q_norm), gradient_of(k_norm));
    return result;
  }
};

Tensor rotate(const Tensor& x, const Rotation& r) {
  const Tensor cos = at::cat({r.cos, r.cos}, 1).unsqueeze(1).to(x.scalar_type());
  const Tensor sin = at::cat({r.sin, r.sin}, 1).unsqueeze(1).to(x.scalar_type());
  const int64_t half = x.size(2) / 2;
  const Tensor turned = at::cat({-x.narrow(2, half, half), x.narrow(2, 0, half)}, 2);
  return x * cos + turned * sin;
}

}  // namespace

Heads split_heads(const Context& c, const Tensor& qkv, HeadShape s, Weight* q_norm, Weight* k_norm,
                  double eps, const Rotation& r) {
  if (c.backend) {
    if (!records(qkv)) return c.backend->split(qkv, s, value_of(q_norm), value_of(k_norm), eps, r).heads;
    const variable_list parts = SplitFunction::apply(qkv, s, q_norm, k_norm, eps, r.cos, r.sin, &c);
    return {parts[0], parts[1], parts[2]};
  }
  const int64_t t = qkv.size(0), ch = s.channels;
  Tensor q = qkv.narrow(1, 0, s.heads * ch).view({t, s.heads, ch});
  Tensor k = qkv.narrow(1, s.heads * ch, s.kv_heads * ch).view({t, s.kv_heads, ch});
  const Tensor v = qkv.narrow(1, (s.heads + s.kv_heads) * ch, s.kv_heads * ch).view({t, s.kv_heads, ch});
  if (q_norm) {
    q = plain_norm(q, q_norm->value, eps);
    k = plain_norm(k, k_norm->value, eps);
  }
  return {rotate(q, r), rotate(k, r), v};
}

// ---------------------------------------------------------------------------------------------------------------------
// SwiGLU
// ---------------------------------------------------------------------------------------------------------------------

namespace {

struct SwigluFunction : torch::autograd::Function<SwigluFunction> {
  static Tensor forward(AutogradContext* ctx, const Tensor& gate_up, const Context* c) {
    ctx->save_for_backward({gate_up});
    keep(ctx, "context", c);
    return c->backend->swiglu(gate_up);
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const Tensor d = kept<const Context>(ctx, "context")
                         ->backend->swiglu_backward(ctx->get_saved_variables()[0], grads[0].contiguous());
    return {d, Variable()};
  }
};

}  // namespace

Tensor swiglu(const Context& c, const Tensor& gate_up) {
  if (c.backend) return records(gate_up) ? SwigluFunction::apply(gate_up, &c) : c.backend->swiglu(gate_up);
  const int64_t f = gate_up.size(1) / 2;
  return at::silu(gate_up.narrow(1, 0, f)) * gate_up.narrow(1, f, f);
}

// ---------------------------------------------------------------------------------------------------------------------
// Log-probs
// ---------------------------------------------------------------------------------------------------------------------

namespace {

struct TakeFunction : torch::autograd::Function<TakeFunction> {
  static Tensor forward(AutogradContext* ctx, const Tensor& h, const Tensor& rows) {
    ctx->save_for_backward({rows});
    ctx->saved_data["count"] = h.size(0);
    return h.index_select(0, rows);
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const Tensor sum =
        at::zeros({ctx->saved_data["count"].toInt(), grads[0].size(1)}, grads[0].options().dtype(at::kFloat));
    sum.index_add_(0, ctx->get_saved_variables()[0], grads[0].to(at::kFloat));
    return {sum.to(grads[0].scalar_type()), Variable()};
  }
};

/// Calls f(first row, logits of up to kLogitRows rows) for all of h.
template <class F>
void over_logits(const Context& c, const Tensor& h, Linear& head, const F& f) {
  const at::NoGradGuard guard;
  for (int64_t i = 0; i < h.size(0); i += kLogitRows)
    f(i, head(c, h.narrow(0, i, std::min(kLogitRows, h.size(0) - i)), /*wide=*/true));
}

/// What the backend says of all rows of h; `look` sees their logits.
template <class F>
LogpRows logp_rows(const Context& c, const Tensor& h, const Tensor& ids, Linear& head, double temperature,
                   const F& look) {
  const int64_t n = h.size(0);
  const auto wide = h.options().dtype(at::kFloat).requires_grad(false);
  const LogpRows all{at::empty({n}, wide), at::empty({n}, wide), at::empty({n, 3}, wide)};
  over_logits(c, h, head, [&](int64_t first, const Tensor& logits) {
    const int64_t rows = logits.size(0);
    const LogpRows part = c.backend->logp(logits, ids.narrow(0, first, rows), temperature);
    all.logp.narrow(0, first, rows).copy_(part.logp);
    all.entropy.narrow(0, first, rows).copy_(part.entropy);
    all.stats.narrow(0, first, rows).copy_(part.stats);
    look(logits);
  });
  return all;
}

void add_top(const Tensor& logits, std::vector<int32_t>& top) {
  const Tensor best = logits.argmax(1).to(at::kCPU, at::kInt);
  top.insert(top.end(), best.const_data_ptr<int32_t>(), best.const_data_ptr<int32_t>() + best.numel());
}

struct LogpFunction : torch::autograd::Function<LogpFunction> {
  static variable_list forward(AutogradContext* ctx, const Tensor& h, const Tensor& ids, Linear* head,
                               double temperature, const Context* c) {
    const LogpRows r = logp_rows(*c, h, ids, *head, temperature, [](const Tensor&) {});
    ctx->save_for_backward({h, ids, r.stats});
    ctx->saved_data["temperature"] = temperature;
    keep(ctx, "head", head);
    keep(ctx, "context", c);
    return {r.logp, r.entropy};
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const variable_list saved = ctx->get_saved_variables();
    const Tensor &h = saved[0], &ids = saved[1], &stats = saved[2];
    const Context& c = *kept<const Context>(ctx, "context");
    Linear& head = *kept<Linear>(ctx, "head");
    const double temperature = ctx->saved_data["temperature"].toDouble();
    const auto given = [&](const Tensor& g) {
      return g.defined() ? g.contiguous() : at::zeros({h.size(0)}, stats.options());
    };
    const Tensor d_logp = given(grads[0]), d_entropy = given(grads[1]), dh = at::empty_like(h);
    over_logits(c, h, head, [&](int64_t first, const Tensor& logits) {
      const int64_t rows = logits.size(0);
      const auto part = [&](const Tensor& t) { return t.narrow(0, first, rows); };
      const Tensor d = c.backend->logp_backward(logits, part(ids), part(stats), temperature, part(d_logp),
                                                part(d_entropy));
      part(dh).copy_(head.backward(c, part(h), d));
    });
    return {dh, Variable(), Variable(), Variable(), Variable()};
  }
};

}  // namespace

Tensor take_rows(const Tensor& h, const std::vector<int64_t>& rows) {
  return TakeFunction::apply(h, at::tensor(rows).to(h.device()));
}

TokenLogp token_logp(const Context& c, const Tensor& h, Linear& head, const std::vector<int32_t>& ids,
                     double temperature, std::vector<int32_t>* top) {
  for (const int32_t id : ids)
    if (id < 0 || id >= head.outputs())
      throw Error("INVALID_ARGUMENT", "ids: there is no logit for " + std::to_string(id) +
                                          ", expected 0 to " + std::to_string(head.outputs() - 1));
  TORCH_INTERNAL_ASSERT(!top || !at::GradMode::is_enabled());
  const Tensor id = at::tensor(ids, at::kInt).to(h.device());
  if (c.backend && top) {
    const LogpRows r =
        logp_rows(c, h, id, head, temperature, [top](const Tensor& logits) { add_top(logits, *top); });
    return {r.logp, r.entropy};
  }
  if (c.backend) {
    const variable_list r = LogpFunction::apply(h, id, &head, temperature, &c);
    return {r[0], r[1]};
  }
  Tensor logits = head(c, h, true);
  if (top) add_top(logits, *top);
  const Tensor logp = at::log_softmax(logits / temperature, 1);
  logits.reset();
  return {logp.gather(1, id.to(at::kLong).unsqueeze(1)).squeeze(1), -(logp.exp() * logp).sum(1)};
}

// ---------------------------------------------------------------------------------------------------------------------
// Values
// ---------------------------------------------------------------------------------------------------------------------

namespace {

Tensor wide(const Tensor& t) { return t.detach().to(at::kFloat); }

struct ValueFunction : torch::autograd::Function<ValueFunction> {
  static Tensor forward(AutogradContext* ctx, const Tensor& h, Weight* w, const Context* c) {
    ctx->save_for_backward({h});
    keep(ctx, "weight", w);
    keep(ctx, "context", c);
    return of(*c, h, *w);
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const Tensor h = ctx->get_saved_variables()[0], d = grads[0].contiguous().unsqueeze(1);
    Weight& w = *kept<Weight>(ctx, "weight");
    w.gradient().add_(kept<const Context>(ctx, "context")->backend->product(d.t(), wide(h)));
    return {(d * wide(w.value)).to(h.scalar_type()), Variable(), Variable()};
  }
  static Tensor of(const Context& c, const Tensor& h, const Weight& w) {
    return c.backend->product(wide(h), wide(w.value).t()).squeeze(1);
  }
};

}  // namespace

Tensor token_values(const Context& c, const Tensor& h, Weight& w) {
  if (!c.backend) return at::linear(h.to(at::kFloat), w.value.to(at::kFloat)).squeeze(1);
  return records(h) ? ValueFunction::apply(h, &w, &c) : ValueFunction::of(c, h, w);
}

// ---------------------------------------------------------------------------------------------------------------------
// Sampling
// ---------------------------------------------------------------------------------------------------------------------

std::vector<Draw> sample(const Context& c, const Tensor& logits, std::span<const Sampling* const> how,
                         std::span<const double> uniform) {
  if (c.backend) return c.backend->sample(logits, how, uniform);
  const Tensor host = logits.to(at::kCPU).contiguous();
  const size_t vocab = static_cast<size_t>(host.size(1));
  std::vector<Draw> draws;
  for (size_t i = 0; i < how.size(); i++)
    draws.push_back(draw({host.const_data_ptr<float>() + i * vocab, vocab}, *how[i], uniform[i]));
  return draws;
}

}  // namespace tarl

#include "optimizer.h"

#include <ATen/ops/_fused_adamw.h>

#include <cmath>

namespace tarl {

using at::Tensor;

namespace {

/// Product of small fp32 matrices, on our kernels where they run.
Tensor product(const Context& c, const Tensor& a, const Tensor& b) {
  if (!on_kernels(c, a)) return at::mm(a, b);
  Packed packed;
  packed.pack(c.pool, b.size(0), b.size(1), b.const_data_ptr<float>(), b.stride(0), b.stride(1), 0,
              b.size(1));
  Tensor y = at::empty({a.size(0), b.size(1)}, a.options());
  gemm(c.pool, a.size(0), {a.const_data_ptr<float>(), a.stride(0), a.stride(1)}, packed,
       y.mutable_data_ptr<float>(), b.size(1), false);
  return y;
}

/// Nearly orthogonal matrix with the row and column spaces of g: five quintic Newton-Schulz iterations
/// (Jordan et al., Muon, 2024).
Tensor orthogonalise(const Context& c, const Tensor& g) {
  const bool tall = g.size(0) > g.size(1);
  Tensor x = tall ? g.t().contiguous() : g;
  x = x / (x.norm() + 1e-7);
  for (int i = 0; i < 5; i++) {
    const Tensor a = product(c, x, x.t());
    const Tensor b = a * -4.7750 + product(c, a, a) * 2.0315;
    x = x * 3.4445 + product(c, b, x);
  }
  return tall ? x.t() : x;
}

}  // namespace

Optimizer::Optimizer(std::vector<Parameter>& parameters) : parameters_(parameters) {}

void Optimizer::prepare() {
  if (!slots_.empty()) return;
  const at::NoGradGuard guard;
  steps_ = at::zeros({1}, at::kFloat);
  state_["steps"] = steps_;
  for (Parameter& p : parameters_) {
    const auto wide = p.value.options().dtype(at::kFloat).requires_grad(false);
    Slot slot{&p, p.value.detach(), at::zeros(p.value.sizes(), wide), at::zeros(p.value.sizes(), wide)};
    if (p.value.scalar_type() != at::kFloat) {
      slot.master = p.value.detach().to(at::kFloat);
      state_["master/" + p.name] = slot.master;
    }
    state_["m/" + p.name] = slot.m;
    state_["v/" + p.name] = slot.v;
    slots_.push_back(slot);
  }
}

std::map<std::string, Tensor>& Optimizer::state() {
  prepare();
  return state_;
}

double Optimizer::gradient_norm() const {
  double sum = 0;
  for (const Parameter& p : parameters_)
    if (p.value.grad().defined()) sum += p.value.grad().to(at::kDouble).square().sum().item<double>();
  return std::sqrt(sum);
}

void Optimizer::clear_gradients() {
  for (Parameter& p : parameters_)
    if (p.value.grad().defined()) p.value.mutable_grad().zero_();
}

double Optimizer::step(const Context& c, const OptimizerOptions& o) {
  prepare();
  const at::NoGradGuard guard;
  const double norm = gradient_norm();
  if (std::isfinite(norm)) {
    const double scale = o.max_grad_norm > 0 ? std::min(1.0, o.max_grad_norm / (norm + 1e-6)) : 1.0;
    steps_.add_(1);
    for (Slot& slot : slots_) {
      if (!slot.parameter->value.grad().defined()) continue;
      if (scale < 1) slot.parameter->value.mutable_grad().mul_(scale);
      const bool matrix = slot.parameter->value.dim() == 2;
      if (o.muon && matrix && slot.parameter->name.starts_with("model.layers."))
        muon(c, slot, o);
      else
        adamw(slot, o);
      if (slot.master.scalar_type() != slot.parameter->value.scalar_type())
        slot.parameter->value.detach().copy_(slot.master);
    }
  }
  clear_gradients();
  return norm;
}

void Optimizer::adamw(Slot& s, const OptimizerOptions& o) {
  const Tensor g = s.parameter->value.grad().to(at::kFloat);
  Tensor steps = steps_.to(g.device()).clone();
  at::_fused_adamw_({s.master}, {g}, {s.m}, {s.v}, {}, {steps.squeeze()}, o.lr, o.beta1, o.beta2,
                    o.decay_vectors || s.parameter->value.dim() == 2 ? o.weight_decay : 0.0, o.eps, false,
                    false);
}

void Optimizer::muon(const Context& c, Slot& s, const OptimizerOptions& o) {
  constexpr double kMomentum = 0.95;
  const Tensor g = s.parameter->value.grad().to(at::kFloat);
  s.m.mul_(kMomentum).add_(g);
  const Tensor update = orthogonalise(c, g + s.m * kMomentum);
  // Scaled to AdamW's usual size of update, so that one learning rate serves both (arXiv:2502.16982, eq. 4).
  const double size = o.muon_scale * 0.2 * std::sqrt(static_cast<double>(std::max(g.size(0), g.size(1))));
  s.master.mul_(1 - o.lr * o.weight_decay).add_(update, -o.lr * size);
}

}  // namespace tarl

#include "optimizer.h"

#include <ATen/ops/_fused_adamw.h>

#include <cmath>

namespace tarl {

using at::Tensor;

namespace {

/// Product of fp32 matrices.
Tensor product(const Context& c, const Tensor& a, const Tensor& b) {
  return c.backend ? c.backend->product(a, b) : at::mm(a, b);
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

bool has_master(const Parameter& p) { return p.value.scalar_type() != at::kFloat; }

/// What Muon moves, where it is asked for: the matrices inside the layers.
bool for_muon(const Parameter& p) { return p.value.dim() == 2 && p.name.starts_with("model.layers."); }

}  // namespace

Optimizer::Optimizer(Model& model) : model_(model) {}

void Optimizer::prepare() {
  if (!slots_.empty()) return;
  const at::NoGradGuard guard;
  std::vector<Slot> slots;
  for (const Parameter& p : model_.parameters()) {
    const Tensor master = p.value.to(at::kFloat);
    slots.push_back({&p, master, at::zeros_like(master), for_muon(p) ? Tensor() : at::zeros_like(master)});
  }
  steps_ = at::zeros({1}, at::kFloat);
  slots_.swap(slots);
}

Tensor& Optimizer::second_moment(Slot& s) {
  if (!s.v.defined()) s.v = at::zeros_like(s.m);
  return s.v;
}

std::vector<std::string> Optimizer::names() {
  prepare();
  std::vector<std::string> list{"steps"};
  for (const Slot& s : slots_) {
    list.push_back("m/" + s.parameter->name);
    if (s.v.defined()) list.push_back("v/" + s.parameter->name);
    if (has_master(*s.parameter)) list.push_back("master/" + s.parameter->name);
  }
  return list;
}

Tensor Optimizer::state(const std::string& name) {
  prepare();
  if (name == "steps") return steps_;
  for (Slot& s : slots_) {
    if (name == "m/" + s.parameter->name) return s.m;
    if (name == "v/" + s.parameter->name) return second_moment(s);
    if (name == "master/" + s.parameter->name && has_master(*s.parameter)) return s.master;
  }
  return {};
}

double Optimizer::gradient_norm(const Context& c) const {
  std::vector<Tensor> grads;
  for (const auto& weight : model_.weights())
    if (weight->grad.defined()) grads.push_back(weight->grad);
  if (c.backend) return std::sqrt(c.backend->sum_squares(grads));
  Tensor sum;  // stays on the device, so that it is waited for once
  for (const Tensor& grad : grads) {
    const Tensor square = grad.to(at::kDouble).square().sum();
    sum = sum.defined() ? sum + square : square;
  }
  return sum.defined() ? std::sqrt(sum.item<double>()) : 0;
}

void Optimizer::clear_gradients() {
  for (const auto& weight : model_.weights()) {
    weight->value.mutable_grad().reset();
    if (weight->grad.defined()) weight->grad.zero_();
  }
}

double Optimizer::step(const Context& c, const OptimizerOptions& o) {
  prepare();
  const at::NoGradGuard guard;
  const double norm = gradient_norm(c);
  if (std::isfinite(norm)) {
    const double scale = o.max_grad_norm > 0 ? std::min(1.0, o.max_grad_norm / (norm + 1e-6)) : 1.0;
    steps_.add_(1);
    for (Slot& slot : slots_) {
      if (!slot.parameter->gradient().defined()) continue;
      if (o.muon && for_muon(*slot.parameter))
        muon(c, slot, scale, o);
      else
        adamw(c, slot, scale, o);
    }
  }
  clear_gradients();
  return norm;
}

void Optimizer::adamw(const Context& c, Slot& s, double scale, const OptimizerOptions& o) {
  const Tensor g = s.parameter->gradient(), &v = second_moment(s);
  const double decay = o.decay_vectors || s.parameter->value.dim() == 2 ? o.weight_decay : 0;
  if (c.backend) {
    const AdamwStep step{o.lr, o.beta1, o.beta2, o.eps, decay, static_cast<int64_t>(steps_.item<float>()),
                         scale};
    c.backend->adamw(s.parameter->value, g, s.master, s.m, v, step);
    return;
  }
  const Tensor steps = steps_.to(g.device()).squeeze();
  at::_fused_adamw_({s.master}, {scale < 1 ? g * scale : g}, {s.m}, {v}, {}, {steps}, o.lr, o.beta1, o.beta2,
                    decay, o.eps, false, false);
  if (has_master(*s.parameter)) s.parameter->value.copy_(s.master);
}

void Optimizer::muon(const Context& c, Slot& s, double scale, const OptimizerOptions& o) {
  constexpr double kMomentum = 0.95;
  const Tensor g = s.parameter->gradient() * scale;
  s.m.mul_(kMomentum).add_(g);
  const Tensor update = orthogonalise(c, g + s.m * kMomentum);
  // Scaled to AdamW's usual size of update, so that one learning rate serves both (arXiv:2502.16982, eq. 4).
  const double size = o.muon_scale * 0.2 * std::sqrt(static_cast<double>(std::max(g.size(0), g.size(1))));
  s.master.mul_(1 - o.lr * o.muon_scale * o.weight_decay).add_(update, -o.lr * size);
  if (has_master(*s.parameter)) s.parameter->value.copy_(s.master);
}

}  // namespace tarl

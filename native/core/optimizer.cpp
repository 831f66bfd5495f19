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

bool has_master(const Parameter& p) { return p.value.scalar_type() != at::kFloat; }

/// What Muon moves, where it is asked for: the matrices inside the layers.
bool for_muon(const Parameter& p) { return p.value.dim() == 2 && p.name.starts_with("model.layers."); }

}  // namespace

Optimizer::Optimizer(std::vector<Parameter>& parameters) : parameters_(parameters) {}

void Optimizer::prepare() {
  if (!slots_.empty()) return;
  const at::NoGradGuard guard;
  std::vector<Slot> slots;
  for (Parameter& p : parameters_) {
    const Tensor weights = p.value.detach(), master = weights.to(at::kFloat);
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

double Optimizer::gradient_norm() const {
  Tensor sum;  // stays on the device, so that it is waited for once
  for (const Parameter& p : parameters_) {
    if (!p.value.grad().defined()) continue;
    const Tensor square = p.value.grad().to(at::kDouble).square().sum();
    sum = sum.defined() ? sum + square : square;
  }
  return sum.defined() ? std::sqrt(sum.item<double>()) : 0;
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
    const Tensor steps = steps_.to(parameters_.front().value.device()).squeeze();
    for (Slot& slot : slots_) {
      if (!slot.parameter->value.grad().defined()) continue;
      if (scale < 1) slot.parameter->value.mutable_grad().mul_(scale);
      if (o.muon && for_muon(*slot.parameter))
        muon(c, slot, o);
      else
        adamw(slot, steps, o);
      if (has_master(*slot.parameter)) slot.parameter->value.detach().copy_(slot.master);
    }
  }
  clear_gradients();
  return norm;
}

void Optimizer::adamw(Slot& s, const Tensor& steps, const OptimizerOptions& o) {
  const Tensor g = s.parameter->value.grad().to(at::kFloat);
  at::_fused_adamw_({s.master}, {g}, {s.m}, {second_moment(s)}, {}, {steps}, o.lr, o.beta1, o.beta2,
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
  s.master.mul_(1 - o.lr * o.muon_scale * o.weight_decay).add_(update, -o.lr * size);
}

}  // namespace tarl

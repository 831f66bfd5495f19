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

/// What Muon moves, where it is asked for: the matrices inside the layers.
bool for_muon(const Parameter& p) { return p.value.dim() == 2 && p.name.starts_with("model.layers."); }

/// State in fewer bits is updated in parts of this many numbers, so that little of it is fp32 at once.
constexpr int64_t kPart = kBlock << 12;

}  // namespace

Optimizer::Optimizer(Model& model, const StateOptions& options) : model_(model), options_(options) {}

void Optimizer::prepare() {
  if (!slots_.empty()) return;
  const at::NoGradGuard guard;
  std::vector<Slot> slots;
  for (const Parameter& p : model_.learned()) {
    Slot slot{&p, {p.value, options_.master}, {p.value, Moment::Kind::first, options_.moments}, {}};
    if (!for_muon(p)) second_moment(slot);
    slots.push_back(std::move(slot));
  }
  steps_ = at::zeros({1}, at::kFloat);
  slots_.swap(slots);
}

Moment& Optimizer::second_moment(Slot& s) const {
  if (!s.v.defined()) s.v = {s.parameter->value, Moment::Kind::second, options_.moments};
  return s.v;
}

std::vector<std::string> Optimizer::names() {
  prepare();
  std::vector<std::string> list{"steps"};
  for (const Slot& s : slots_) {
    const std::pair<const char*, Tensor> tensors[] = {{"m/", s.m.values()},         {"m.scale/", s.m.scale()},
                                                      {"v/", s.v.values()},         {"v.scale/", s.v.scale()},
                                                      {"master/", s.master.copy()}, {"low/", s.master.low()}};
    for (const auto& [kind, tensor] : tensors)
      if (tensor.defined()) list.push_back(kind + s.parameter->name);
  }
  return list;
}

Tensor Optimizer::state(const std::string& name) {
  prepare();
  if (name == "steps") return steps_;
  const size_t slash = name.find('/');
  const std::string kind = name.substr(0, slash), parameter = name.substr(std::min(slash + 1, name.size()));
  for (Slot& s : slots_) {
    if (s.parameter->name != parameter) continue;
    if (kind == "m") return s.m.values();
    if (kind == "m.scale") return s.m.scale();
    if (kind == "v") return second_moment(s).values();
    if (kind == "v.scale") return second_moment(s).scale();
    if (kind == "master") return s.master.copy();
    if (kind == "low") return s.master.low();
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
    uint64_t seed = static_cast<uint64_t>(steps_.item<float>()) << 32;
    for (Slot& slot : slots_) {
      seed++;
      if (!slot.parameter->gradient().defined()) continue;
      if (o.muon && for_muon(*slot.parameter))
        muon(c, slot, scale, o, seed);
      else
        adamw(c, slot, scale, o, seed);
    }
  }
  clear_gradients();
  return norm;
}

void Optimizer::adamw(const Context& c, Slot& s, double scale, const OptimizerOptions& o, uint64_t seed) {
  Moment& second = second_moment(s);
  const Tensor value = s.parameter->value.view({-1}), grad = s.parameter->gradient().reshape({-1});
  const bool whole = s.master.whole() && s.m.whole() && second.whole();
  const double decay = o.decay_vectors || s.parameter->value.dim() == 2 ? o.weight_decay : 0;
  const AdamwStep step{o.lr, o.beta1, o.beta2, o.eps, decay, static_cast<int64_t>(steps_.item<float>()),
                       scale};
  for (int64_t from = 0; from < value.numel();) {
    const int64_t count = whole ? value.numel() : std::min(kPart, value.numel() - from);
    const Tensor g = grad.narrow(0, from, count), master = s.master.part(from, count),
                 m = s.m.part(from, count), v = second.part(from, count);
    if (c.backend)
      c.backend->adamw(value.narrow(0, from, count), g, master, m, v, step);
    else
      at::_fused_adamw_({master}, {scale < 1 ? g * scale : g}, {m}, {v}, {},
                        {steps_.to(g.device()).squeeze()}, o.lr, o.beta1, o.beta2, decay, o.eps, false,
                        false);
    s.m.keep(from, m);
    second.keep(from, v);
    if (!c.backend || !s.master.whole()) s.master.keep(from, master, seed);  // else the kernel has done it
    from += count;
  }
}

void Optimizer::muon(const Context& c, Slot& s, double scale, const OptimizerOptions& o, uint64_t seed) {
  constexpr double kMomentum = 0.95;
  const Tensor g = s.parameter->gradient() * scale;
  Tensor m = s.m.part(0, g.numel()), master = s.master.part(0, g.numel());
  m.mul_(kMomentum).add_(g.view({-1}));
  const Tensor update = orthogonalise(c, g + m.view_as(g) * kMomentum);
  // Scaled to AdamW's usual size of update, so that one learning rate serves both (arXiv:2502.16982, eq. 4).
  const double size = o.muon_scale * 0.2 * std::sqrt(static_cast<double>(std::max(g.size(0), g.size(1))));
  master.mul_(1 - o.lr * o.muon_scale * o.weight_decay).add_(update.reshape({-1}), -o.lr * size);
  s.m.keep(0, m);
  s.master.keep(0, master, seed);
}

}  // namespace tarl

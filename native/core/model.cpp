#include "model.h"

#include <ATen/CPUGeneratorImpl.h>

#include <algorithm>
#include <map>

#include "error.h"
#include "start.h"

namespace tarl {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

namespace {

/// Of transformers' classes for token classification, here with one label.
constexpr const char* kValueHead = "score.weight";

/// Name in PEFT's files of an adapter's matrix (which: "A" or "B") for a linear layer of the model.
std::string adapter_name(const std::string& linear, const char* which) {
  return "base_model.model." + linear + ".lora_" + which + ".weight";
}

}  // namespace

Tensor Parameter::gradient() const {
  return weight->grad.defined() ? weight->grad.narrow(0, row, value.size(0)) : Tensor();
}

Model::Model(const ModelConfig& config, const std::vector<Shape>& shapes, at::Device device,
             at::ScalarType dtype, int64_t vocab_limit, bool trained, const LoraOptions& lora)
    : config_(config), options_(at::TensorOptions().device(device).dtype(dtype)) {
  std::map<std::string, const Shape*> known;
  for (const Shape& shape : shapes) known[shape.name] = &shape;
  std::map<std::string, Parameter> made;

  /// Parameters with these names as the rows of one weight; null where none of them is known.
  const auto stack = [&](const std::vector<std::string>& names) -> Weight* {
    if (!known.count(names[0])) return nullptr;
    std::vector<int64_t> sizes = known[names[0]]->sizes;
    sizes[0] = 0;
    for (const std::string& name : names) {
      require(known.count(name), "parameter " + name + " is missing");
      sizes[0] += known[name]->sizes[0];
    }
    const Tensor value = at::zeros(sizes, options_).requires_grad_(trained && lora.rank == 0);
    Weight* weight = weights_.emplace_back(std::make_unique<Weight>(value)).get();
    int64_t row = 0;
    for (const std::string& name : names) {
      const int64_t rows = known[name]->sizes[0];
      made[name] = {name, value.detach().narrow(0, row, rows), weight, row};
      row += rows;
    }
    return weight;
  };
  const auto single = [&](const std::string& name) -> Weight& {
    Weight* weight = stack({name});
    require(weight, "parameter " + name + " is missing");
    return *weight;
  };
  const auto adapter = [&](const std::string& name, std::vector<int64_t> sizes) -> Weight& {
    const Tensor value = at::zeros(sizes, options_).requires_grad_(trained);
    Weight& weight = *weights_.emplace_back(std::make_unique<Weight>(value));
    adapters_.push_back({name, value.detach(), &weight, 0});
    return weight;
  };
  /// An adapter for the parts of a linear layer that have one.
  const auto adapt = [&](Linear& linear, const std::vector<std::string>& weights) {
    auto added = std::make_unique<Lora>(lora_scale_);
    bool any = false;
    for (const std::string& weight : weights) {
      const std::string name = weight.substr(0, weight.rfind('.'));  // without ".weight"
      const std::vector<int64_t>& sizes = known[weight]->sizes;
      if (std::count(lora.targets.begin(), lora.targets.end(), name.substr(name.rfind('.') + 1)) == 0) {
        added->skip(sizes[0]);
        continue;
      }
      Weight& a = adapter(adapter_name(name, "A"), {lora.rank, sizes[1]});
      added->adapt(a, adapter(adapter_name(name, "B"), {sizes[0], lora.rank}));
      any = true;
    }
    if (any) loras_.emplace_back(&linear, std::move(added));
  };
  const auto linear = [&](const std::string& layer, std::initializer_list<const char*> names) {
    std::vector<std::string> weights, biases;
    for (const char* name : names) {
      weights.push_back(layer + name + ".weight");
      biases.push_back(layer + name + ".bias");
    }
    Weight* weight = stack(weights);
    require(weight, "parameter " + weights[0] + " is missing");
    auto result = std::make_unique<Linear>(*weight, stack(biases));
    if (lora.rank > 0) adapt(*result, weights);
    return result;
  };

  if (lora.rank > 0) lora_scale_ = lora.scale();

  embedding_ = &single("model.embed_tokens.weight");
  for (int64_t i = 0; i < config.layers; i++) {
    const std::string at = "model.layers." + std::to_string(i) + ".";
    layers_.push_back({&single(at + "input_layernorm.weight"), stack({at + "self_attn.q_norm.weight"}),
                       stack({at + "self_attn.k_norm.weight"}),
                       &single(at + "post_attention_layernorm.weight"),
                       linear(at, {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"}),
                       linear(at, {"self_attn.o_proj"}), linear(at, {"mlp.gate_proj", "mlp.up_proj"}),
                       linear(at, {"mlp.down_proj"})});
  }
  final_norm_ = &single("model.norm.weight");
  if (config.output != Output::values)
    head_ =
        std::make_unique<Linear>(config.tied ? *embedding_ : single("lm_head.weight"), nullptr, vocab_limit);
  if (config.output != Output::logits) value_head_ = &single(kValueHead);
  require(!value_head_ || lora.rank == 0, "lora: a value head is not learned with an adapter");
  for (const Shape& shape : shapes) {
    require(made.count(shape.name), "parameter " + shape.name + " is not one of this model");
    parameters_.push_back(made[shape.name]);
  }
  use_adapter(true);
}

void Model::use_adapter(bool on) {
  for (auto& [linear, lora] : loras_) linear->adapt(on ? lora.get() : nullptr);
}

const Parameter* Model::parameter(const std::string& name) const {
  for (const std::vector<Parameter>* list : {&parameters_, &adapters_})
    for (const Parameter& p : *list)
      if (p.name == name) return &p;
  return nullptr;
}

Tensor Model::merged(const Parameter& p) const {
  const std::string linear = p.name.substr(0, p.name.rfind('.'));
  const Parameter* a = parameter(adapter_name(linear, "A"));
  const Tensor own = p.value.to(at::kFloat);
  if (!a || !p.name.ends_with(".weight")) return own;
  const Tensor b = parameter(adapter_name(linear, "B"))->value.to(at::kFloat);
  return own + at::mm(b, a->value.to(at::kFloat)) * lora_scale_;
}

Linear& Model::head() const {
  require(head_ != nullptr, "a critic has values and no logits");
  return *head_;
}

Weight& Model::value_head() const {
  require(value_head_ != nullptr, "a policy without a critic's head has no values");
  return *value_head_;
}

void Model::changed() {
  for (Layer& layer : layers_)
    for (Linear* linear : layer.linears()) linear->changed();
  for (auto& [linear, lora] : loras_) lora->changed();
  if (head_) head_->changed();
}

void Model::initialise_adapter(uint64_t seed) {
  const at::NoGradGuard guard;
  at::Generator random = at::detail::createCPUGenerator(seed);
  for (Parameter& p : adapters_) {
    if (p.name.ends_with("lora_B.weight")) {
      p.value.zero_();
      continue;
    }
    const double bound = 1 / std::sqrt(static_cast<double>(p.value.size(1)));
    p.value.copy_(at::empty(p.value.sizes(), at::kFloat).uniform_(-bound, bound, random));
  }
  changed();
}

void Model::initialise(uint64_t seed) {
  const at::NoGradGuard guard;
  StartValues start(config_.initializer_range, config_.layers, seed);
  for (Parameter& p : parameters_) {
    if (p.weight == value_head_) {
      p.value.zero_();
      continue;
    }
    start.next(p.name, p.value.sizes(), [&](int64_t from, const Tensor& values) {
      p.value.view(-1).narrow(0, from, values.size(0)).copy_(values);
    });
  }
  changed();
}

// ---------------------------------------------------------------------------------------------------------------------
// Forward
// ---------------------------------------------------------------------------------------------------------------------

Model::Residual Model::run(const Pass& pass, int64_t i, const Normed& input) {
  const Context& c = pass.context;
  Layer& layer = layers_[static_cast<size_t>(i)];
  const HeadShape shape{config_.heads, config_.kv_heads, config_.channels};
  const Heads heads = split_heads(c, (*layer.qkv)(c, input.normed), shape, layer.q_norm, layer.k_norm,
                                  config_.eps, pass.turn);
  const Tensor mixed = (*layer.o)(c, pass.attend(i, heads));
  const Normed between = add_rms_norm(c, input.sum, mixed, *layer.post_norm, config_.eps);
  return {between.sum, (*layer.down)(c, swiglu(c, (*layer.gate_up)(c, between.normed)))};
}

/// A layer of which only the input is kept: the residual stream, added up. Backward runs the layer again with
/// autograd on, and then that graph's backward; gradients of weights are left where they always are.
struct Model::LayerFunction : torch::autograd::Function<LayerFunction> {
  /// autograd takes no undefined input: where there is nothing to add, `delta` is the stream and `adds`
  /// false.
  static variable_list forward(AutogradContext* ctx, const Tensor& stream, const Tensor& delta, bool adds,
                               const c10::intrusive_ptr<Pass>& pass, int64_t layer) {
    const Normed input = norm(*pass, layer, stream, adds ? delta : Tensor());
    ctx->save_for_backward({input.sum});
    ctx->saved_data["adds"] = adds;
    ctx->saved_data["pass"] = c10::IValue::make_capsule(pass);
    ctx->saved_data["layer"] = layer;
    const Residual r = pass->model.run(*pass, layer, input);
    return {r.stream, r.delta};
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const at::AutoGradMode recording(true);
    const auto pass = c10::static_intrusive_pointer_cast<Pass>(ctx->saved_data["pass"].toCapsule());
    const int64_t layer = ctx->saved_data["layer"].toInt();
    const Tensor sum = ctx->get_saved_variables()[0].detach().requires_grad_();
    const Residual r = pass->model.run(*pass, layer, norm(*pass, layer, sum, {}));
    torch::autograd::backward({r.stream, r.delta}, {grads[0], grads[1]});
    const Tensor dx = sum.grad();
    return {dx, ctx->saved_data["adds"].toBool() ? dx : Variable(), Variable(), Variable(), Variable()};
  }
  static Normed norm(const Pass& pass, int64_t layer, const Tensor& stream, const Tensor& delta) {
    return add_rms_norm(pass.context, stream, delta,
                        *pass.model.layers_[static_cast<size_t>(layer)].input_norm, pass.model.config_.eps);
  }
};

Tensor Model::forward(const Context& c, const Tensor& ids, const Tensor& positions, const Attend& attend,
                      bool recompute, std::vector<Tensor>* residuals) {
  const auto pass = c10::make_intrusive<Pass>(
      *this, c, rotation(positions, config_.channels, config_.theta, config_.rope_scaling), attend);
  Residual r{embed(c, *embedding_, ids), {}};
  const bool records = at::GradMode::is_enabled();
  // An adapter's gradients go through layers whose own input nobody learns.
  if (records && !adapters_.empty()) r.stream.requires_grad_();
  for (int64_t i = 0; i < config_.layers; i++) {
    if (recompute && records) {
      const bool adds = r.delta.defined();
      const variable_list next = LayerFunction::apply(r.stream, adds ? r.delta : r.stream, adds, pass, i);
      r = {next[0], next[1]};
      continue;
    }
    const Normed input = LayerFunction::norm(*pass, i, r.stream, r.delta);
    if (residuals) residuals->push_back(input.sum);
    r = run(*pass, i, input);
  }
  const Normed last = add_rms_norm(c, r.stream, r.delta, *final_norm_, config_.eps);
  if (residuals) residuals->push_back(last.sum);
  return last.normed;
}

}  // namespace tarl

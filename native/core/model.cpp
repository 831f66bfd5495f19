#include "model.h"

#include <map>

#include "error.h"
#include "start.h"

namespace tarl {

using at::Tensor;

Tensor Parameter::gradient() const {
  return weight->grad.defined() ? weight->grad.narrow(0, row, value.size(0)) : Tensor();
}

Model::Model(const ModelConfig& config, const std::vector<Shape>& shapes, at::Device device,
             at::ScalarType dtype, int64_t vocab_limit, bool trained)
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
    const Tensor value = at::zeros(sizes, options_).requires_grad_(trained);
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
  const auto linear = [&](const std::string& layer, std::initializer_list<const char*> names) {
    std::vector<std::string> weights, biases;
    for (const char* name : names) {
      weights.push_back(layer + name + ".weight");
      biases.push_back(layer + name + ".bias");
    }
    Weight* weight = stack(weights);
    require(weight, "parameter " + weights[0] + " is missing");
    return std::make_unique<Linear>(*weight, stack(biases));
  };

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
  head_ =
      std::make_unique<Linear>(config.tied ? *embedding_ : single("lm_head.weight"), nullptr, vocab_limit);
  for (const Shape& shape : shapes) {
    require(made.count(shape.name), "parameter " + shape.name + " is not one of this model");
    parameters_.push_back(made[shape.name]);
  }
}

const Parameter* Model::parameter(const std::string& name) const {
  for (const Parameter& p : parameters_)
    if (p.name == name) return &p;
  return nullptr;
}

void Model::changed() {
  for (Layer& layer : layers_)
    for (Linear* linear : {layer.qkv.get(), layer.o.get(), layer.gate_up.get(), layer.down.get()})
      linear->changed();
  head_->changed();
}

void Model::initialise(uint64_t seed) {
  const at::NoGradGuard guard;
  StartValues start(config_.initializer_range, config_.layers, seed);
  for (Parameter& p : parameters_)
    start.next(p.name, p.value.sizes(), [&](int64_t from, const Tensor& values) {
      p.value.view(-1).narrow(0, from, values.size(0)).copy_(values);
    });
  changed();
}

}  // namespace tarl

#include "model.h"

#include "error.h"
#include "start.h"

namespace tarl {

using at::Tensor;

Model::Model(const ModelConfig& config, const std::vector<Shape>& shapes, at::Device device,
             at::ScalarType dtype, int64_t vocab_limit, bool trained)
    : config_(config), options_(at::TensorOptions().device(device).dtype(dtype)) {
  for (const Shape& shape : shapes)
    parameters_.push_back({shape.name, at::zeros(shape.sizes, options_).requires_grad_(trained)});
  const auto weight = [&](const std::string& name) {
    const Tensor t = parameter(name);
    require(t.defined(), "parameter " + name + " is missing");
    return t;
  };
  const auto linear = [&](const std::string& layer, std::initializer_list<const char*> names) {
    std::vector<Tensor> weights, biases;
    for (const char* name : names) {
      weights.push_back(weight(layer + name + ".weight"));
      biases.push_back(parameter(layer + name + ".bias"));
    }
    return std::make_unique<Linear>(weights, biases);
  };
  embedding_ = weight("model.embed_tokens.weight");
  final_norm_ = weight("model.norm.weight");
  for (int64_t i = 0; i < config.layers; i++) {
    const std::string at = "model.layers." + std::to_string(i) + ".";
    layers_.push_back({weight(at + "input_layernorm.weight"), parameter(at + "self_attn.q_norm.weight"),
                       parameter(at + "self_attn.k_norm.weight"),
                       weight(at + "post_attention_layernorm.weight"),
                       linear(at, {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"}),
                       linear(at, {"self_attn.o_proj"}), linear(at, {"mlp.gate_proj", "mlp.up_proj"}),
                       linear(at, {"mlp.down_proj"})});
  }
  Tensor head = config.tied ? embedding_ : weight("lm_head.weight");
  head_ = std::make_unique<Linear>(std::vector<Tensor>{head}, std::vector<Tensor>{}, vocab_limit);
}

Tensor Model::parameter(const std::string& name) const {
  for (const Parameter& p : parameters_)
    if (p.name == name) return p.value;
  return {};
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

// A dense decoder (Qwen3; Qwen2 and Llama by its flags): parameters under their HF names, and the forward
// pass. Not here: files (checkpoint.cpp), conversations (engine.cpp), learning (trainer.cpp).

#pragma once
#include <torch/torch.h>

#include <memory>
#include <string>
#include <vector>

#include "ops.h"

namespace tarl {

/// ModelConfig of src/policy/model.ts.
struct ModelConfig {
  int64_t vocab, layers, heads, kv_heads, channels;
  double theta, eps;
  bool tied;
  double initializer_range;
  RopeScaling rope_scaling = {};
};

struct Shape {
  std::string name;
  std::vector<int64_t> sizes;
};

/// A learned tensor by its HF name: some rows of a weight, or all of it.
struct Parameter {
  std::string name;
  at::Tensor value;  // a view
  Weight* weight;
  int64_t row;

  /// A view of the gradient; undefined where there is none.
  at::Tensor gradient() const;
};

class Model {
 public:
  /// `shapes`: every parameter, in the order of src/policy/model.ts; a norm or bias that is not there is not
  /// used. `vocab_limit`: ids from there on (padding rows of the embedding) get no logit; 0: none.
  Model(const ModelConfig&, const std::vector<Shape>& shapes, at::Device, at::ScalarType, int64_t vocab_limit,
        bool trained);

  /// Random starting weights (start.h).
  void initialise(uint64_t seed);

  const ModelConfig& config() const { return config_; }
  at::TensorOptions options() const { return options_; }
  const std::vector<Parameter>& parameters() const { return parameters_; }
  /// Null where there is none of that name.
  const Parameter* parameter(const std::string& name) const;
  std::vector<std::unique_ptr<Weight>>& weights() { return weights_; }
  /// To be called after weights were written: packed copies are stale.
  void changed();

  /// Hidden states after the final norm, [T, D]. `attend(layer, heads)` mixes positions.
  /// `residuals`: receives the residual stream after the embedding and after each layer.
  template <class Attend>
  at::Tensor forward(const Context& c, const at::Tensor& ids, const at::Tensor& positions,
                     const Attend& attend, std::vector<at::Tensor>* residuals = nullptr);
  Linear& head() { return *head_; }

 private:
  struct Layer {
    Weight *input_norm, *q_norm, *k_norm, *post_norm;  // q_norm and k_norm may be null
    std::unique_ptr<Linear> qkv, o, gate_up, down;
  };

  ModelConfig config_;
  at::TensorOptions options_;
  std::vector<std::unique_ptr<Weight>> weights_;
  std::vector<Parameter> parameters_;
  Weight *embedding_, *final_norm_;
  std::vector<Layer> layers_;
  std::unique_ptr<Linear> head_;
};

template <class Attend>
at::Tensor Model::forward(const Context& c, const at::Tensor& ids, const at::Tensor& positions,
                          const Attend& attend, std::vector<at::Tensor>* residuals) {
  const Rotation turn = rotation(positions, config_.channels, config_.theta, config_.rope_scaling);
  const HeadShape shape{config_.heads, config_.kv_heads, config_.channels};
  at::Tensor stream = embed(c, *embedding_, ids), delta;
  for (size_t i = 0; i < layers_.size(); i++) {
    Layer& layer = layers_[i];
    const Normed before = add_rms_norm(c, stream, delta, *layer.input_norm, config_.eps);
    if (residuals) residuals->push_back(before.sum);
    const Heads heads =
        split_heads(c, (*layer.qkv)(c, before.normed), shape, layer.q_norm, layer.k_norm, config_.eps, turn);
    const at::Tensor mixed = (*layer.o)(c, attend(static_cast<int64_t>(i), heads));
    const Normed between = add_rms_norm(c, before.sum, mixed, *layer.post_norm, config_.eps);
    stream = between.sum;
    delta = (*layer.down)(c, swiglu(c, (*layer.gate_up)(c, between.normed)));
  }
  const Normed last = add_rms_norm(c, stream, delta, *final_norm_, config_.eps);
  if (residuals) residuals->push_back(last.sum);
  return last.normed;
}

}  // namespace tarl

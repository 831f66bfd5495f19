// A dense decoder (Qwen3; Qwen2 and Llama by its flags): parameters under their HF names, its heads and
// adapter, and the forward pass. Not here: files (checkpoint.cpp), conversations (engine.cpp), learning
// (trainer.cpp).

#pragma once
#include <torch/torch.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "lora.h"
#include "ops.h"

namespace tarl {

/// What is made of the last hidden states: logits of the next token, a value (what reward is still to come),
/// or both.
enum class Output { logits, values, both };

/// ModelConfig of src/policy/model.ts.
struct ModelConfig {
  int64_t vocab, layers, heads, kv_heads, channels;
  double theta, eps;
  bool tied;
  double initializer_range;
  RopeScaling rope_scaling = {};
  Output output = Output::logits;
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
  /// With an adapter nothing else is learned.
  Model(const ModelConfig&, const std::vector<Shape>& shapes, at::Device, at::ScalarType, int64_t vocab_limit,
        bool trained, const LoraOptions& = {});

  /// Random starting weights (start.h).
  void initialise(uint64_t seed);
  /// A uniform within 1 / sqrt(K) (Kaiming, as PEFT has it), B 0: nothing is added yet.
  void initialise_adapter(uint64_t seed);

  const ModelConfig& config() const { return config_; }
  at::TensorOptions options() const { return options_; }
  const std::vector<Parameter>& parameters() const { return parameters_; }
  /// What is learned: all parameters, or those of the adapter (named as in PEFT's files).
  const std::vector<Parameter>& learned() const { return adapters_.empty() ? parameters_ : adapters_; }
  /// One of the model or of the adapter; null where there is none of that name.
  const Parameter* parameter(const std::string& name) const;
  /// A parameter with the adapter's part added, fp32: W + (alpha / rank) B A.
  at::Tensor merged(const Parameter&) const;
  /// Switches the adapter off or on; the model without it is the one that it started from.
  void use_adapter(bool on);
  std::vector<std::unique_ptr<Weight>>& weights() { return weights_; }
  /// To be called after weights were written: packed copies are stale.
  void changed();

  /// Mixes positions of one layer's heads -> [T, H C]
  using Attend = std::function<at::Tensor(int64_t layer, const Heads&)>;
  /// Hidden states after the final norm, [T, D]. Where autograd records, what `attend` refers to has to live
  /// until backward. `recompute`: of each layer autograd keeps only the input, and runs the layer again in
  /// backward; the gradients are the same to the bit.
  /// `residuals`: receives the residual stream after the embedding and after each layer.
  at::Tensor forward(const Context&, const at::Tensor& ids, const at::Tensor& positions, const Attend&,
                     bool recompute = false, std::vector<at::Tensor>* residuals = nullptr);
  bool speaks() const { return head_ != nullptr; }
  bool values() const { return value_head_ != nullptr; }
  /// What makes logits of hidden states. INVALID_ARGUMENT where nothing does.
  Linear& head() const;
  /// The row [1, D] that makes values of them. INVALID_ARGUMENT where there is none.
  Weight& value_head() const;

 private:
  struct Layer {
    Weight *input_norm, *q_norm, *k_norm, *post_norm;  // q_norm and k_norm may be null
    std::unique_ptr<Linear> qkv, o, gate_up, down;
    std::vector<Linear*> linears() const { return {qkv.get(), o.get(), gate_up.get(), down.get()}; }
  };
  /// What all layers of one pass share.
  struct Pass : torch::CustomClassHolder {
    Pass(Model& m, const Context& c, const Rotation& r, const Attend& a)
        : model(m), context(c), turn(r), attend(a) {}
    Model& model;
    const Context& context;
    Rotation turn;
    Attend attend;
  };
  /// The residual stream is stream + delta, added by whoever norms it next.
  struct Residual {
    at::Tensor stream, delta;
  };
  struct LayerFunction;
  Residual run(const Pass&, int64_t layer, const Normed& input);

  ModelConfig config_;
  at::TensorOptions options_;
  std::vector<std::unique_ptr<Weight>> weights_;
  std::vector<Parameter> parameters_, adapters_;
  double lora_scale_ = 0;
  std::vector<std::pair<Linear*, std::unique_ptr<Lora>>> loras_;
  Weight *embedding_, *final_norm_;
  std::vector<Layer> layers_;
  std::unique_ptr<Linear> head_;  // null where nothing is said
  Weight* value_head_ = nullptr;  // null where nothing is valued
};

}  // namespace tarl

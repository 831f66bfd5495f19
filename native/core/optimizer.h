// One update of the weights from their gradients: AdamW, or Muon for the matrices inside the layers.
// State and master weights are fp32, whatever the weights are. Not here: learning-rate schedules (they are
// arguments).

#pragma once
#include <string>
#include <vector>

#include "model.h"

namespace tarl {

/// OptimizerOptions of src/types.ts.
struct OptimizerOptions {
  bool muon = false;
  double muon_scale = 1;  // learning rate of Muon's matrices as a share of lr
  double lr = 1e-6, beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
  double weight_decay = 0;
  bool decay_vectors = false;  // norms and biases too, not only matrices
  double max_grad_norm = 1;    // 0: no clipping
};

class Optimizer {
 public:
  explicit Optimizer(Model& model);

  /// Updates the weights and clears the gradients. Returns the gradient's L2 norm before clipping; where that
  /// is not finite nothing is updated.
  double step(const Context&, const OptimizerOptions&);
  double gradient_norm(const Context&) const;
  void clear_gradients();

  /// Names of the state tensors that there are: "steps", "m/NAME", with bf16 weights "master/NAME", and
  /// "v/NAME" of what AdamW moves.
  std::vector<std::string> names();
  /// A state tensor, to read or to fill; undefined where no state has that name.
  at::Tensor state(const std::string& name);

 private:
  struct Slot {
    const Parameter* parameter;
    at::Tensor master, m, v;  // master is the parameter itself where that is fp32
  };
  void prepare();
  at::Tensor& second_moment(Slot&);
  void adamw(const Context&, Slot&, double scale, const OptimizerOptions&);
  void muon(const Context&, Slot&, double scale, const OptimizerOptions&);

  Model& model_;
  std::vector<Slot> slots_;
  at::Tensor steps_;
};

}  // namespace tarl

// One update of the weights from their gradients: AdamW, or Muon for the matrices inside the layers. Updates
// are made in fp32, whatever the weights are; state.h keeps what is remembered. Not here: learning-rate
// schedules (they are arguments).

#pragma once
#include <string>
#include <vector>

#include "model.h"
#include "state.h"

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
  Optimizer(Model& model, const StateOptions& state);

  /// Updates the weights and clears the gradients. Returns the gradient's L2 norm before clipping; where that
  /// is not finite nothing is updated.
  double step(const Context&, const OptimizerOptions&);
  double gradient_norm(const Context&) const;
  void clear_gradients();

  /// Names of the state tensors that there are: "steps", "m/NAME", "v/NAME" of what AdamW moves, in 8 bits
  /// "m.scale/NAME" and "v.scale/NAME" with them, and with bf16 weights "master/NAME" or "low/NAME".
  std::vector<std::string> names();
  /// A state tensor, to read or to fill; undefined where no state has that name.
  at::Tensor state(const std::string& name);

 private:
  struct Slot {
    const Parameter* parameter;
    MasterCopy master;
    Moment m, v;
  };
  void prepare();
  Moment& second_moment(Slot&) const;
  void adamw(const Context&, Slot&, double scale, const OptimizerOptions&, uint64_t seed);
  void muon(const Context&, Slot&, double scale, const OptimizerOptions&, uint64_t seed);

  Model& model_;
  StateOptions options_;
  std::vector<Slot> slots_;
  at::Tensor steps_;
};

}  // namespace tarl

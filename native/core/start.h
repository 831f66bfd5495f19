// Random starting weights, made a piece at a time, so that a model can be written that is larger than the
// memory. The same seed gives the same values to a model in memory (Model::initialise) and to one in files.

#pragma once
#include <torch/torch.h>

#include <functional>
#include <string>

namespace tarl {

/// Matrices normal(0, range), those that end a residual branch divided by sqrt(2 layers) (GPT-2); norms 1,
/// biases 0. One stream of random numbers runs through all parameters, so they are asked for in the model's
/// order.
class StartValues {
 public:
  StartValues(double range, int64_t layers, uint64_t seed);

  /// `values`: fp32 [n] on the CPU, elements `from` to from + n of the flat parameter. Valid during the call.
  using Take = std::function<void(int64_t from, const at::Tensor& values)>;
  void next(const std::string& name, at::IntArrayRef sizes, const Take&);

 private:
  double range_, closing_range_;
  at::Generator random_;
};

}  // namespace tarl

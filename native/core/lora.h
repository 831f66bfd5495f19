// Low-rank adapters of linear layers (LoRA, Hu et al. 2021, arXiv:2106.09685): y = W x + (alpha / rank) B A
// x, where W stays as it is and A and B are learned. Built of ops.h alone, so that kernels, plain twins and
// gradients are theirs. Not here: which layers have one (model.cpp), files (src/policy/checkpoint.ts). Test:
// test/native/lora.test.ts

#pragma once
#include <string>
#include <vector>

#include "ops.h"

namespace tarl {

struct LoraOptions {
  int64_t rank = 0;  // 0: none
  double alpha = 0;
  std::vector<std::string> targets;  // "q_proj", ...
  double scale() const { return alpha / static_cast<double>(rank); }
};

/// What is added to a linear layer's outputs: some of its columns, part by part.
class Lora {
 public:
  explicit Lora(double scale) : scale_(scale) {}

  /// A part of the layer whose columns are adapted: `a` [rank, K], `b` [columns, rank]. Parts come in order.
  void adapt(Weight& a, Weight& b);
  /// A part of the layer that is left alone.
  void skip(int64_t columns);
  /// y [T, N] + scale B A x for x [T, K]
  at::Tensor add(const Context&, const at::Tensor& x, const at::Tensor& y);
  /// To be called after A and B were written.
  void changed();

 private:
  struct Part {
    int64_t columns;
    std::unique_ptr<Linear> down, up;  // null where the part is left alone
  };
  double scale_;
  std::vector<Part> parts_;
};

}  // namespace tarl

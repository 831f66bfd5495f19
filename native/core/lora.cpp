#include "lora.h"

namespace tarl {

using at::Tensor;

void Lora::adapt(Weight& a, Weight& b) {
  parts_.push_back(
      {b.value.size(0), std::make_unique<Linear>(a, nullptr), std::make_unique<Linear>(b, nullptr)});
}

void Lora::skip(int64_t columns) { parts_.push_back({columns, nullptr, nullptr}); }

Tensor Lora::add(const Context& c, const Tensor& x, const Tensor& y) {
  std::vector<Tensor> columns;
  for (Part& part : parts_)
    columns.push_back(part.down ? (*part.up)(c, (*part.down)(c, x)) * scale_
                                : at::zeros({x.size(0), part.columns}, y.options().requires_grad(false)));
  return y + (columns.size() == 1 ? columns[0] : at::cat(columns, 1));
}

void Lora::changed() {
  for (Part& part : parts_)
    if (part.down) part.down->changed(), part.up->changed();
}

}  // namespace tarl

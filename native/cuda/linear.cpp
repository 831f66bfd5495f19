#include "linear.h"

#include "runtime.h"

namespace tarl::cuda {

using at::Tensor;

namespace {

class Linear final : public LinearKernel {
 public:
  Linear(Tensor weight, Tensor bias, bool tiled)
      : weight_(std::move(weight)), bias_(std::move(bias)), tiled_(tiled) {}

  Tensor forward(const Tensor& x, bool wide) override {
    const int64_t rows = x.size(0);
    const Tensor y = wide ? wide_like(x, {rows, weight_.size(0)}) : like(x, {rows, weight_.size(0)});
    if (!tiled_) {
      multiply(x, y);
      return y;
    }
    const int64_t whole = rows / kTileRows * kTileRows;
    for (int64_t i = 0; i < whole; i += kTileRows)
      multiply(x.narrow(0, i, kTileRows), y.narrow(0, i, kTileRows));
    if (whole < rows) {
      const Tensor padded =
          at::constant_pad_nd(x.narrow(0, whole, rows - whole), {0, 0, 0, kTileRows - rows + whole});
      const Tensor result = at::empty({kTileRows, y.size(1)}, y.options());
      multiply(padded, result);
      y.narrow(0, whole, rows - whole).copy_(result.narrow(0, 0, rows - whole));
    }
    return y;
  }

  Tensor backward(const Tensor& dy) override { return at::mm(dy, weight_); }

  void gradient(const Tensor& x, const Tensor& dy, const Tensor& grad, const Tensor& bias_grad) override {
    if (grad.defined()) {
      Tensor to = grad;
      if (x.is_cuda() && is_bf16(x))  // fp32 sums straight into the gradient, without a pass over it
        at::addmm_out(to, to, dy.t(), x, at::kFloat);
      else
        to.addmm_(dy.t().to(at::kFloat), x.to(at::kFloat));
    }
    if (bias_grad.defined()) Tensor(bias_grad).add_(dy.sum(0, /*keepdim=*/false, at::kFloat));
  }

  void changed() override {}  // the weights themselves are read

 private:
  void multiply(const Tensor& x, Tensor y) const {
    const Tensor turned = weight_.t();
    if (y.scalar_type() == x.scalar_type()) {
      if (bias_.defined())
        at::addmm_out(y, bias_, x, turned);
      else
        at::mm_out(y, x, turned);
      return;
    }
    if (x.is_cuda())
      at::mm_out(y, x, turned, at::kFloat);
    else
      at::mm_out(y, x.to(at::kFloat), turned.to(at::kFloat));
    if (bias_.defined()) y.add_(bias_);
  }

  Tensor weight_, bias_;  // [N, K], [N]
  bool tiled_;
};

}  // namespace

std::unique_ptr<LinearKernel> linear(const Tensor& weight, const Tensor& bias, bool tiled) {
  return std::make_unique<Linear>(weight, bias, tiled);
}

Tensor product(const Tensor& a, const Tensor& b) {
  if (a.is_cuda() && is_bf16(a) && is_bf16(b)) return at::mm(a, b, at::kFloat);
  return at::mm(a.to(at::kFloat), b.to(at::kFloat));
}

}  // namespace tarl::cuda

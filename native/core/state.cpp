#include "state.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

namespace tarl {

using at::Tensor;

namespace {

/// The 256 codes of dynamic quantisation (arXiv:2110.02861, section 2.2), ascending: for each power of ten
/// from 1e-6 to 1 the middles of 2^i equal parts (2^(i+1) where there is no sign) of [.1, 1], and 0 and 1.
std::vector<float> codes(bool is_signed) {
  std::vector<float> list{0, 1};
  for (int i = 0; i < 7; i++) {
    const int parts = is_signed ? 1 << i : 2 << i;
    for (int j = 0; j < parts; j++) {
      const double middle = 0.1 + 0.9 * (j + 0.5) / parts;
      list.push_back(static_cast<float>(middle * std::pow(10.0, i - 6)));
      if (is_signed) list.push_back(-list.back());
    }
  }
  std::sort(list.begin(), list.end());
  return list;
}

struct Table {
  Tensor codes, borders;  // [256], [255]: halfway between neighbours
};

Table make_table(bool is_signed, const at::Device& device) {
  const Tensor all = at::tensor(codes(is_signed)).to(device);
  Tensor borders = (all.slice(0, 1) + all.slice(0, 0, -1)) / 2;
  if (!is_signed) borders[0] = 0;  // rounds up: 0 stands for 0 alone
  return {all, borders};
}

Tensor flat(const Tensor& t) { return t.view({-1}); }

/// Rows of kBlock numbers, the last one filled up with zeros.
Tensor blocks(const Tensor& numbers) {
  const int64_t rest = (kBlock - numbers.numel() % kBlock) % kBlock;
  return (rest ? at::constant_pad_nd(numbers, {0, rest}) : numbers).view({-1, kBlock});
}

/// Bits 0 to 65535, a function of the seed and of each number's place alone.
Tensor noise(int64_t from, int64_t count, uint64_t seed, const at::Device& device) {
  // splitmix64 (Steele et al. 2014); a shift that keeps the sign mixes as well.
  constexpr int64_t kGamma = static_cast<int64_t>(0x9e3779b97f4a7c15), kFirst = 0x3f58476d1ce4e5b9,
                    kSecond = 0x14d049bb133111eb;
  const Tensor place = at::arange(from, from + count, at::TensorOptions(at::kLong).device(device));
  Tensor z = (place * kGamma).add_(static_cast<int64_t>(seed));
  z = (z ^ z.bitwise_right_shift(30)) * kFirst;
  z = (z ^ z.bitwise_right_shift(27)) * kSecond;
  return (z.bitwise_right_shift(24) & 0xffff).to(at::kInt);
}

}  // namespace

Moment::Moment(const Tensor& weight, Kind kind, Moments moments) : kind_(kind) {
  // Vectors are few numbers that matter much.
  const bool bits8 = moments == Moments::bits8 && weight.dim() == 2;
  const auto options = weight.options().requires_grad(false);
  values_ = at::zeros(weight.sizes(), options.dtype(bits8 ? at::kByte : at::kFloat));
  if (!bits8) return;
  scale_ = at::zeros({(weight.numel() + kBlock - 1) / kBlock}, options.dtype(at::kFloat));
}

Tensor Moment::part(int64_t from, int64_t count) const {
  const Tensor own = flat(values_).narrow(0, from, count);
  if (whole()) return own;
  const Table table = make_table(kind_ == Kind::first, own.device());
  const Tensor numbers = blocks(table.codes.index_select(0, own.to(at::kInt)));
  const Tensor scale = scale_.narrow(0, from / kBlock, numbers.size(0)).unsqueeze(1);
  return flat(numbers * scale).narrow(0, 0, count);
}

void Moment::keep(int64_t from, const Tensor& part) {
  if (whole()) return;
  const Table table = make_table(kind_ == Kind::first, part.device());
  const Tensor numbers = blocks(part);
  const Tensor scale = numbers.abs().amax(1, true);
  const Tensor relative = numbers / scale.clamp_min(std::numeric_limits<float>::min());
  const Tensor nearest = at::bucketize(relative, table.borders, /*out_int32=*/true);
  flat(values_).narrow(0, from, part.numel()).copy_(flat(nearest).narrow(0, 0, part.numel()));
  scale_.narrow(0, from / kBlock, scale.size(0)).copy_(scale.squeeze(1));
}

MasterCopy::MasterCopy(const Tensor& weight, Master master) : weight_(weight) {
  owned_ = master == Master::fp32 && weight.scalar_type() != at::kFloat;
  if (master == Master::fp32 || weight.scalar_type() == at::kFloat) copy_ = weight.to(at::kFloat);
  if (copy_.defined() || master == Master::none) return;
  low_ = at::zeros(weight.sizes(), weight.options().dtype(at::kShort).requires_grad(false));
}

Tensor MasterCopy::part(int64_t from, int64_t count) const {
  if (whole()) return flat(copy_).narrow(0, from, count);
  const Tensor weight = flat(weight_).narrow(0, from, count);
  return low_.defined() ? join(weight, flat(low_).narrow(0, from, count)) : weight.to(at::kFloat);
}

void MasterCopy::keep(int64_t from, const Tensor& part, uint64_t seed) {
  Tensor weight = flat(weight_).narrow(0, from, part.numel());
  if (whole()) {
    if (owned_) weight.copy_(part);
  } else if (low_.defined()) {
    split(part, weight, flat(low_).narrow(0, from, part.numel()));
  } else {
    const Tensor random = noise(from, part.numel(), seed, part.device());
    weight.view(at::kShort).copy_((part.view(at::kInt) + random).bitwise_right_shift(16));
  }
}

void split(const Tensor& wide, Tensor high, Tensor low) {
  const Tensor bits = wide.view(at::kInt);
  high.view(at::kShort).copy_(bits.bitwise_right_shift(16) + (bits.bitwise_right_shift(15) & 1));
  low.copy_(bits);  // the low 16 bits of them, as they stand
}

Tensor join(const Tensor& high, const Tensor& low) {
  return (high.view(at::kShort).to(at::kInt).bitwise_left_shift(16) + low.to(at::kInt)).view(at::kFloat);
}

}  // namespace tarl

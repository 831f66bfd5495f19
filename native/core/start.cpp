#include "start.h"

#include <ATen/CPUGeneratorImpl.h>

#include <cmath>

namespace tarl {

namespace {

/// Elements that exist at once (64 MiB). ATen makes normals in blocks of 16, and the last block of a tensor
/// by itself: pieces of whole blocks, none shorter than one, give the values of the whole.
constexpr int64_t kPiece = 1 << 24;

}  // namespace

StartValues::StartValues(double range, int64_t layers, uint64_t seed)
    : range_(range),
      closing_range_(range / std::sqrt(2.0 * static_cast<double>(layers))),
      random_(at::detail::createCPUGenerator(seed)) {}

void StartValues::next(const std::string& name, at::IntArrayRef sizes, const Take& take) {
  const bool closes = name.ends_with("o_proj.weight") || name.ends_with("down_proj.weight");
  const int64_t count = c10::multiply_integers(sizes);
  for (int64_t from = 0, size; from < count; from += size) {
    size = count - from < 2 * kPiece ? count - from : kPiece;
    const at::Tensor values = at::empty({size}, at::kFloat);
    if (sizes.size() == 2)
      values.normal_(0, closes ? closing_range_ : range_, random_);
    else
      values.fill_(name.ends_with(".bias") ? 0 : 1);
    take(from, values);
  }
}

}  // namespace tarl

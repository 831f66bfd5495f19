// What the optimizer remembers of each weight, in fp32 or in fewer bits: moments as 8-bit codes, masters as
// the 16 bits that a bf16 weight lacks. Whoever updates gets fp32 tensors and gives them back. Not here: what
// an update is (optimizer.cpp), files (src/policy/checkpoint.ts). Test: test/native/optimizer.test.ts

#pragma once
#include <torch/torch.h>

#include <functional>
#include <string>

namespace tarl {

/// Where weights are bf16. fp32: a copy of each. split: the 16 bits of it that the weight lacks, so that both
/// together are the copy. none: nothing; new weights are rounded at random, up or down in proportion.
enum class Master { fp32, split, none };
enum class Moments { fp32, bits8 };

struct StateOptions {
  Master master = Master::fp32;
  Moments moments = Moments::fp32;
};

/// Numbers that share a scale in 8-bit state: the largest magnitude of each block, as in Dettmers et al. 2022
/// (arXiv:2110.02861).
constexpr int64_t kBlock = 256;

/// A moment of one weight, N numbers. In 8 bits: the nearest of 256 codes between -1 and 1 (first moments) or
/// 0 and 1 (second ones), dense near 0, times the block's scale. What is not 0 never becomes 0 in a second
/// moment: it divides.
class Moment {
 public:
  enum class Kind { first, second };
  Moment() = default;
  Moment(const at::Tensor& weight, Kind, Moments);

  bool defined() const { return values_.defined(); }
  bool whole() const { return !scale_.defined(); }  // in fp32
  /// Numbers [from, from + count) in fp32, `from` a multiple of kBlock; a view where they are kept in fp32.
  at::Tensor part(int64_t from, int64_t count) const;
  /// Keeps what `part` gave and somebody changed.
  void keep(int64_t from, const at::Tensor& part);

  at::Tensor values() const { return values_; }  // of the weight's shape, fp32 or codes
  at::Tensor scale() const { return scale_; }    // [N / kBlock, rounded up] fp32; undefined in fp32

 private:
  Kind kind_ = Kind::first;
  at::Tensor values_, scale_;
};

/// The fp32 value that a weight stands for.
class MasterCopy {
 public:
  MasterCopy() = default;
  MasterCopy(const at::Tensor& weight, Master);

  bool whole() const { return copy_.defined(); }  // in fp32
  at::Tensor part(int64_t from, int64_t count) const;
  /// Keeps a changed part and writes the weight. `seed` decides the rounding of Master::none, a number for
  /// each update and weight.
  void keep(int64_t from, const at::Tensor& part, uint64_t seed);

  /// What is kept beside the weight; undefined where nothing is.
  at::Tensor copy() const { return owned_ ? copy_ : at::Tensor(); }
  at::Tensor low() const { return low_; }

 private:
  at::Tensor weight_, copy_, low_;  // copy_: the weight itself where that is fp32
  bool owned_ = false;
};

/// fp32 -> the nearest bf16 (a tie goes away from 0) and the low 16 bits. bits(bf16) * 2^16 + low is
/// bits(fp32), for every pattern, in 32-bit integers.
void split(const at::Tensor& wide, at::Tensor high, at::Tensor low);
at::Tensor join(const at::Tensor& high, const at::Tensor& low);

}  // namespace tarl

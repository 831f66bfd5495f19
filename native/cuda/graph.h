// Decode rounds as CUDA graphs: a round in which each conversation adds one token is recorded once per number
// of conversations (rounded up) and replayed from then on, so that a round costs one launch. What differs
// between rounds (ids, positions, pages, lengths) is copied into memory that stays. Not here: what a round
// computes (engine.cpp).

#pragma once
#include <map>

#include "attention.h"

namespace tarl::cuda {

class Rounds {
 public:
  Rounds(const CudaOptions&, const Attention&);
  ~Rounds();
  /// Backend::pass.
  at::Tensor pass(const std::vector<Segment>&, const std::vector<int32_t>& ids,
                  const std::vector<int32_t>& positions, int64_t memory, const Backend::Pass& model);

 private:
  struct Recorded;
  std::unique_ptr<Recorded> record(int64_t rows, const Capacity&, const std::vector<int32_t>& input,
                                   const Backend::Pass& model);

  const CudaOptions options_;
  const Attention& attention_;
  bool works_;
  int64_t memory_ = -1;
  std::pair<unsigned long long, unsigned long long> pool_;  // of memory, which all recordings share
  std::map<int64_t, std::unique_ptr<Recorded>> recorded_;
};

}  // namespace tarl::cuda

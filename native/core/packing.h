// Rows of a batch laid one after the other without padding, tokens that rows have in common at their start
// only once. Knows ids alone; what is computed of them is trainer.cpp's.

#pragma once
#include <span>
#include <unordered_map>
#include <vector>

#include "backend.h"

namespace tarl {

/// A micro-batch: its packed tokens, and where each row's positions are among them.
class Packing {
 public:
  /// Adds a row where the packed tokens then are at most `limit`, or are the row's alone; else returns false.
  bool add(std::span<const int32_t> row, int64_t limit);

  const std::vector<int32_t>& ids() const { return ids_; }
  const std::vector<int32_t>& positions() const { return positions_; }
  const Rows& rows() const { return rows_; }
  int64_t tokens() const { return static_cast<int64_t>(ids_.size()); }

 private:
  struct Hash {
    size_t operator()(uint64_t key) const { return (key ^ (key >> 29)) * 0xbf58476d1ce4e5b9u; }
  };
  /// The packed token that follows one (-1: the start) with a certain id.
  std::unordered_map<uint64_t, int64_t, Hash> next_;
  std::vector<int32_t> ids_, positions_;
  Rows rows_{{0}, {}, {}};
};

}  // namespace tarl

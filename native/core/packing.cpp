#include "packing.h"

namespace tarl {

namespace {

uint64_t key(int64_t before, int32_t id) {
  return static_cast<uint64_t>(before + 1) << 32 | static_cast<uint32_t>(id);
}

}  // namespace

bool Packing::add(std::span<const int32_t> row, int64_t limit) {
  std::vector<int64_t> place;
  for (int64_t before = -1; place.size() < row.size();) {
    const auto it = next_.find(key(before, row[place.size()]));
    if (it == next_.end()) break;
    place.push_back(before = it->second);
  }
  const size_t shared = place.size();
  if (tokens() > 0 && tokens() + static_cast<int64_t>(row.size() - shared) > limit) return false;
  for (size_t p = shared; p < row.size(); p++) {
    const int64_t before = place.empty() ? -1 : place.back();
    place.push_back(tokens());
    next_.emplace(key(before, row[p]), tokens());
    ids_.push_back(row[p]);
    positions_.push_back(static_cast<int32_t>(p));
  }
  rows_.place.insert(rows_.place.end(), place.begin(), place.end());
  rows_.start.push_back(static_cast<int64_t>(rows_.place.size()));
  rows_.shared.push_back(static_cast<int64_t>(shared));
  return true;
}

}  // namespace tarl

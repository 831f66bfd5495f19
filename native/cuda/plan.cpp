#include "plan.h"

#include <algorithm>
#include <map>

namespace tarl::cuda {

namespace {

/// Where each sequence's part of the joint table begins.
std::vector<int32_t> join(std::span<const Sequence> sequences, std::vector<int32_t>& table) {
  std::vector<int32_t> begins;
  for (const Sequence& s : sequences) {
    begins.push_back(static_cast<int32_t>(table.size()));
    table.insert(table.end(), s.table.begin(), s.table.end());
  }
  return begins;
}

}  // namespace

int64_t queries_at_once(int rows, int heads, int kv_heads) {
  return rows / std::min(heads / kv_heads, kNarrow);
}

Tiles whole_tiles(std::span<const Sequence> sequences, int heads, int kv_heads, int wide) {
  Tiles tiles;
  const std::vector<int32_t> begins = join(sequences, tiles.table);
  const int64_t few = queries_at_once(kNarrow, heads, kv_heads),
                many = queries_at_once(wide, heads, kv_heads);
  for (size_t i = 0; i < sequences.size(); i++) {
    const Sequence& s = sequences[i];
    for (int64_t t = 0; t < s.length;) {
      const bool narrow = s.length - t <= few;
      const int64_t count = std::min(s.length - t, narrow ? few : many);
      const auto chunks = static_cast<int32_t>(ceil_div(s.past + t + count, kChunk));
      (narrow || wide == kNarrow ? tiles.narrow : tiles.wide)
          .push_back({begins[i], 0, chunks, static_cast<int32_t>(tiles.queries.size()),
                      static_cast<int32_t>(count)});
      for (const int64_t end = t + count; t < end; t++)
        tiles.queries.push_back({static_cast<int32_t>(s.token + t), static_cast<int32_t>(s.past + t + 1), 0});
    }
  }
  // Those with the most keys first: they take longest.
  for (std::vector<Tile>* list : {&tiles.narrow, &tiles.wide})
    std::stable_sort(list->begin(), list->end(),
                     [](const Tile& a, const Tile& b) { return a.chunks > b.chunks; });
  return tiles;
}

Tiles chunk_tiles(std::span<const Sequence> sequences, int shift, int heads, int kv_heads, int wide) {
  Tiles tiles;
  const std::vector<int32_t> begins = join(sequences, tiles.table);
  const int64_t pages = kChunk >> shift, few = queries_at_once(kNarrow, heads, kv_heads),
                many = queries_at_once(wide, heads, kv_heads);
  int64_t most = 0;
  for (const Sequence& s : sequences) {
    const int64_t keys = s.past + 1;
    tiles.merged.push_back(
        {static_cast<int32_t>(s.token), static_cast<int32_t>(keys), static_cast<int32_t>(tiles.partials)});
    tiles.partials += ceil_div(keys, kChunk);
    most = std::max(most, ceil_div(keys, kChunk));
  }
  // Chunk by chunk, so that blocks that run at the same time read neighbouring pages.
  for (int64_t chunk = 0; chunk < most; chunk++) {
    std::map<std::vector<int32_t>, std::vector<size_t>> groups;  // sequences by the pages of their chunk
    for (size_t i = 0; i < sequences.size(); i++) {
      const Sequence& s = sequences[i];
      const int64_t keys = s.past + 1;
      if (chunk * kChunk >= keys) continue;
      std::vector<int32_t> key;
      if ((chunk + 1) * kChunk <= s.past)
        key.assign(s.table.begin() + chunk * pages, s.table.begin() + (chunk + 1) * pages);
      else
        key.push_back(-1 - static_cast<int32_t>(i));  // the chunk of the new token is its own
      groups[std::move(key)].push_back(i);
    }
    for (const auto& [key, members] : groups)
      for (size_t at = 0; at < members.size();) {
        const auto left = static_cast<int64_t>(members.size() - at);
        const bool narrow = left <= few || wide == kNarrow;
        const int64_t count = std::min(left, narrow ? few : many);
        (narrow ? tiles.narrow : tiles.wide)
            .push_back({begins[members[at]], static_cast<int32_t>(chunk), 1,
                        static_cast<int32_t>(tiles.queries.size()), static_cast<int32_t>(count)});
        for (const size_t end = at + static_cast<size_t>(count); at < end; at++)
          tiles.queries.push_back(tiles.merged[members[at]]);
      }
  }
  return tiles;
}

}  // namespace tarl::cuda

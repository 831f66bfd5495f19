#include "attention.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "memory.h"
#include "tensors.h"

namespace tarl {

using at::Tensor;

namespace {

/// Tokens whose queries of one head a thread takes at once: whole tiles of queries for any size of group.
constexpr int64_t kTokensAtOnce = 12;
/// Pages that conversations must have in common before they are read once for all: those of a key block.
constexpr int64_t kWorthSharing = kKeyBlock / kPage;

struct Shape {
  int64_t heads, kv_heads, channels, group, padded;
  explicit Shape(const Heads& x)
      : heads(x.q.size(1)),
        kv_heads(x.k.size(1)),
        channels(x.q.size(2)),
        group(heads / kv_heads),
        padded(round_up(channels, kPage)) {}
  float scale() const { return 1.f / std::sqrt(static_cast<float>(channels)); }
  int64_t query(int64_t g) const { return g * group * channels; }  // where those of a key-value head begin
  int64_t lanes() const { return channels * kPage; }
  int64_t rows() const { return padded * kPage; }
};

/// Tokens that look somewhere.
struct Tokens {
  std::vector<int64_t> at, keys;
  std::vector<const int64_t*> pages;
  void add(int64_t token, int64_t sees, const int64_t* list) {
    at.push_back(token);
    keys.push_back(sees);
    pages.push_back(list);
  }
  int64_t count() const { return static_cast<int64_t>(at.size()); }
  Queries queries(const Shape& s, int64_t first, int64_t last) const {
    return {last - first,         s.group, s.channels, at.data() + first, keys.data() + first,
            s.heads * s.channels, s.heads};
  }
};

/// Some of them that one thread takes; `shared` pages are the same for all.
struct Piece {
  int64_t first, last, shared;
};

/// One head's attention for one piece.
template <class E>
void attend_piece(const Shape& s, const Tokens& tokens, const Piece& piece, int64_t g, const E* q,
                  const E* k_lanes, const E* v_rows, E* result, float* lse) {
  const Kernels<E>& kernel = kernels<E>();
  kernel.attend({tokens.queries(s, piece.first, piece.last), tokens.pages.data() + piece.first, piece.shared,
                 q + s.query(g), k_lanes + g * s.lanes(), v_rows + g * s.rows(), s.kv_heads * s.lanes(),
                 s.kv_heads * s.rows(), result + s.query(g), lse ? lse + g * s.group : nullptr, s.scale(),
                 thread_scratch(kernel.attend_scratch(s.channels))});
}

// ---------------------------------------------------------------------------------------------------------------------
// Rows of a packed batch
// ---------------------------------------------------------------------------------------------------------------------

/// Rows in pages. Rows that begin alike have whole pages in common, and are one family: what is added to a
/// key's gradient comes from all of them, so one thread adds it, in order.
struct Families : RowsPlan {
  struct Page {
    int64_t keys;
    const int64_t* at;  // [keys]
  };
  struct Family {
    std::vector<int64_t> pages;
    std::vector<std::pair<int64_t, int64_t>> rows;  // of `tokens`, from and to
  };
  Rows rows;
  std::vector<int64_t> home;  // by packed token: key of the first page that holds it, counted through
  std::vector<Page> pages;
  std::vector<std::vector<int64_t>> lists;  // of each row
  std::vector<Family> families;
  Tokens tokens;
  std::vector<Piece> pieces;

  explicit Families(const Rows& given)
      : rows(given), home(rows.place.size(), int64_t{-1}), lists(static_cast<size_t>(rows.count())) {
    std::vector<size_t> family_of(rows.place.size());             // by packed token
    std::vector<int64_t> ending(rows.place.size(), int64_t{-1});  // the page whose last key it is
    for (int64_t r = 0; r < rows.count(); r++) {
      const int64_t *place = rows.place.data() + rows.start[r], length = rows.length(r);
      const int64_t past = rows.shared[r];
      const size_t f = past > 0 ? family_of[place[0]] : families.size();
      if (f == families.size()) families.emplace_back();
      Family& family = families[f];
      for (int64_t p = past; p < length; p++) family_of[place[p]] = f;
      if (length == past) continue;
      std::vector<int64_t>& list = lists[static_cast<size_t>(r)];
      for (int64_t p = 0; p < length; p += kPage) {
        const int64_t keys = std::min(kPage, length - p);
        int64_t& known = ending[place[p + keys - 1]];
        if (keys == kPage && known >= 0) {
          list.push_back(known);
          continue;
        }
        list.push_back(static_cast<int64_t>(pages.size()));
        family.pages.push_back(list.back());
        if (keys == kPage) known = list.back();
        for (int64_t k = 0; k < keys; k++)
          if (home[place[p + k]] < 0) home[place[p + k]] = list.back() * kPage + k;
        pages.push_back({keys, place + p});
      }
      const int64_t first = tokens.count();
      for (int64_t p = past; p < length; p++) tokens.add(place[p], p + 1, list.data());
      family.rows.emplace_back(first, tokens.count());
    }
    for (int64_t i = 0; i < tokens.count(); i += kTokensAtOnce)
      pieces.push_back({i, std::min(tokens.count(), i + kTokensAtOnce), 0});
  }

  /// One head after the other of keys or values [T, G, C], in pages [P, G, ...].
  template <class E, class Lay>
  Tensor lay(Pool& pool, const Shape& s, const Tensor& x, int64_t size, const Lay& kernel) const {
    const int64_t count = static_cast<int64_t>(pages.size());
    const Tensor laid = like(x, {count * s.kv_heads, size});
    pool.run(count, [&](int64_t p) {
      const Page& page = pages[static_cast<size_t>(p)];
      for (int64_t g = 0; g < s.kv_heads; g++)
        kernel(page.keys, s.channels, in<E>(x) + g * s.channels, page.at, s.kv_heads * s.channels,
               out<E>(laid) + (p * s.kv_heads + g) * size);
    });
    return laid;
  }
};

}  // namespace

std::unique_ptr<RowsPlan> cpu_plan(const Rows& rows) { return std::make_unique<Families>(rows); }

template <class E>
AttentionRows cpu_attend(Pool& pool, const Heads& x, const RowsPlan& plan) {
  const Families& f = static_cast<const Families&>(plan);
  const Shape s(x);
  const Tensor keys = f.lay<E>(pool, s, x.k, s.lanes(), kernels<E>().lay_lanes);
  const Tensor values = f.lay<E>(pool, s, x.v, s.rows(), kernels<E>().lay_rows);
  const int64_t t = x.q.size(0), count = static_cast<int64_t>(f.pieces.size());
  const AttentionRows r{like(x.q, {t, s.heads * s.channels}), like(x.q, {t, s.heads}, at::kFloat)};
  pool.run(count * s.kv_heads, [&](int64_t unit) {  // the longest first
    attend_piece<E>(s, f.tokens, f.pieces[static_cast<size_t>(count - 1 - unit / s.kv_heads)],
                    unit % s.kv_heads, in<E>(x.q), in<E>(keys), in<E>(values), out<E>(r.out),
                    out<float>(r.lse));
  });
  return r;
}

template <class E>
Heads cpu_attend_backward(Pool& pool, const Heads& x, const AttentionRows& r, const Tensor& d_out,
                          const RowsPlan& plan) {
  const Families& f = static_cast<const Families&>(plan);
  const Kernels<E>& kernel = kernels<E>();
  const Shape s(x);
  const Tensor key_lanes = f.lay<E>(pool, s, x.k, s.lanes(), kernel.lay_lanes);
  const Tensor key_rows = f.lay<E>(pool, s, x.k, s.rows(), kernel.lay_rows);
  const Tensor value_lanes = f.lay<E>(pool, s, x.v, s.lanes(), kernel.lay_lanes);
  const int64_t pages = static_cast<int64_t>(f.pages.size());
  // A page of keys and one of values beside each other.
  const Tensor grads = at::zeros({pages, s.kv_heads, 2, s.rows()}, r.lse.options());
  const Heads d{like(x.q, x.q.sizes()), like(x.k, x.k.sizes()), like(x.v, x.v.sizes())};
  pool.run(static_cast<int64_t>(f.families.size()) * s.kv_heads, [&](int64_t unit) {
    const int64_t g = unit % s.kv_heads, ch = s.channels;
    const Families::Family& family = f.families[static_cast<size_t>(unit / s.kv_heads)];
    float* const grad = out<float>(grads) + g * 2 * s.rows();
    const int64_t grad_stride = s.kv_heads * 2 * s.rows();
    for (const auto& [first, last] : family.rows)
      kernel.attend_backward({f.tokens.queries(s, first, last), f.tokens.pages[static_cast<size_t>(first)],
                              in<E>(x.q) + s.query(g), in<E>(r.out) + s.query(g), in<E>(d_out) + s.query(g),
                              in<float>(r.lse) + g * s.group, in<E>(key_lanes) + g * s.lanes(),
                              in<E>(key_rows) + g * s.rows(), in<E>(value_lanes) + g * s.lanes(),
                              s.kv_heads * s.lanes(), s.kv_heads * s.rows(), out<E>(d.q) + s.query(g), grad,
                              grad + s.rows(), grad_stride, s.scale(),
                              thread_scratch(kernel.attend_backward_scratch(ch))});
    // The first page with a key gathers what others have for it.
    const auto each_key = [&](const auto& visit) {
      for (const int64_t p : family.pages)
        for (int64_t k = 0; k < f.pages[static_cast<size_t>(p)].keys; k++) {
          const int64_t token = f.pages[static_cast<size_t>(p)].at[k], home = f.home[token];
          visit(token, home == p * kPage + k, grad + p * grad_stride + k * s.padded,
                grad + home / kPage * grad_stride + home % kPage * s.padded);
        }
    };
    each_key([&](int64_t, bool first, const float* line, float* sum) {
      for (int64_t c = 0; !first && c < ch; c++) {
        sum[c] += line[c];
        sum[s.rows() + c] += line[s.rows() + c];
      }
    });
    each_key([&](int64_t token, bool first, const float* line, const float*) {
      if (!first) return;
      kernel.round(ch, line, out<E>(d.k) + (token * s.kv_heads + g) * ch);
      kernel.round(ch, line + s.rows(), out<E>(d.v) + (token * s.kv_heads + g) * ch);
    });
  });
  return d;
}

// ---------------------------------------------------------------------------------------------------------------------
// Conversations
// ---------------------------------------------------------------------------------------------------------------------

namespace {

/// New tokens of conversations. Those of conversations whose first pages are the same stand side by side.
struct Segments : CachedPlan {
  std::vector<Segment> list;
  Tokens tokens;
  std::vector<Piece> pieces;

  explicit Segments(const std::vector<Segment>& given) : list(given) {
    std::vector<size_t> order(list.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
      const auto x = past_pages(list[a]), y = past_pages(list[b]);
      return std::lexicographical_compare(x.begin(), x.end(), y.begin(), y.end());
    });
    std::vector<int64_t> common(list.size() + 1);  // pages that a segment and the next have in common
    for (size_t i = 0; i + 1 < order.size(); i++) {
      const auto x = past_pages(list[order[i]]), y = past_pages(list[order[i + 1]]);
      common[i] = std::mismatch(x.begin(), x.end(), y.begin(), y.end()).first - x.begin();
    }
    for (size_t i = 0, end; i < order.size(); i = end) {
      end = i + 1;
      // One that shares more with the next than with this one begins a group of its own.
      const int64_t shared = common[i];
      if (shared >= kWorthSharing && common[end] <= shared)
        while (end < order.size() && common[end - 1] >= shared) end++;
      const int64_t first = tokens.count();
      for (size_t j = i; j < end; j++) {
        const Segment& segment = list[order[j]];
        for (int64_t t = 0; t < segment.length; t++)
          tokens.add(segment.start + t, segment.past + t + 1, segment.pages->data());
      }
      for (int64_t t = first; t < tokens.count(); t += kTokensAtOnce)
        pieces.push_back({t, std::min(tokens.count(), t + kTokensAtOnce), end > i + 1 ? shared : 0});
    }
  }

 private:
  /// Pages that are full of what was there before.
  static std::span<const int64_t> past_pages(const Segment& s) {
    return {s.pages->data(), static_cast<size_t>(s.past / kPage)};
  }
};

/// One head of a segment's keys and values into their pages. The key after the last is made zero, since it
/// shares a pair with the last.
template <class E>
void write(const Heads& x, const Shape& s, const Segment& segment, int64_t g, const KvLayer& kv) {
  constexpr int64_t side = kSide<E>;
  for (int64_t t = 0; t < segment.length; t++) {
    const int64_t slot = (segment.past + t) % kPage;
    const int64_t page = (*segment.pages)[static_cast<size_t>((segment.past + t) / kPage)] * s.kv_heads + g;
    const E* const k = in<E>(x.k) + ((segment.start + t) * s.kv_heads + g) * s.channels;
    const E* const v = in<E>(x.v) + ((segment.start + t) * s.kv_heads + g) * s.channels;
    E* const keys = out<E>(kv.keys) + page * s.lanes() + slot * side;
    E* const values = out<E>(kv.values) + page * s.rows() + slot / side * side * s.padded;
    for (int64_t c = 0; c < s.channels; c++) keys[c / side * side * kPage + c % side] = k[c];
    for (int64_t c = 0; c < s.channels; c++) {
      values[c * side + slot % side] = v[c];
      if (slot % side + 1 < side) values[c * side + 1] = E{};
    }
  }
}

}  // namespace

std::unique_ptr<CachedPlan> cpu_plan(const std::vector<Segment>& segments) {
  return std::make_unique<Segments>(segments);
}

template <class E>
Tensor cpu_attend_cached(Pool& pool, const Heads& x, const CachedPlan& plan, const KvLayer& kv) {
  const Segments& segments = static_cast<const Segments&>(plan);
  const Shape s(x);
  constexpr int64_t kWrites = 8;  // segments of one token that a thread writes at once
  const int64_t count = static_cast<int64_t>(segments.list.size()), blocks = (count + kWrites - 1) / kWrites;
  pool.run(blocks * s.kv_heads, [&](int64_t unit) {
    const int64_t first = unit / s.kv_heads * kWrites;
    for (int64_t i = first; i < std::min(count, first + kWrites); i++)
      write<E>(x, s, segments.list[static_cast<size_t>(i)], unit % s.kv_heads, kv);
  });
  const Tensor result = like(x.q, {x.q.size(0), s.heads * s.channels});
  const int64_t pieces = static_cast<int64_t>(segments.pieces.size());
  pool.run(pieces * s.kv_heads, [&](int64_t unit) {
    attend_piece<E>(s, segments.tokens, segments.pieces[static_cast<size_t>(unit / s.kv_heads)],
                    unit % s.kv_heads, in<E>(x.q), in<E>(kv.keys), in<E>(kv.values), out<E>(result), nullptr);
  });
  return result;
}

template AttentionRows cpu_attend<float>(Pool&, const Heads&, const RowsPlan&);
template AttentionRows cpu_attend<bf16>(Pool&, const Heads&, const RowsPlan&);
template Heads cpu_attend_backward<float>(Pool&, const Heads&, const AttentionRows&, const Tensor&,
                                          const RowsPlan&);
template Heads cpu_attend_backward<bf16>(Pool&, const Heads&, const AttentionRows&, const Tensor&,
                                         const RowsPlan&);
template Tensor cpu_attend_cached<float>(Pool&, const Heads&, const CachedPlan&, const KvLayer&);
template Tensor cpu_attend_cached<bf16>(Pool&, const Heads&, const CachedPlan&, const KvLayer&);

}  // namespace tarl

// Attention on CUDA: which queries see which keys, as lists on the device (plan.h), and who computes it.
// Decode rounds are our kernel's (attend.cu). Prompts and training in bf16 are libtorch's packed flash
// attention, unless the bits have to be the same as in decoding; so is no fp32, which flash attention does
// not have.

#pragma once
#include <optional>

#include "backend.h"
#include "plan.h"

namespace tarl::cuda {

/// Most entries of each list of a launch. A recorded launch is given lists of one capacity, whatever they
/// hold.
struct Capacity {
  int64_t narrow = 0, wide = 0, queries = 0, merged = 0, table = 0, slots = 0, partials = 0;
  static Capacity of(const Tiles&, int64_t slots);
  bool holds(const Capacity& other) const;
  /// Each rounded up to a power of two, so that the next rounds fit as well.
  Capacity with_room() const;
};

/// The lists of one launch in one block of memory on the device.
struct Lists {
  Capacity capacity;
  at::Tensor memory;  // int32
  /// What is written there for these tiles. `slots` [T]: where the new tokens' keys and values go.
  static std::vector<int32_t> pack(const Capacity&, const Tiles&, const std::vector<int32_t>& slots);
  static int64_t size(const Capacity&);
  template <class T>
  const T* at(int64_t offset) const;
};

/// How many heads there are is not known before the first keys come.
struct CachedSegments final : CachedPlan {
  std::vector<Segment> segments;
  std::vector<std::vector<int32_t>> tables;  // first slot of each page, per segment
  std::vector<int32_t> slots;                // of every new token
  bool decode = true;                        // segments are of one token each

  // Made at the first layer:
  mutable std::optional<Lists> lists;          // single tokens
  mutable std::optional<Lists> prompt_lists;   // prompts that our kernel takes
  mutable at::Tensor key_slots, cum_q, cum_k;  // of prompts that go through flash attention
  mutable at::Tensor prompt_rows;              // undefined: all rows are prompts'
  mutable int64_t max_q = 0, max_k = 0;
};

class Attention {
 public:
  explicit Attention(const CudaOptions&);

  std::unique_ptr<RowsPlan> plan(const Rows&) const;
  AttentionRows attend(const Heads&, const RowsPlan&) const;
  Heads backward(const Heads&, const AttentionRows&, const at::Tensor& d_out, const RowsPlan&) const;

  std::unique_ptr<CachedPlan> plan(const std::vector<Segment>&) const;
  at::Tensor attend_cached(const Heads&, const CachedPlan&, const KvLayer&);

  /// The single tokens' tiles, for the heads that were seen last; before any: nothing.
  std::optional<Tiles> decode_tiles(const CachedSegments&) const;

 private:
  struct Shape {
    int heads, kv_heads, channels;
  };
  bool flash(int64_t channels) const;
  int blocks() const;
  void prepare(const CachedSegments&, const Heads&) const;
  /// Launches the tiles in `lists`. Undefined lse: not wanted.
  void run(const Heads&, const at::Tensor& keys, const at::Tensor& values, const Lists&, int shift,
           bool chunks, const at::Tensor& out, const at::Tensor& lse) const;
  Heads plain_backward(const Heads&, const AttentionRows&, const at::Tensor& d_out, const Rows&) const;

  CudaOptions options_;
  int processors_;
  std::optional<Shape> shape_;
};

}  // namespace tarl::cuda

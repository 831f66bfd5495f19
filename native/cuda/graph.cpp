#include "graph.h"

#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGuard.h>

#include <array>
#include <cstdio>

#include "runtime.h"

namespace tarl::cuda {

using at::Tensor;

namespace {

/// Small steps where a round's time is launches, wider ones where it is memory; beyond the last a launch
/// costs little.
constexpr std::array<int64_t, 17> kBuckets{1,  2,   4,   8,   16,  24,  32,  48, 64,
                                           96, 128, 160, 192, 256, 320, 384, 512};

/// Rows of the recording that serves `count` conversations; 0: too many for one.
int64_t bucket(int64_t count) {
  for (const int64_t b : kBuckets)
    if (count <= b) return b;
  return 0;
}

}  // namespace

struct Rounds::Recorded {
  Capacity capacity;
  Tensor input;  // int32: ids, positions, lists
  CachedSegments plan;
  Tensor result;
  at::cuda::CUDAGraph graph;
};

Rounds::Rounds(const CudaOptions& options, const Attention& attention)
    : options_(options), attention_(attention), works_(options.graphs) {}
Rounds::~Rounds() = default;

Tensor Rounds::pass(const std::vector<Segment>& segments, const std::vector<int32_t>& ids,
                    const std::vector<int32_t>& positions, int64_t memory, const Backend::Pass& model) {
  const c10::DeviceGuard guard(options_.device);
  const std::unique_ptr<CachedPlan> plan = attention_.plan(segments);
  const auto& p = static_cast<const CachedSegments&>(*plan);
  const auto count = static_cast<int64_t>(segments.size()), rows = bucket(count);
  const std::optional<Tiles> tiles =
      works_ && p.decode && rows > 0 ? attention_.decode_tiles(p) : std::nullopt;
  const auto now = [&] {
    return model(upload(ids, options_.device), upload(positions, options_.device), *plan);
  };
  if (!tiles) return now();

  if (memory != memory_) recorded_.clear();
  memory_ = memory;
  Capacity needed = Capacity::of(*tiles, rows);
  needed.merged = rows;
  std::unique_ptr<Recorded>& slot = recorded_[rows];
  const Capacity capacity = slot && slot->capacity.holds(needed) ? slot->capacity : needed.with_room();

  std::vector<int32_t> input(ids);
  input.resize(static_cast<size_t>(rows));
  input.insert(input.end(), positions.begin(), positions.end());
  input.resize(static_cast<size_t>(2 * rows));
  const std::vector<int32_t> lists = Lists::pack(capacity, *tiles, p.slots);
  input.insert(input.end(), lists.begin(), lists.end());

  if (!slot || !slot->capacity.holds(needed)) {
    slot.reset();  // its memory first
    try {
      slot = record(rows, capacity, input, model);
    } catch (const std::exception& error) {
      std::fprintf(stderr, "tarl: CUDA graphs are off, a decode round could not be recorded: %s\n",
                   error.what());
      works_ = false;
      recorded_.clear();
      return now();
    }
  }
  slot->input.copy_(pinned(input.data(), input.size() * sizeof(int32_t), options_.device).view(at::kInt),
                    /*non_blocking=*/true);
  slot->graph.replay();
  return slot->result.narrow(0, 0, count).clone();  // the next replay writes over it
}

std::unique_ptr<Rounds::Recorded> Rounds::record(int64_t rows, const Capacity& capacity,
                                                 const std::vector<int32_t>& input,
                                                 const Backend::Pass& model) {
  auto r = std::make_unique<Recorded>();
  r->capacity = capacity;
  r->input = upload(input, options_.device);
  const Tensor ids = r->input.narrow(0, 0, rows), positions = r->input.narrow(0, rows, rows);
  r->plan.lists = Lists{capacity, r->input.narrow(0, 2 * rows, Lists::size(capacity))};
  // A pool is gone with its last recording. Sharing is safe: only one runs at a time, and its result is
  // copied.
  bool shared = false;
  for (const auto& [size, recorded] : recorded_) shared |= recorded != nullptr;
  if (!shared) pool_ = at::cuda::graph_pool_handle();
  // Recording wants a stream of its own, on which cuBLAS has made what it needs before.
  c10::cuda::device_synchronize();
  {
    const c10::cuda::CUDAStreamGuard guard(c10::cuda::getStreamFromPool(true, options_.device.index()));
    model(ids, positions, r->plan);
    c10::cuda::device_synchronize();
    // Other threads of the process may use CUDA meanwhile.
    r->graph.capture_begin(pool_, cudaStreamCaptureModeThreadLocal);
    try {
      r->result = model(ids, positions, r->plan);
    } catch (...) {
      try {
        r->graph.capture_end();
      } catch (const std::exception&) {
        // The recording is broken, which is known already.
      }
      throw;
    }
    r->graph.capture_end();
  }
  c10::cuda::device_synchronize();
  return r;
}

}  // namespace tarl::cuda

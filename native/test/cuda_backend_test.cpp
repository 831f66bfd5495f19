// The CUDA backend on the CPU's tensors, its kernels emulated: a model's log-probs, values, gradients, update
// and cached conversations through it against plain ATen. What needs a GPU (cuBLAS in bf16, flash attention,
// recorded rounds) is left to test/gpu.

#include <numeric>

#include "core/attention.h"
#include "core/model.h"
#include "core/trainer.h"
#include "cuda/attention.h"
#include "cuda/backend.h"
#include "test.h"
#include "tiny.h"

using namespace tarl;
using at::Tensor;

namespace {

struct Setup {
  std::unique_ptr<Backend> backend;
  Context context;
  Model model;
  std::atomic<bool> stopping{false};
  Trainer trainer;

  Setup(bool ours, at::ScalarType dtype, bool invariant = false)
      : backend(ours ? make(dtype, invariant) : nullptr),
        context{backend.get()},
        model(valued().config, valued().shapes, at::kCPU, dtype, 0, true),
        trainer(model, context, small(), stopping) {
    model.initialise(3);
    model.value_head().value.detach().fill_(0.1);
  }
  /// A policy with a critic's head.
  static EngineOptions valued() {
    EngineOptions options = tiny(true);
    options.config.output = Output::both;
    options.shapes.push_back({"score.weight", {1, 24}});
    return options;
  }
  static TrainerOptions small() {
    TrainerOptions options;
    options.micro_tokens = 64;
    return options;
  }
  static std::unique_ptr<Backend> make(at::ScalarType dtype, bool invariant) {
    const CudaOptions options{at::kCPU, dtype, invariant, false};
    return std::unique_ptr<Backend>(tarl_cuda_backend(&options));
  }
};

double difference(const Tensor& a, const Tensor& b) { return (a - b).abs().max().item<double>(); }

/// Three rows that start alike, one that does not.
struct Conversations {
  std::vector<int32_t> ids, rows{0};
  std::vector<float> weight, advantage, old_logp, old_values, returns;
  Conversations() {
    for (const int32_t row : {0, 1, 2, 3}) {
      for (int32_t t = 0; t < 21 + row; t++)
        ids.push_back(t < 17 && row < 3 ? t * 7 % 61 : (t * 5 + row * 11) % 61);
      rows.push_back(static_cast<int32_t>(ids.size()));
    }
    weight.assign(ids.size(), 0.1f);
    for (const int32_t first : {rows[0], rows[1], rows[2], rows[3]}) weight[static_cast<size_t>(first)] = 0;
    for (size_t i = 0; i < ids.size(); i++) advantage.push_back(i % 3 == 0 ? -1.f : 0.7f);
    old_logp.assign(ids.size(), -4.f);
    old_values.assign(ids.size(), 0.f);
    returns.assign(ids.size(), 1.f);
  }
  Batch batch() const { return {ids, rows, weight, advantage, old_logp, {}, old_values, returns}; }
};

void learning(at::ScalarType dtype, double slack) {
  Setup ours(true, dtype), plain(false, dtype);
  const Conversations c;
  const Scores a = ours.trainer.score(c.ids, c.rows, 0.9), b = plain.trainer.score(c.ids, c.rows, 0.9);
  for (size_t i = 0; i < a.logp.size(); i++) {
    EXPECT_NEAR(a.logp[i], b.logp[i], slack);
    EXPECT_NEAR(a.entropy[i], b.entropy[i], slack);
  }
  const std::vector<float> x = ours.trainer.values(c.ids, c.rows), y = plain.trainer.values(c.ids, c.rows);
  for (size_t i = 0; i < x.size(); i++) EXPECT_NEAR(x[i], y[i], slack);
  LossOptions loss;
  loss.entropy_coef = 0.1;
  loss.value_coef = 0.5;
  ours.trainer.backward(c.batch(), loss, 0.9);
  plain.trainer.backward(c.batch(), loss, 0.9);
  for (size_t i = 0; i < ours.model.parameters().size(); i++) {
    const Tensor x = ours.model.parameters()[i].gradient(), y = plain.model.parameters()[i].gradient();
    EXPECT_NEAR(difference(x, y), 0, slack * (1 + y.abs().max().item<double>()));
  }
  if (dtype != at::kFloat) return;  // what an update does to bf16 is cuda_test's
  OptimizerOptions optimizer;
  optimizer.lr = 0.01;
  for (Setup* s : {&ours, &plain}) s->trainer.step(c.batch(), loss, 0.9, optimizer);
  for (size_t i = 0; i < ours.model.parameters().size(); i++)
    EXPECT_NEAR(
        difference(ours.model.parameters()[i].value.detach(), plain.model.parameters()[i].value.detach()), 0,
        1e-3);
}

/// Hidden states of rounds of segments: a prompt in two pieces, then two conversations on its first pages.
std::vector<Tensor> rounds(Setup& s) {
  const at::NoGradGuard guard;
  const ModelConfig c = tiny(true).config;
  const std::vector<int64_t> page{kPage, c.kv_heads, c.channels};
  KvPool pool(c.layers, page, page, s.model.options(), 1024);
  std::vector<int64_t> first;
  for (int i = 0; i < 3; i++) first.push_back(pool.take());
  std::vector<int64_t> second{first[0], first[1], pool.take()}, third{first[0], pool.take(), pool.take()};
  const auto pass = [&](const std::vector<Segment>& segments) {
    std::vector<int32_t> ids, positions;
    for (const Segment& segment : segments)
      for (int64_t t = 0; t < segment.length; t++) {
        ids.push_back(static_cast<int32_t>((segment.past + t) * 13 % 61));
        positions.push_back(static_cast<int32_t>(segment.past + t));
      }
    const auto model = [&](const Tensor& id, const Tensor& position, const CachedPlan* plan) {
      const CachedAttention attend(s.context, segments, pool, plan);
      return s.model.forward(s.context, id, position, std::ref(attend));
    };
    if (!s.backend) return model(at::tensor(ids, at::kInt), at::tensor(positions, at::kInt), nullptr);
    return s.backend->pass(segments, ids, positions, pool.memory(),
                           [&](const Tensor& id, const Tensor& position, const CachedPlan& plan) {
                             return model(id, position, &plan);
                           });
  };
  return {pass({{0, 20, 0, &first}}), pass({{0, 14, 20, &first}}),
          pass({{0, 2, 32, &second}, {2, 18, 16, &third}, {20, 1, 34, &first}}),
          pass({{0, 1, 34, &second}, {1, 1, 35, &first}, {2, 1, 34, &third}})};
}

void conversations(at::ScalarType dtype, double slack) {
  Setup ours(true, dtype), plain(false, dtype);
  const std::vector<Tensor> a = rounds(ours), b = rounds(plain);
  for (size_t i = 0; i < a.size(); i++) EXPECT_NEAR(difference(a[i], b[i]), 0, slack);
}

}  // namespace

TEST(cuda_backend_learning) {
  learning(at::kFloat, 2e-4);
  learning(at::kBFloat16, 0.12);
}

TEST(cuda_backend_conversations) {
  conversations(at::kFloat, 1e-4);
  conversations(at::kBFloat16, 0.1);
}

TEST(cuda_backend_products) {
  const Tensor x = at::randn({300, 24}), w = at::randn({30, 24}), bias = at::randn({30});
  const auto backend = Setup::make(at::kFloat, true);
  const auto linear = backend->linear(w, bias);
  EXPECT_NEAR(difference(linear->forward(x, false), at::linear(x, w, bias)), 0, 1e-5);
  // Tiles of one size: a row does not know how many there are.
  EXPECT(difference(linear->forward(x.narrow(0, 0, 3), true), linear->forward(x, true).narrow(0, 0, 3)) == 0);
}

TEST(cuda_lists_have_room) {
  cuda::Tiles tiles;
  tiles.narrow.resize(70);
  tiles.queries.resize(3);
  tiles.partials = 3;
  const cuda::Capacity needed = cuda::Capacity::of(tiles, 8), roomy = needed.with_room();
  EXPECT(roomy.narrow == 128 && roomy.queries == 64 && roomy.slots == 8);
  EXPECT(roomy.holds(needed) && !needed.holds(roomy));
  EXPECT(static_cast<int64_t>(cuda::Lists::pack(roomy, tiles, {1, 2}).size()) == cuda::Lists::size(roomy));
}

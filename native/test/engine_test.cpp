// Conversations, learning and files through the engine, so that the sanitizers see every path.

#include <cstdio>

#include "core/checkpoint.h"
#include "core/error.h"
#include "cpu/backend.h"
#include "test.h"
#include "tiny.h"

using namespace tarl;

namespace {

std::vector<Generation> talk(Engine& engine, int64_t count) {
  Sampling sampling;
  sampling.max_tokens = 20;
  sampling.stop_ids = {5};
  std::vector<std::promise<Generation>> promises(static_cast<size_t>(count));
  engine.post([&] {
    for (int64_t i = 0; i < count; i++) {
      std::vector<int32_t> ids(40 + i % 3, 7);
      ids.back() = static_cast<int32_t>(i % 61);
      engine.open(i, ids, static_cast<uint64_t>(i));
      engine.generate(i, sampling, [&promises, i](Generation g, std::exception_ptr failure) {
        EXPECT(!failure);
        promises[static_cast<size_t>(i)].set_value(std::move(g));
      });
    }
  });
  std::vector<Generation> list;
  for (auto& promise : promises) list.push_back(promise.get_future().get());
  on(engine, [&] {
    engine.fork(0, count, 9);
    for (int64_t i = 0; i <= count; i++) engine.close(i);
  });
  return list;
}

}  // namespace

TEST(conversations_learning_and_files) {
  for (const bool kernels : {true, false}) {
    Engine engine(tiny(kernels));
    on(engine, [&] { engine.change([&] { engine.model().initialise(1); }); });
    const std::vector<Generation> first = talk(engine, 17), again = talk(engine, 17);
    for (size_t i = 0; i < first.size(); i++) EXPECT(first[i].ids == again[i].ids);

    std::vector<int32_t> ids;
    for (int i = 0; i < 90; i++) ids.push_back(i * 17 % 61);
    const std::vector<int32_t> rows{0, 30, 31, 90};
    std::vector<float> weight(90, 0.02f), advantage(90, 1.f), old_logp(90, -4.f);
    weight[0] = weight[30] = weight[31] = 0;
    LossOptions loss;
    loss.entropy_coef = 0.1;
    for (const bool muon : {false, true}) {
      OptimizerOptions optimizer;
      optimizer.muon = muon;
      optimizer.lr = 0.01;
      on(engine, [&] {
        const Batch batch{ids, rows, weight, advantage, old_logp, {}};
        const Step step = engine.change([&] { return engine.trainer().step(batch, loss, 0.9, optimizer); });
        EXPECT(step.stats.tokens == 90 && step.stats.loss_tokens == 87 && step.grad_norm > 0);
      });
    }
    on(engine, [&] {
      const Scores scores = engine.trainer().score(ids, rows, 1);
      EXPECT(scores.logp[0] == 0 && scores.logp[1] < 0 && scores.top1[30] == -1);
      const Trace whole = engine.trainer().trace(ids, std::vector<int32_t>{0, 90}, {});
      const Trace parts = engine.trace_cached(ids, {33, 1, 40, 16});
      EXPECT(at::allclose(whole.logits, parts.logits, 1e-4, 1e-4));
      EXPECT(!kernels || at::equal(whole.logits, parts.logits));

      const std::string file = std::tmpnam(nullptr);
      std::fclose(std::fopen(file.c_str(), "w"));
      const at::Tensor norm = engine.model().parameter("model.norm.weight")->value;
      const TensorPlace place{"model.norm.weight", file, "BF16", 8, 48};
      write_tensor(place, norm);
      const at::Tensor back = at::empty({24});
      MappedFiles().read(place, back);
      EXPECT(at::allclose(back, norm.detach(), 1e-2, 1e-2));
      bool refused = false;
      try {
        MappedFiles().read({"model.norm.weight", file, "BF16", 40, 48}, back);
      } catch (const Error& e) {
        refused = std::string(e.code()) == "CHECKPOINT";
      }
      EXPECT(refused);
      std::remove(file.c_str());
    });

    // The engine stops while a conversation speaks.
    Sampling endless;
    endless.max_tokens = 80;
    std::promise<std::string> ended;
    engine.post([&] {
      engine.open(99, {1, 2, 3}, 1);
      engine.generate(99, endless, [&](Generation g, std::exception_ptr) { ended.set_value(g.ended); });
    });
    engine.stop();
    const std::string how = ended.get_future().get();
    EXPECT(how == "aborted" || how == "length");
  }
}

namespace {

/// Posts a generation; what it said, or the code of its failure.
struct Said {
  std::vector<int32_t> ids;
  std::string failure;
};

/// On the engine's thread.
std::future<Said> speak(Engine& engine, int64_t id, int64_t tokens) {
  const auto promise = std::make_shared<std::promise<Said>>();
  Sampling sampling;
  sampling.max_tokens = tokens;
  engine.generate(id, sampling, [promise](Generation g, std::exception_ptr failure) {
    Said said{g.ids, ""};
    try {
      if (failure) std::rethrow_exception(failure);
    } catch (const std::exception& e) {
      said.failure = e.what();
    }
    promise->set_value(said);
  });
  return promise->get_future();
}

}  // namespace

TEST(a_failed_round_leaves_nothing_behind) {
  for (const bool kernels : {true, false}) {
    Engine engine(tiny(kernels));
    on(engine, [&] { engine.change([&] { engine.model().initialise(1); }); });
    const std::vector<int32_t> start(40, 7);
    std::vector<int32_t> wrong = start;
    wrong.push_back(9999);  // no such row of the embedding: the round throws after its pages are known
    const auto say = [&](int64_t id) { return on(engine, [&] { return speak(engine, id, 20); }).get(); };
    // 1 takes over the pages of 0 in the round that fails, and 2 must not find them.
    auto [bad, beside] = on(engine, [&] {
      engine.open(0, wrong, 1);
      for (int64_t id : {1, 2}) engine.open(id, start, 4);
      return std::pair(speak(engine, 0, 20), speak(engine, 1, 20));
    });
    EXPECT(!bad.get().failure.empty() && !beside.get().failure.empty());
    const Said after = say(2);
    on(engine, [&] {
      for (int64_t id : {0, 1, 2}) engine.close(id);
      for (int64_t id : {2, 3}) engine.open(id, start, 4);
    });
    const Said first = say(3);
    EXPECT(first.failure.empty() && first.ids.size() == 20 && after.ids == first.ids);

    // A failure after the forward pass: whoever is told the first token throws, before the second is sampled.
    std::future<Said> second = on(engine, [&] {
      Sampling one;
      one.max_tokens = 1;
      engine.open(-1, {3, 4}, 1);
      engine.generate(-1, one, [](Generation, std::exception_ptr) { throw std::runtime_error("told"); });
      return speak(engine, 2, 20);
    });
    EXPECT(second.get().failure == "told");
    EXPECT(say(2).ids == first.ids);

    on(engine, [&] {
      bool refused = false;
      try {
        engine.trace_cached(wrong, {30, 11});
      } catch (const Error&) {
        refused = true;
      }
      EXPECT(refused);
      for (int64_t id = -1; id < 4; id++) engine.close(id);
      EXPECT(engine.stats().pages == 0);
    });
  }
}

TEST(a_frozen_layer_sees_what_is_written_into_it) {
  const at::NoGradGuard guard;
  const auto backend = cpu_backend(at::kFloat, 1);
  const Context context{backend.get()};
  Weight weight{at::ones({5, 3}), {}}, bias{at::zeros({5}), {}};
  Linear linear(weight, &bias);
  const at::Tensor x = at::ones({2, 3});
  const auto expect = [&](double value) {
    linear.changed();
    EXPECT(at::equal(linear(context, x), at::full({2, 5}, value)));
  };
  expect(3);
  bias.value.fill_(1);
  expect(4);
  weight.value.fill_(2);
  expect(7);
}

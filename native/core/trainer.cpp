#include "trainer.h"

#include <algorithm>

#include "error.h"

namespace tarl {

using at::Tensor;

namespace {

Tensor on_device(std::span<const int32_t> values, const at::Device& device) {
  return at::tensor(at::ArrayRef<int32_t>(values.data(), values.size()), at::kInt).to(device);
}

void check(std::span<const int32_t> ids, std::span<const int32_t> rows, int64_t vocab) {
  require(rows.size() >= 2 && rows.front() == 0 && rows.back() == static_cast<int32_t>(ids.size()),
          "rows: expected to start with 0 and to end with the number of ids, " + std::to_string(ids.size()));
  for (size_t r = 1; r < rows.size(); r++)
    require(rows[r] > rows[r - 1], "rows: row " + std::to_string(r - 1) + " is empty or runs backwards");
  check_ids(ids, vocab);
}

}  // namespace

void check_ids(std::span<const int32_t> ids, int64_t vocab) {
  for (size_t i = 0; i < ids.size(); i++)
    if (ids[i] < 0 || ids[i] >= vocab)
      throw Error("INVALID_ARGUMENT", "ids[" + std::to_string(i) + "] is " + std::to_string(ids[i]) +
                                          ", expected 0 to " + std::to_string(vocab - 1));
}

Trainer::Trainer(Model& model, const Context& context, const TrainerOptions& options,
                 const std::atomic<bool>& stopping)
    : model_(model),
      context_(context),
      options_(options),
      stopping_(stopping),
      optimizer_(model, options.state) {}

std::vector<Trainer::MicroBatch> Trainer::split(std::span<const int32_t> ids,
                                                std::span<const int32_t> rows) const {
  std::vector<MicroBatch> list;
  for (int64_t r = 0; r + 1 < static_cast<int64_t>(rows.size()); r++) {
    const auto row = ids.subspan(rows[r], rows[r + 1] - rows[r]);
    if (list.empty() || !list.back().packing.add(row, options_.micro_tokens))
      list.push_back({r, r, {}}), list.back().packing.add(row, options_.micro_tokens);
    list.back().last = r + 1;
  }
  std::stable_sort(list.begin(), list.end(),
                   [](const auto& a, const auto& b) { return a.packing.tokens() > b.packing.tokens(); });
  return list;
}

template <class F>
void Trainer::over(const std::vector<MicroBatch>& list, const F& f) const {
  for (const MicroBatch& part : list) {
    if (stopping_) throw Error("DISPOSED", "the engine is disposed");
    f(part, RowAttention(context_, part.packing.rows()));
  }
}

/// Hidden states of some packed tokens; a token may be wanted several times.
Tensor Trainer::hidden(const Packing& packing, const RowAttention& attend,
                       const std::vector<int64_t>& wanted) {
  const at::Device device = model_.options().device();
  const Tensor all = model_.forward(
      context_, on_device(packing.ids(), device), on_device(packing.positions(), device),
      [&attend](int64_t, const Heads& heads) { return attend(heads); }, options_.recompute);
  return take_rows(all, wanted);
}

Scores Trainer::score(std::span<const int32_t> ids, std::span<const int32_t> rows, double temperature,
                      bool adapter) {
  check(ids, rows, model_.config().vocab);
  struct Switch {
    Model& model;
    Switch(Model& m, bool on) : model(m) { model.use_adapter(on); }
    ~Switch() { model.use_adapter(true); }
  } switched(model_, adapter);
  const at::NoGradGuard guard;
  Scores scores{std::vector<float>(ids.size()), std::vector<float>(ids.size()),
                std::vector<int32_t>(ids.size(), -1)};
  over(split(ids, rows), [&](const MicroBatch& part, const RowAttention& attend) {
    const Rows& packed = part.packing.rows();
    std::vector<int64_t> before;  // packed token whose output predicts the token
    std::vector<int32_t> target, tokens;
    for (int64_t r = part.first; r < part.last; r++)
      for (int32_t t = rows[r] + 1; t < rows[r + 1]; t++) {
        before.push_back(packed.place[packed.start[r - part.first] + t - 1 - rows[r]]);
        target.push_back(ids[t]);
        tokens.push_back(t);
      }
    if (tokens.empty()) return;
    const Tensor h = hidden(part.packing, attend, before);
    std::vector<int32_t> top;
    const TokenLogp known = token_logp(context_, h, model_.head(), target, temperature, &top);
    const Tensor logp = known.logp.to(at::kCPU), entropy = known.entropy.to(at::kCPU);
    for (size_t i = 0; i < tokens.size(); i++) {
      scores.logp[tokens[i]] = logp.const_data_ptr<float>()[i];
      scores.entropy[tokens[i]] = entropy.const_data_ptr<float>()[i];
      scores.top1[tokens[i]] = top[i];
    }
  });
  return scores;
}

Trace Trainer::trace(std::span<const int32_t> ids, std::span<const int32_t> rows,
                     std::span<const int32_t> positions) {
  check(ids, rows, model_.config().vocab);
  require(positions.empty() || positions.size() == ids.size(), "positions: expected one for each id");
  const at::NoGradGuard guard;
  Rows apart{{rows.begin(), rows.end()}, {}, std::vector<int64_t>(rows.size() - 1, 0)};
  std::vector<int32_t> own(positions.begin(), positions.end());
  for (int64_t r = 0; r < apart.count(); r++)
    for (int32_t t = rows[r]; t < rows[r + 1]; t++) {
      apart.place.push_back(t);
      if (positions.empty()) own.push_back(t - rows[r]);
    }
  const RowAttention attend(context_, std::move(apart));
  const at::Device device = model_.options().device();
  Trace trace;
  trace.hidden = model_.forward(
      context_, on_device(ids, device), on_device(own, device),
      [&](int64_t, const Heads& heads) { return attend(heads); }, false, &trace.residuals);
  trace.logits = model_.head()(context_, trace.hidden, true);
  return trace;
}

LossStats Trainer::backward(const Batch& b, const LossOptions& options, double temperature) {
  check(b.ids, b.rows, model_.config().vocab);
  const size_t n = b.ids.size();
  require(b.weight.size() == n && b.advantage.size() == n, "weight, advantage: expected one for each id");
  require(b.old_logp.empty() || b.old_logp.size() == n, "oldLogp: expected one for each id, or none");
  require(b.ref_logp.empty() || b.ref_logp.size() == n, "refLogp: expected one for each id, or none");
  for (size_t r = 0; r + 1 < b.rows.size(); r++)
    require(b.weight[b.rows[r]] == 0,
            "weight of the first token of row " + std::to_string(r) + " is not 0: nothing predicts it");
  LossSums total;
  over(split(b.ids, b.rows), [&](const MicroBatch& part, const RowAttention& attend) {
    // Tokens in the loss, gathered: rows of the loss are rows of the micro-batch with only those tokens.
    const Rows& packed = part.packing.rows();
    std::vector<int64_t> before;
    std::vector<int32_t> target, loss_rows{0};
    std::vector<double> weight, advantage, old_logp, ref_logp;
    for (int64_t r = part.first; r < part.last; r++) {
      for (int32_t t = b.rows[r]; t < b.rows[r + 1]; t++) {
        if (b.weight[t] == 0) continue;
        before.push_back(packed.place[packed.start[r - part.first] + t - 1 - b.rows[r]]);
        target.push_back(b.ids[t]);
        weight.push_back(b.weight[t]);
        advantage.push_back(b.advantage[t]);
        if (!b.old_logp.empty()) old_logp.push_back(b.old_logp[t]);
        if (!b.ref_logp.empty()) ref_logp.push_back(b.ref_logp[t]);
      }
      loss_rows.push_back(static_cast<int32_t>(target.size()));
    }
    total.sum.tokens += b.rows[part.last] - b.rows[part.first];
    if (target.empty()) return;
    total.sum.computed_tokens += part.packing.tokens();
    const Tensor h = hidden(part.packing, attend, before);
    const TokenLogp known = token_logp(context_, h, model_.head(), target, temperature);
    const Tensor logp = known.logp.detach().to(at::kCPU, at::kDouble);
    const Tensor entropy = known.entropy.detach().to(at::kCPU, at::kDouble);
    Tensor dlogp = at::zeros_like(logp), dentropy = at::zeros_like(entropy);
    const auto span = [&](const Tensor& t) { return std::span(t.const_data_ptr<double>(), target.size()); };
    LossSums sums = policy_loss({span(logp), span(entropy), old_logp, ref_logp, advantage, weight, loss_rows},
                                options, std::span(dlogp.mutable_data_ptr<double>(), target.size()),
                                std::span(dentropy.mutable_data_ptr<double>(), target.size()));
    sums.sum.tokens = 0;  // counted above, all tokens of the rows
    total.add(sums);
    const auto like = [&](const Tensor& grad) { return grad.to(h.device(), at::kFloat); };
    if (options.entropy_coef == 0)
      torch::autograd::backward({known.logp}, {like(dlogp)});
    else
      torch::autograd::backward({known.logp, known.entropy}, {like(dlogp), like(dentropy)});
    for (const auto& weights : model_.weights()) weights->collect();
  });
  return total.finish();
}

Step Trainer::step(const Batch& b, const LossOptions& loss, double temperature,
                   const OptimizerOptions& update) {
  try {
    const LossStats stats = backward(b, loss, temperature);
    return {stats, optimizer_.step(context_, update)};
  } catch (...) {
    optimizer_.clear_gradients();
    throw;
  }
}

}  // namespace tarl

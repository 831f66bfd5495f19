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

/// Of each token; none where there are none.
std::vector<double> at_tokens(std::span<const float> all, const std::vector<int32_t>& tokens) {
  std::vector<double> some;
  if (all.empty()) return some;
  some.reserve(tokens.size());
  for (const int32_t t : tokens) some.push_back(all[static_cast<size_t>(t)]);
  return some;
}

std::span<const double> numbers(const Tensor& t) {
  return {t.const_data_ptr<double>(), static_cast<size_t>(t.numel())};
}
std::span<double> writable(Tensor& t) {
  return {t.mutable_data_ptr<double>(), static_cast<size_t>(t.numel())};
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

template <class F>
Trainer::Predicted Trainer::predicted(const MicroBatch& part, std::span<const int32_t> rows,
                                      const F& wanted) {
  const Rows& packed = part.packing.rows();
  Predicted list;
  for (int64_t r = part.first; r < part.last; r++) {
    for (int32_t t = rows[r] + 1; t < rows[r + 1]; t++) {
      if (!wanted(t)) continue;
      list.before.push_back(packed.place[packed.start[r - part.first] + t - 1 - rows[r]]);
      list.tokens.push_back(t);
    }
    list.rows.push_back(static_cast<int32_t>(list.tokens.size()));
  }
  return list;
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
    const auto [before, tokens, _] = predicted(part, rows, [](int32_t) { return true; });
    std::vector<int32_t> target;
    for (const int32_t t : tokens) target.push_back(ids[t]);
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

std::vector<float> Trainer::values(std::span<const int32_t> ids, std::span<const int32_t> rows) {
  check(ids, rows, model_.config().vocab);
  const at::NoGradGuard guard;
  std::vector<float> all(ids.size());
  over(split(ids, rows), [&](const MicroBatch& part, const RowAttention& attend) {
    const auto [before, tokens, _] = predicted(part, rows, [](int32_t) { return true; });
    if (tokens.empty()) return;
    const Tensor h = hidden(part.packing, attend, before);
    const Tensor values = token_values(context_, h, model_.value_head()).to(at::kCPU);
    for (size_t i = 0; i < tokens.size(); i++) all[tokens[i]] = values.const_data_ptr<float>()[i];
  });
  return all;
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
  const size_t valued = model_.values() ? n : 0;
  require(b.old_values.size() == valued && b.returns.size() == valued,
          valued ? "values: expected old and returns for each id" : "values: there is no critic's head");
  for (size_t r = 0; r + 1 < b.rows.size(); r++)
    require(b.weight[b.rows[r]] == 0,
            "weight of the first token of row " + std::to_string(r) + " is not 0: nothing predicts it");
  LossSums policy;
  ValueSums values;
  over(split(b.ids, b.rows), [&](const MicroBatch& part, const RowAttention& attend) {
    const Predicted learned = predicted(part, b.rows, [&](int32_t t) { return b.weight[t] != 0; });
    policy.sum.tokens += b.rows[part.last] - b.rows[part.first];
    if (learned.tokens.empty()) return;
    policy.sum.computed_tokens += part.packing.tokens();
    policy.sum.loss_tokens += static_cast<int64_t>(learned.tokens.size());
    const Tensor h = hidden(part.packing, attend, learned.before);
    Roots roots;
    if (model_.speaks()) policy.add(policy_part(learned, h, b, options, temperature, roots));
    if (model_.values()) values.add(value_part(learned, h, b, options, roots));
    torch::autograd::backward(roots.outputs, roots.gradients);
    for (const auto& weights : model_.weights()) weights->collect();
  });
  LossStats stats = policy.finish();
  stats.value = values.finish();
  stats.loss += options.value_coef * stats.value.loss;
  return stats;
}

LossSums Trainer::policy_part(const Predicted& learned, const Tensor& h, const Batch& b,
                              const LossOptions& options, double temperature, Roots& roots) {
  std::vector<int32_t> target;
  for (const int32_t t : learned.tokens) target.push_back(b.ids[t]);
  const TokenLogp known = token_logp(context_, h, model_.head(), target, temperature);
  const Tensor logp = known.logp.detach().to(at::kCPU, at::kDouble);
  const Tensor entropy = known.entropy.detach().to(at::kCPU, at::kDouble);
  Tensor dlogp = at::zeros_like(logp), dentropy = at::zeros_like(entropy);
  const std::vector<double> old_logp = at_tokens(b.old_logp, learned.tokens),
                            ref_logp = at_tokens(b.ref_logp, learned.tokens),
                            advantage = at_tokens(b.advantage, learned.tokens),
                            weight = at_tokens(b.weight, learned.tokens);
  LossSums sums =
      policy_loss({numbers(logp), numbers(entropy), old_logp, ref_logp, advantage, weight, learned.rows},
                  options, writable(dlogp), writable(dentropy));
  sums.sum.tokens = sums.sum.loss_tokens = 0;  // counted for both losses
  roots.add(known.logp, dlogp);
  if (options.entropy_coef != 0) roots.add(known.entropy, dentropy);
  return sums;
}

ValueSums Trainer::value_part(const Predicted& learned, const Tensor& h, const Batch& b,
                              const LossOptions& options, Roots& roots) {
  const Tensor values = token_values(context_, h, model_.value_head());
  const Tensor known = values.detach().to(at::kCPU, at::kDouble);
  Tensor gradient = at::zeros_like(known);
  const std::vector<double> old_values = at_tokens(b.old_values, learned.tokens),
                            returns = at_tokens(b.returns, learned.tokens),
                            weight = at_tokens(b.weight, learned.tokens);
  const ValueSums sums =
      value_loss({numbers(known), old_values, returns, weight}, options.value_clip, writable(gradient));
  roots.add(values, gradient.mul_(options.value_coef));
  return sums;
}

void Trainer::Roots::add(const Tensor& output, const Tensor& gradient) {
  outputs.push_back(output);
  gradients.push_back(gradient.to(output.device(), at::kFloat));
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

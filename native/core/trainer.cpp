#include "trainer.h"

#include "error.h"

namespace tarl {

using at::Tensor;

namespace {

Tensor on_device(std::span<const int32_t> values, const at::Device& device) {
  return at::tensor(at::ArrayRef<int32_t>(values.data(), values.size()), at::kInt).to(device);
}

/// Offsets of rows [first, last] counted from row `first`.
std::vector<int64_t> offsets(std::span<const int32_t> rows, int64_t first, int64_t last) {
  std::vector<int64_t> list;
  for (int64_t r = first; r <= last; r++) list.push_back(rows[r] - rows[first]);
  return list;
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

Trainer::Trainer(Model& model, const Context& context, int64_t tokens, const std::atomic<bool>& stopping)
    : model_(model),
      context_(context),
      tokens_(tokens),
      stopping_(stopping),
      optimizer_(model.parameters()) {}

template <class F>
void Trainer::over_rows(std::span<const int32_t> rows, const F& f) const {
  const int64_t count = static_cast<int64_t>(rows.size()) - 1;
  for (int64_t first = 0, last; first < count; first = last) {
    if (stopping_) throw Error("DISPOSED", "the engine is disposed");
    last = first + 1;
    while (last < count && rows[last + 1] - rows[first] <= tokens_) last++;
    f(first, last);
  }
}

Tensor Trainer::hidden(std::span<const int32_t> ids, std::span<const int32_t> rows, int64_t first,
                       int64_t last) {
  const std::vector<int64_t> local = offsets(rows, first, last);
  std::vector<int32_t> positions;
  for (size_t r = 0; r + 1 < local.size(); r++)
    for (int64_t t = 0; t < local[r + 1] - local[r]; t++) positions.push_back(static_cast<int32_t>(t));
  const at::Device device = model_.options().device();
  const auto packed = ids.subspan(rows[first], rows[last] - rows[first]);
  return model_.forward(context_, on_device(packed, device), on_device(positions, device),
                        [&](int64_t, const Heads& heads) { return attend_rows(context_, heads, local); });
}

Scores Trainer::score(std::span<const int32_t> ids, std::span<const int32_t> rows, double temperature) {
  check(ids, rows, model_.config().vocab);
  const at::NoGradGuard guard;
  Scores scores{std::vector<float>(ids.size()), std::vector<float>(ids.size()),
                std::vector<int32_t>(ids.size(), -1)};
  over_rows(rows, [&](int64_t first, int64_t last) {
    std::vector<int64_t> before;  // position whose output predicts the token, within the micro-batch
    std::vector<int32_t> target, place;
    for (int64_t r = first; r < last; r++)
      for (int32_t t = rows[r] + 1; t < rows[r + 1]; t++) {
        before.push_back(t - 1 - rows[first]);
        target.push_back(ids[t]);
        place.push_back(t);
      }
    if (place.empty()) return;
    const Tensor h =
        hidden(ids, rows, first, last).index_select(0, at::tensor(before).to(model_.options().device()));
    const TokenLogp known = token_logp(context_, h, model_.head(), target, temperature);
    const Tensor logp = known.logp.to(at::kCPU), entropy = known.entropy.to(at::kCPU);
    const std::vector<int32_t> top = top_ids(context_, h, model_.head());
    for (size_t i = 0; i < place.size(); i++) {
      scores.logp[place[i]] = logp.const_data_ptr<float>()[i];
      scores.entropy[place[i]] = entropy.const_data_ptr<float>()[i];
      scores.top1[place[i]] = top[i];
    }
  });
  return scores;
}

Trace Trainer::trace(std::span<const int32_t> ids, std::span<const int32_t> rows,
                     std::span<const int32_t> positions) {
  check(ids, rows, model_.config().vocab);
  const at::NoGradGuard guard;
  const int64_t count = static_cast<int64_t>(rows.size()) - 1;
  const std::vector<int64_t> local = offsets(rows, 0, count);
  std::vector<int32_t> own(positions.begin(), positions.end());
  if (own.empty())
    for (size_t r = 0; r + 1 < local.size(); r++)
      for (int64_t t = 0; t < local[r + 1] - local[r]; t++) own.push_back(static_cast<int32_t>(t));
  require(own.size() == ids.size(), "positions: expected one for each id");
  Trace trace;
  const at::Device device = model_.options().device();
  trace.hidden = model_.forward(
      context_, on_device(ids, device), on_device(own, device),
      [&](int64_t, const Heads& heads) { return attend_rows(context_, heads, local); }, &trace.residuals);
  trace.logits = model_.head()(context_, trace.hidden);
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
  over_rows(b.rows, [&](int64_t first, int64_t last) {
    // Tokens in the loss, gathered: rows of the loss are rows of the micro-batch with only those tokens.
    std::vector<int64_t> before;
    std::vector<int32_t> target, loss_rows{0};
    std::vector<double> weight, advantage, old_logp, ref_logp;
    for (int64_t r = first; r < last; r++) {
      for (int32_t t = b.rows[r]; t < b.rows[r + 1]; t++) {
        if (b.weight[t] == 0) continue;
        before.push_back(t - 1 - b.rows[first]);
        target.push_back(b.ids[t]);
        weight.push_back(b.weight[t]);
        advantage.push_back(b.advantage[t]);
        if (!b.old_logp.empty()) old_logp.push_back(b.old_logp[t]);
        if (!b.ref_logp.empty()) ref_logp.push_back(b.ref_logp[t]);
      }
      loss_rows.push_back(static_cast<int32_t>(target.size()));
    }
    total.sum.tokens += b.rows[last] - b.rows[first];
    if (target.empty()) return;
    const Tensor h =
        hidden(b.ids, b.rows, first, last).index_select(0, at::tensor(before).to(model_.options().device()));
    const TokenLogp known = token_logp(context_, h, model_.head(), target, temperature);
    const Tensor logp = known.logp.detach().to(at::kCPU, at::kDouble);
    const Tensor entropy = known.entropy.detach().to(at::kCPU, at::kDouble);
    Tensor dlogp = at::zeros_like(logp), dentropy = at::zeros_like(entropy);
    const auto span = [&](const Tensor& t) { return std::span(t.const_data_ptr<double>(), target.size()); };
    LossSums part = policy_loss({span(logp), span(entropy), old_logp, ref_logp, advantage, weight, loss_rows},
                                options, std::span(dlogp.mutable_data_ptr<double>(), target.size()),
                                std::span(dentropy.mutable_data_ptr<double>(), target.size()));
    part.sum.tokens = 0;  // counted above, all tokens of the rows
    total.add(part);
    const auto like = [&](const Tensor& grad) { return grad.to(h.device(), at::kFloat); };
    if (options.entropy_coef == 0)
      torch::autograd::backward({known.logp}, {like(dlogp)});
    else
      torch::autograd::backward({known.logp, known.entropy}, {like(dlogp), like(dentropy)});
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

// Every operation of the CUDA backend on a GPU against plain ATen with autograd, in fp32 and bf16, and what
// only a GPU can show: bits that do not depend on a row's company, recorded rounds that give what unrecorded
// ones give. Built with libtarl_cuda.so where libtorch has CUDA; run by test/gpu/kernels.test.ts. Prints a
// line per comparison.

#include <torch/torch.h>

#include <cmath>
#include <cstdio>
#include <numeric>

#include "core/page.h"
#include "cuda/backend.h"

using namespace tarl;
using at::Tensor;

namespace {

const at::Device kDevice(at::kCUDA, 0);
int compared = 0, failed = 0;

void expect(const std::string& what, bool good, double value) {
  compared++;
  if (!good) failed++;
  std::printf("%s %-52s %.3g\n", good ? "ok  " : "FAIL", what.c_str(), value);
}

/// Largest difference, as a share of the largest number of the reference.
void near(const std::string& what, const Tensor& a, const Tensor& b, double bound) {
  const Tensor x = a.detach().to(at::kDouble), y = b.detach().to(at::kDouble);
  const double off = (x - y).abs().max().item<double>() / (y.abs().max().item<double>() + 1e-12);
  expect(what, off <= bound, off);
}
void same(const std::string& what, const Tensor& a, const Tensor& b) {
  const double off = (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
  expect(what + ", to the bit", at::equal(a, b), off);
}

struct Device {
  at::ScalarType dtype;
  double bound;  // of one operation
  std::string name;
  std::unique_ptr<Backend> backend, invariant;

  explicit Device(at::ScalarType type)
      : dtype(type), bound(type == at::kFloat ? 2e-5 : 1.2e-2), name(type == at::kFloat ? "fp32 " : "bf16 ") {
    const CudaOptions fast{kDevice, type, false, true}, same{kDevice, type, true, false};
    backend.reset(tarl_cuda_backend(&fast));
    invariant.reset(tarl_cuda_backend(&same));
    at::globalContext().setDeterministicAlgorithms(false, false);
  }
  Tensor random(at::IntArrayRef sizes) const {
    return at::randn(sizes, at::TensorOptions(kDevice)).to(dtype);
  }
};

/// A number's fp32 copy that gradients are wanted of.
Tensor leaf(const Tensor& t) { return t.detach().to(at::kFloat).requires_grad_(true); }
Tensor rms(const Tensor& x, const Tensor& w, double eps) {
  return x * at::rsqrt(x.square().mean(-1, true) + eps) * w;
}

void norms(const Device& d) {
  for (const auto& [t, width] : {std::pair<int64_t, int64_t>{5, 4096}, {1000, 1024}, {3, 37}}) {
    const Tensor x = d.random({t, width}), add = d.random({t, width}), w = d.random({width}),
                 up = d.random({t, width}), d_sum = d.random({t, width}),
                 grad = at::zeros({width}, at::TensorOptions(kDevice));
    const NormRows r = d.backend->norm(x, add, w, 1e-6);
    const Tensor dx = d.backend->norm_backward(d_sum, up, r.sum, w, r.rstd, grad);
    const Tensor s = leaf(r.sum), lw = leaf(w), y = rms(s, lw, 1e-6);
    torch::autograd::backward({y, s}, {up.to(at::kFloat), d_sum.to(at::kFloat)});
    const std::string name = d.name + "norm " + std::to_string(width);
    near(name + " sum", r.sum, x + add, d.bound);
    near(name, r.normed, y, d.bound);
    near(name + " gradient", dx, s.grad(), d.bound);
    near(name + " gradient of w", grad, lw.grad(), 1e-4);
  }
}

void splits(const Device& d) {
  constexpr int64_t t = 70, heads = 6, kv_heads = 2, c = 128;
  const Tensor qkv = d.random({t, (heads + 2 * kv_heads) * c}), wq = d.random({c}), wk = d.random({c});
  const Tensor angle = at::randn({t, c / 2}, at::TensorOptions(kDevice)), cos = angle.cos(),
               sin = angle.sin();
  const SplitRows r = d.backend->split(qkv, {heads, kv_heads, c}, wq, wk, 1e-6, {cos, sin});
  const Heads up{d.random({t, heads, c}), d.random({t, kv_heads, c}), d.random({t, kv_heads, c})};
  const Tensor gq = at::zeros({c}, at::TensorOptions(kDevice)), gk = at::zeros_like(gq);
  const Tensor dqkv = d.backend->split_backward(up, qkv, wq, wk, r.rstd, {cos, sin}, gq, gk);
  const Tensor x = leaf(qkv), lq = leaf(wq), lk = leaf(wk), all = x.view({t, -1, c});
  const auto turned = [&](const Tensor& h) {
    const Tensor co = at::cat({cos, cos}, 1).unsqueeze(1), si = at::cat({sin, sin}, 1).unsqueeze(1);
    return h * co + at::cat({-h.narrow(2, c / 2, c / 2), h.narrow(2, 0, c / 2)}, 2) * si;
  };
  const Tensor q = turned(rms(all.narrow(1, 0, heads), lq, 1e-6)),
               k = turned(rms(all.narrow(1, heads, kv_heads), lk, 1e-6)),
               v = all.narrow(1, heads + kv_heads, kv_heads);
  torch::autograd::backward({q, k, v}, {up.q.to(at::kFloat), up.k.to(at::kFloat), up.v.to(at::kFloat)});
  near(d.name + "split q", r.heads.q, q, d.bound);
  near(d.name + "split k", r.heads.k, k, d.bound);
  near(d.name + "split v", r.heads.v, v, 0);
  near(d.name + "split gradient", dqkv, x.grad(), d.bound);
  near(d.name + "split gradient of q_norm", gq, lq.grad(), 1e-4);
  near(d.name + "split gradient of k_norm", gk, lk.grad(), 1e-4);
}

void swiglus(const Device& d) {
  const Tensor x = d.random({50, 2 * 3072}), up = d.random({50, 3072}), l = leaf(x);
  const Tensor y = at::silu(l.narrow(1, 0, 3072)) * l.narrow(1, 3072, 3072);
  y.backward(up.to(at::kFloat));
  near(d.name + "swiglu", d.backend->swiglu(x), y, d.bound);
  near(d.name + "swiglu gradient", d.backend->swiglu_backward(x, up), l.grad(), d.bound);
}

void linears(const Device& d) {
  const Tensor x = d.random({300, 512}), w = d.random({768, 512}), bias = d.random({768}),
               dy = d.random({300, 768});
  const Tensor lx = leaf(x), lw = leaf(w), lb = leaf(bias), y = at::linear(lx, lw, lb);
  y.backward(dy.to(at::kFloat));
  const auto kernel = d.backend->linear(w, bias), tiled = d.invariant->linear(w, bias);
  near(d.name + "linear", kernel->forward(x, false), y, d.bound);
  near(d.name + "linear in fp32", kernel->forward(x, true), y, 2e-5);
  near(d.name + "linear gradient", kernel->backward(dy), lx.grad(), d.bound);
  const Tensor grad = at::ones({768, 512}, at::TensorOptions(kDevice)),
               bias_grad = at::ones({768}, grad.options());
  kernel->gradient(x, dy, grad, bias_grad);
  near(d.name + "linear gradient of w", grad - 1, lw.grad(), 1e-4);
  near(d.name + "linear gradient of the bias", bias_grad - 1, lb.grad(), 1e-4);
  const Tensor all = tiled->forward(x, true);
  for (const int64_t rows : {1, 7, 64, 128, 129, 255})
    same(d.name + "linear of " + std::to_string(rows) + " rows alone and among 300",
         tiled->forward(x.narrow(0, 300 - rows, rows).contiguous(), true), all.narrow(0, 300 - rows, rows));
}

/// Bottom-right causal attention of q [t, H, C] over k, v [S, G, C], in fp32.
Tensor plain_attention(const Tensor& q, const Tensor& k, const Tensor& v) {
  const int64_t t = q.size(0), keys = k.size(0), group = q.size(1) / k.size(1);
  const Tensor kh = k.repeat_interleave(group, 1).permute({1, 2, 0}),
               vh = v.repeat_interleave(group, 1).transpose(0, 1);
  const Tensor hidden = at::ones({t, keys}, at::TensorOptions(kDevice).dtype(at::kBool)).triu(keys - t + 1);
  const Tensor scores = at::matmul(q.transpose(0, 1), kh) / std::sqrt(static_cast<double>(q.size(2)));
  return at::matmul(at::softmax(scores.masked_fill(hidden, -INFINITY), -1), vh)
      .transpose(0, 1)
      .reshape({t, -1});
}

Tensor indices(const std::vector<int64_t>& list) { return at::tensor(list, at::kLong).to(kDevice); }

/// Rows of 700, 650 and 40 tokens; the second begins with 600 tokens of the first.
void rows_of(const Device& d, const Backend& backend, const std::string& name) {
  constexpr int64_t heads = 8, kv_heads = 2, c = 128;
  Rows rows{{0}, {}, {0, 600, 0}};
  int64_t next = 0;
  for (const auto& [length, shared] : {std::pair<int64_t, int64_t>{700, 0}, {650, 600}, {40, 0}}) {
    for (int64_t i = 0; i < length; i++) rows.place.push_back(i < shared ? i : next++);
    rows.start.push_back(static_cast<int64_t>(rows.place.size()));
  }
  const Heads x{d.random({next, heads, c}), d.random({next, kv_heads, c}), d.random({next, kv_heads, c})};
  const Tensor up = d.random({next, heads * c});
  auto& b = const_cast<Backend&>(backend);
  const auto plan = b.plan(rows);
  const AttentionRows r = b.attend(x, *plan);
  const Heads dx = b.attend_backward(x, r, up, *plan);
  const Tensor q = leaf(x.q), k = leaf(x.k), v = leaf(x.v);
  std::vector<Tensor> outs;
  for (int64_t row = 0, first = 0; row < 3; row++) {
    const std::vector<int64_t> place(rows.place.begin() + rows.start[row],
                                     rows.place.begin() + rows.start[row + 1]);
    const int64_t own = rows.length(row) - rows.shared[row];
    outs.push_back(plain_attention(q.narrow(0, first, own), k.index_select(0, indices(place)),
                                   v.index_select(0, indices(place))));
    first += own;
  }
  const Tensor y = at::cat(outs);
  y.backward(up.to(at::kFloat));
  near(name, r.out, y, d.bound);
  near(name + " gradient of q", dx.q, q.grad(), 2 * d.bound);
  near(name + " gradient of k", dx.k, k.grad(), 2 * d.bound);
  near(name + " gradient of v", dx.v, v.grad(), 2 * d.bound);
}

/// A pool of pages, and conversations that share some.
struct Pool {
  static constexpr int64_t kHeads = 8, kKvHeads = 2, kChannels = 128, kPages = 200;
  KvLayer kv;
  std::vector<std::vector<int64_t>> pages;
  std::vector<int64_t> past;

  explicit Pool(const Device& d)
      : kv{d.random({kPages, kPage, kKvHeads, kChannels}), d.random({kPages, kPage, kKvHeads, kChannels})} {
    int64_t next = 0;
    for (const auto& [length, shared] :
         {std::pair<int64_t, int64_t>{800, 0}, {700, 40}, {530, 32}, {20, 0}, {0, 0}}) {
      std::vector<int64_t> list;
      for (int64_t p = 0; p * kPage <= length; p++)
        list.push_back(p < shared ? pages[0][p] : next++ * 3 % kPages);
      pages.push_back(list);
      past.push_back(length);
    }
  }
  std::vector<Segment> decode() const {
    std::vector<Segment> list;
    for (size_t i = 0; i < pages.size(); i++)
      list.push_back({static_cast<int64_t>(i), 1, past[i], &pages[i]});
    return list;
  }
  Heads heads(const Device& d, int64_t tokens) const {
    return {d.random({tokens, kHeads, kChannels}), d.random({tokens, kKvHeads, kChannels}),
            d.random({tokens, kKvHeads, kChannels})};
  }
  /// Keys or values of a conversation's first tokens.
  Tensor seen(const Tensor& pool, size_t i, int64_t tokens) const {
    return pool.index_select(0, indices(pages[i])).flatten(0, 1).narrow(0, 0, tokens).to(at::kFloat);
  }
};

void conversations(const Device& d, Backend& backend, const std::string& name) {
  const Pool pool(d);
  const Heads x = pool.heads(d, 5);
  const std::vector<Segment> segments = pool.decode();
  const Tensor out = backend.attend_cached(x, *backend.plan(segments), pool.kv);
  for (size_t i = 0; i < segments.size(); i++) {
    const int64_t n = pool.past[i] + 1, row = static_cast<int64_t>(i);
    near(name + " decode, conversation " + std::to_string(i), out.narrow(0, row, 1),
         plain_attention(x.q.narrow(0, row, 1).to(at::kFloat), pool.seen(pool.kv.keys, i, n),
                         pool.seen(pool.kv.values, i, n)),
         d.bound);
    const std::vector<Segment> alone{{0, 1, pool.past[i], &pool.pages[i]}};
    const Heads one{x.q.narrow(0, row, 1), x.k.narrow(0, row, 1), x.v.narrow(0, row, 1)};
    same(name + " decode alone and in company", backend.attend_cached(one, *backend.plan(alone), pool.kv),
         out.narrow(0, row, 1));
  }
  // A prompt of 300 tokens behind 230, in the company of a single token.
  const std::vector<Segment> mixed{{0, 300, 230, &pool.pages[2]}, {300, 1, pool.past[0], &pool.pages[0]}};
  const Heads y = pool.heads(d, 301);
  const Tensor both = backend.attend_cached(y, *backend.plan(mixed), pool.kv);
  near(name + " prompt", both.narrow(0, 0, 300),
       plain_attention(y.q.narrow(0, 0, 300).to(at::kFloat), pool.seen(pool.kv.keys, 2, 530),
                       pool.seen(pool.kv.values, 2, 530)),
       d.bound);
  if (!backend.batch_invariant()) return;
  const std::vector<Segment> last{{0, 1, 529, &pool.pages[2]}};
  const Heads one{y.q.narrow(0, 299, 1), y.k.narrow(0, 299, 1), y.v.narrow(0, 299, 1)};
  same(name + " last token of a prompt, decoded", backend.attend_cached(one, *backend.plan(last), pool.kv),
       both.narrow(0, 299, 1));
}

void recorded(const Device& d) {
  Pool pool(d);
  const Tensor table = d.random({64, (Pool::kHeads + 2 * Pool::kKvHeads) * Pool::kChannels});
  const auto split = [&](const Tensor& rows) {
    const Tensor all = rows.view({rows.size(0), -1, Pool::kChannels});
    return Heads{all.narrow(1, 0, Pool::kHeads).contiguous(),
                 all.narrow(1, Pool::kHeads, Pool::kKvHeads).contiguous(),
                 all.narrow(1, Pool::kHeads + Pool::kKvHeads, Pool::kKvHeads).contiguous()};
  };
  const auto model = [&](const Tensor& ids, const Tensor& positions, const CachedPlan& plan) {
    const Tensor rows = at::embedding(table, ids) + positions.unsqueeze(1).to(d.dtype) / 100;
    return d.backend->attend_cached(split(rows), plan, pool.kv);
  };
  for (int round = 0; round < 4; round++) {
    std::vector<Segment> segments = pool.decode();
    if (round == 2) segments.pop_back();  // fewer rows of the same recording
    if (round == 3) pool.kv = {pool.kv.keys.flip(0), pool.kv.values.flip(0)};  // other memory
    std::vector<int32_t> ids, positions;
    for (const Segment& s : segments) {
      ids.push_back(static_cast<int32_t>((s.start * 5 + round) % 64));
      positions.push_back(static_cast<int32_t>(s.past));
    }
    const Tensor replayed = d.backend->pass(segments, ids, positions, round / 3, model);
    const Tensor id = at::tensor(ids, at::kInt).to(kDevice),
                 position = at::tensor(positions, at::kInt).to(kDevice);
    same(d.name + "recorded round " + std::to_string(round), replayed,
         model(id, position, *d.backend->plan(segments)));
  }
}

void vocabulary(const Device& d) {
  constexpr int64_t t = 9;
  for (const int64_t v : {151936, 4099}) {
    const std::string name = d.name + "vocabulary of " + std::to_string(v);
    const Tensor z = at::randn({t, v}, at::TensorOptions(kDevice)) * 4, l = leaf(z);
    const Tensor ids = at::randint(v, {t}, at::TensorOptions(kDevice).dtype(at::kLong)),
                 id = ids.to(at::kInt);
    const Tensor dp = at::randn({t}, z.options()), de = at::randn({t}, z.options());
    const LogpRows r = d.backend->logp(z, id, 0.8);
    const Tensor all = at::log_softmax(l / 0.8, 1), logp = all.gather(1, ids.unsqueeze(1)).squeeze(1),
                 entropy = -(all.exp() * all).sum(1);
    torch::autograd::backward({logp, entropy}, {dp, de});
    near(name + " log-probs", r.logp, logp, 1e-5);
    near(name + " entropy", r.entropy, entropy, 1e-5);

    std::vector<Sampling> how(t);
    std::vector<const Sampling*> asked;
    std::vector<double> random;
    for (int64_t i = 0; i < t; i++) {
      how[i].temperature = i == 0 ? 0 : 0.8;
      how[i].top_k = i % 3 == 1 ? 20 : 0;
      how[i].top_p = i % 3 == 2 ? 0.9 : 1;
      asked.push_back(&how[i]);
      random.push_back(static_cast<double>(i * 37 % 100) / 100);
    }
    const std::vector<Draw> draws = d.backend->sample(z, asked, random);
    std::vector<int32_t> drawn;
    bool allowed = true;
    const Tensor host = z.cpu();
    for (int64_t i = 0; i < t; i++) {
      drawn.push_back(draws[i].id);
      allowed &= (host[i] > host[i][draws[i].id]).sum().item<int64_t>() < (i == 0 ? 1 : i % 3 == 1 ? 20 : v);
    }
    expect(name + " draws are among those that may be drawn", allowed, 0);
    const Tensor again = d.backend->logp(z, at::tensor(drawn, at::kInt).to(kDevice), 0.8).logp.cpu();
    bool equal = true;
    for (int64_t i = 1; i < t; i++) equal &= again[i].item<float>() == draws[i].logp;
    expect(name + " sampler's log-probs are the trainer's, to the bit", equal, 0);
    near(name + " gradient", d.backend->logp_backward(z.clone(), id, r.stats, 0.8, dp, de), l.grad(),
         d.bound);
  }
}

void update(const Device& d) {
  const Tensor value = d.random({1000, 37}), master = value.to(at::kFloat),
               grad = d.random({1000, 37}).to(at::kFloat), m = at::zeros_like(master),
               v = at::zeros_like(master);
  const Tensor p = master.clone(), pm = m.clone(), pv = v.clone(), steps = at::ones({}, master.options());
  const AdamwStep step{0.01, 0.9, 0.95, 1e-8, 0.1, 1, 1};
  d.backend->adamw(d.dtype == at::kFloat ? master : value, grad, master, m, v, step);
  at::_fused_adamw_({p}, {grad}, {pm}, {pv}, {}, {steps}, 0.01, 0.9, 0.95, 0.1, 1e-8, false, false);
  near(d.name + "adamw", master, p, 1e-6);
  near(d.name + "adamw value", d.dtype == at::kFloat ? master : value, p, d.bound);
}

}  // namespace

int main() {
  torch::manual_seed(1);
  const at::NoGradGuard guard;
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const Device d(type);
    const at::AutoGradMode grad(true);
    norms(d);
    splits(d);
    swiglus(d);
    linears(d);
    rows_of(d, *d.backend, d.name + "attention");
    rows_of(d, *d.invariant, d.name + "attention, batch-invariant,");
    conversations(d, *d.backend, d.name + "cached attention");
    conversations(d, *d.invariant, d.name + "cached attention, batch-invariant,");
    {
      const at::NoGradGuard inference;
      recorded(d);
    }
    vocabulary(d);
    update(d);
  }
  std::printf("%d compared, %d failed\n", compared, failed);
  return failed ? 1 : 0;
}

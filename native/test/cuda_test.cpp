// The CUDA kernels on the CPU (cuda_emulation.h), each compared with the obvious loop in double, for fp32 and
// bf16, at sizes that fill packs, warps and tiles and at sizes that do not. Every kernel runs twice, its
// threads in either order: the bits have to be the same.

#include <cstring>
#include <limits>
#include <numeric>

#include "core/sampler.h"
#include "cuda/kernels.h"
#include "test/test.h"

namespace tarl::cuda {
namespace {

template <class T>
using List = std::vector<T>;

template <class T>
List<T> stored(const List<float>& from) {
  List<T> list;
  for (const float x : from) list.push_back(narrow<T>(x));
  return list;
}
template <class T>
List<T> random(int64_t n, uint32_t seed, float scale = 1, float shift = 0) {
  List<float> list = numbers(static_cast<size_t>(n), seed);
  for (float& x : list) x = x * scale + shift;
  return stored<T>(list);
}
template <class T>
List<T> blank(int64_t n) {
  return stored<T>(List<float>(static_cast<size_t>(n), 7.f));  // something that has to be written over
}
template <class T>
double at(const List<T>& list, int64_t i) {
  return wide(list[static_cast<size_t>(i)]);
}

/// What a kernel may be off by: a few roundings of its storage.
template <class T>
double slack(double x) {
  return (sizeof(T) == 2 ? 0.008 : 2e-5) * (1 + std::abs(x));
}

/// Runs a kernel with its threads forwards and backwards; `out`: what it writes.
template <class F, class... L>
void twice(const F& run, L&... out) {
  const auto bytes = [](const auto& list) {
    return std::string(reinterpret_cast<const char*>(list.data()), list.size() * sizeof(list[0]));
  };
  const auto before = std::make_tuple(out...);
  emulation::backwards = true;
  run();
  const List<std::string> first{bytes(out)...};
  std::tie(out...) = before;
  emulation::backwards = false;
  run();
  EXPECT((first == List<std::string>{bytes(out)...}));
}

template <class T>
void norm_case(int64_t tokens, int64_t width, bool adds, bool last) {
  const auto x = random<T>(tokens * width, 1), add = random<T>(tokens * width, 2),
             w = random<T>(width, 3, 0.5f, 1), d_sum = random<T>(tokens * width, 4),
             dy = random<T>(tokens * width, 5);
  const float eps = 1e-6f;
  auto sum = blank<T>(tokens * width), normed = sum, dx = sum;
  List<float> rstd(static_cast<size_t>(tokens)), grad = numbers(static_cast<size_t>(width), 6),
                                                 partial(static_cast<size_t>(partials(tokens) * width));
  const List<float> grad_before = grad;
  twice(
      [&] {
        norm<T>({tokens, width, x.data(), adds ? add.data() : nullptr, w.data(), eps, sum.data(),
                 normed.data(), rstd.data()},
                nullptr);
      },
      sum, normed, rstd);
  if (!adds) sum = x;
  twice(
      [&] {
        norm_backward<T>({tokens, width, last ? nullptr : d_sum.data(), dy.data(), sum.data(), w.data(),
                          rstd.data(), dx.data(), grad.data(), partial.data()},
                         nullptr);
      },
      dx, grad);
  List<double> dw(static_cast<size_t>(width));
  for (int64_t t = 0; t < tokens; t++) {
    double square = 0, dot = 0;
    for (int64_t i = 0; i < width; i++) {
      const double s = at(sum, t * width + i);
      if (adds) EXPECT_NEAR(s, at(x, t * width + i) + at(add, t * width + i), slack<T>(s));
      square += s * s;
    }
    const double r = 1 / std::sqrt(square / static_cast<double>(width) + eps);
    EXPECT_NEAR(rstd[static_cast<size_t>(t)], r, 1e-5 * r);
    for (int64_t i = 0; i < width; i++) dot += at(sum, t * width + i) * r * at(w, i) * at(dy, t * width + i);
    for (int64_t i = 0; i < width; i++) {
      const int64_t j = t * width + i;
      const double unit = at(sum, j) * r, y = unit * at(w, i);
      EXPECT_NEAR(at(normed, j), y, slack<T>(y));
      const double d =
          (last ? 0 : at(d_sum, j)) + r * (at(w, i) * at(dy, j) - unit * dot / static_cast<double>(width));
      EXPECT_NEAR(at(dx, j), d, slack<T>(d));
      dw[static_cast<size_t>(i)] += at(dy, j) * unit;
    }
  }
  for (size_t i = 0; i < dw.size(); i++)
    EXPECT_NEAR(grad[i], grad_before[i] + dw[i], 1e-4 * (1 + std::abs(dw[i])));
}

template <class T>
void split_case(int64_t tokens, int heads, int kv_heads, int channels, bool norms) {
  const int kinds = heads + 2 * kv_heads, normed = heads + kv_heads, half = channels / 2;
  const auto qkv = random<T>(tokens * kinds * channels, 1), wq = random<T>(channels, 2, 0.5f, 1),
             wk = random<T>(channels, 3, 0.5f, 1);
  const auto angles = numbers(static_cast<size_t>(tokens * half), 4);
  List<float> cos, sin, rstd(static_cast<size_t>(tokens * normed));
  for (const float x : angles) cos.push_back(std::cos(3 * x)), sin.push_back(std::sin(3 * x));
  const T *pq = norms ? wq.data() : nullptr, *pk = norms ? wk.data() : nullptr;
  auto q = blank<T>(tokens * heads * channels), k = blank<T>(tokens * kv_heads * channels), v = k;
  const float eps = 1e-6f;
  twice(
      [&] {
        split<T>({tokens, heads, kv_heads, channels, qkv.data(), pq, pk, eps, cos.data(), sin.data(),
                  q.data(), k.data(), v.data(), rstd.data()},
                 nullptr);
      },
      q, k, v, rstd);
  const auto dq = random<T>(tokens * heads * channels, 5), dk = random<T>(tokens * kv_heads * channels, 6),
             dv = random<T>(tokens * kv_heads * channels, 7);
  auto dqkv = blank<T>(tokens * kinds * channels);
  List<float> q_grad(static_cast<size_t>(channels), 1), k_grad(static_cast<size_t>(channels), 2),
      partial(static_cast<size_t>(partials(tokens) * 2 * channels));
  float *gq = norms ? q_grad.data() : nullptr, *gk = norms ? k_grad.data() : nullptr;
  twice(
      [&] {
        split_backward<T>({tokens, heads, kv_heads, channels, dq.data(), dk.data(), dv.data(), qkv.data(), pq,
                           pk, rstd.data(), cos.data(), sin.data(), dqkv.data(), gq, gk, partial.data()},
                          nullptr);
      },
      dqkv, q_grad, k_grad);
  List<double> dwq(static_cast<size_t>(channels)), dwk(dwq);
  for (int64_t t = 0; t < tokens; t++)
    for (int h = 0; h < kinds; h++) {
      const int64_t from = (t * kinds + h) * channels;
      if (h >= normed) {
        for (int c = 0; c < channels; c++) {
          EXPECT(at(v, (t * kv_heads + h - normed) * channels + c) == at(qkv, from + c));
          EXPECT(at(dqkv, from + c) == at(dv, (t * kv_heads + h - normed) * channels + c));
        }
        continue;
      }
      const bool query = h < heads;
      const int64_t to = query ? (t * heads + h) * channels : (t * kv_heads + h - heads) * channels;
      const auto &w = query ? wq : wk, &y = query ? q : k, &dy = query ? dq : dk;
      double square = 0, dot = 0;
      for (int c = 0; c < channels; c++) square += at(qkv, from + c) * at(qkv, from + c);
      const double r = norms ? 1 / std::sqrt(square / channels + eps) : 1;
      List<double> turned(static_cast<size_t>(channels)), back(turned);
      const auto value = [&](int c) { return at(qkv, from + c) * r * (norms ? at(w, c) : 1); };
      for (int i = 0; i < half; i++) {
        const auto a = static_cast<size_t>(i), b = static_cast<size_t>(i + half);
        const double co = at(cos, t * half + i), si = at(sin, t * half + i);
        turned[a] = value(i) * co - value(i + half) * si, turned[b] = value(i + half) * co + value(i) * si;
        back[a] = at(dy, to + i) * co + at(dy, to + i + half) * si;
        back[b] = at(dy, to + i + half) * co - at(dy, to + i) * si;
      }
      for (int c = 0; c < channels; c++) dot += back[static_cast<size_t>(c)] * value(c);
      for (int c = 0; c < channels; c++) {
        const auto i = static_cast<size_t>(c);
        EXPECT_NEAR(at(y, to + c), turned[i], slack<T>(turned[i]));
        const double unit = at(qkv, from + c) * r;
        const double d = norms ? r * (back[i] * at(w, c) - unit * dot / channels) : back[i];
        EXPECT_NEAR(at(dqkv, from + c), d, slack<T>(d));
        (query ? dwq : dwk)[i] += back[i] * unit;
      }
    }
  for (size_t c = 0; c < dwq.size(); c++) {
    EXPECT_NEAR(q_grad[c], 1 + (norms ? dwq[c] : 0), 1e-4 * (1 + std::abs(dwq[c])));
    EXPECT_NEAR(k_grad[c], 2 + (norms ? dwk[c] : 0), 1e-4 * (1 + std::abs(dwk[c])));
  }
}

template <class T>
void swiglu_case(int64_t tokens, int64_t feed) {
  auto gate_up = random<T>(tokens * 2 * feed, 1, 4), dy = random<T>(tokens * feed, 2);
  gate_up[0] = narrow<T>(-200.f);
  auto y = blank<T>(tokens * feed), d = blank<T>(tokens * 2 * feed);
  twice([&] { swiglu<T>(tokens, feed, gate_up.data(), y.data(), nullptr); }, y);
  twice([&] { swiglu_backward<T>(tokens, feed, gate_up.data(), dy.data(), d.data(), nullptr); }, d);
  for (int64_t t = 0; t < tokens; t++)
    for (int64_t i = 0; i < feed; i++) {
      const int64_t j = t * 2 * feed + i;
      const double g = at(gate_up, j), up = at(gate_up, j + feed), o = at(dy, t * feed + i);
      const double sigma = 1 / (1 + std::exp(-g));
      EXPECT_NEAR(at(y, t * feed + i), g * sigma * up, slack<T>(g * sigma * up));
      EXPECT_NEAR(at(d, j), o * up * sigma * (1 + g * (1 - sigma)), slack<T>(o * up));
      EXPECT_NEAR(at(d, j + feed), o * g * sigma, slack<T>(o * g * sigma));
    }
}

template <class T>
void adamw_case(int64_t count, int64_t step) {
  auto value = random<T>(count, 1);
  List<float> master = numbers(static_cast<size_t>(count), 1), grad = numbers(static_cast<size_t>(count), 2),
              m = numbers(static_cast<size_t>(count), 3), v = numbers(static_cast<size_t>(count), 4);
  for (float& x : v) x = x * x;
  const List<float> p0 = master, m0 = m, v0 = v;
  const double lr = 0.01, decay = 0.1, b1 = 0.9, b2 = 0.95, eps = 1e-8, scale = 0.5;
  const double c1 = 1 - std::pow(b1, step), c2 = 1 - std::pow(b2, step);
  const Adamw a{static_cast<float>(1 - lr * decay),
                static_cast<float>(lr / c1),
                static_cast<float>(1 / std::sqrt(c2)),
                static_cast<float>(b1),
                static_cast<float>(b2),
                static_cast<float>(eps),
                static_cast<float>(scale)};
  twice([&] { adamw<T>(count, value.data(), grad.data(), master.data(), m.data(), v.data(), a, nullptr); },
        value, master, m, v);
  for (size_t i = 0; i < master.size(); i++) {
    const double g = grad[i] * scale, first = b1 * m0[i] + (1 - b1) * g,
                 second = b2 * v0[i] + (1 - b2) * g * g;
    const double p = p0[i] * (1 - lr * decay) - lr / c1 * first / (std::sqrt(second / c2) + eps);
    EXPECT_NEAR(m[i], first, 1e-6);
    EXPECT_NEAR(v[i], second, 1e-6);
    EXPECT_NEAR(master[i], p, 1e-5 * (1 + std::abs(p)));
    if constexpr (sizeof(T) == 2) EXPECT(at(value, static_cast<int64_t>(i)) == wide(narrow<T>(master[i])));
  }
}

template <class T>
void logp_case(int64_t tokens, int64_t vocab, float temperature) {
  auto logits = random<float>(tokens * vocab, 1, 8);
  logits[static_cast<size_t>(vocab / 2)] = -std::numeric_limits<float>::infinity();
  List<int32_t> ids;
  for (int64_t t = 0; t < tokens; t++) ids.push_back(static_cast<int32_t>((t * 7 + 3) % vocab));
  List<float> lp(static_cast<size_t>(tokens)), entropy(lp), stats(static_cast<size_t>(3 * tokens)),
      d_lp = numbers(static_cast<size_t>(tokens), 2), d_entropy = numbers(static_cast<size_t>(tokens), 3);
  const float inverse = 1 / temperature;
  twice(
      [&] {
        logp(tokens, vocab, logits.data(), ids.data(), inverse, lp.data(), entropy.data(), stats.data(),
             nullptr);
      },
      lp, entropy, stats);
  auto d = blank<T>(tokens * vocab);
  twice(
      [&] {
        logp_backward<T>(tokens, vocab, logits.data(), ids.data(), stats.data(), inverse, d_lp.data(),
                         d_entropy.data(), d.data(), nullptr);
      },
      d);
  for (int64_t t = 0; t < tokens; t++) {
    const auto z = [&](int64_t i) { return at(logits, t * vocab + i) * inverse; };
    double max = -1e30, sum = 0, mean = 0;
    for (int64_t i = 0; i < vocab; i++) max = std::max(max, z(i));
    for (int64_t i = 0; i < vocab; i++) sum += std::exp(z(i) - max);
    const auto log_p = [&](int64_t i) { return z(i) - max - std::log(sum); };
    for (int64_t i = 0; i < vocab; i++)
      if (std::isfinite(z(i))) mean -= std::exp(log_p(i)) * log_p(i);
    const auto row = static_cast<size_t>(t);
    EXPECT_NEAR(lp[row], log_p(ids[row]), 1e-4);
    EXPECT_NEAR(entropy[row], mean, 1e-4);
    for (int64_t i = 0; i < vocab; i++) {
      const double p = std::exp(log_p(i));
      double slope = p > 0 ? p * (-d_lp[row] - d_entropy[row] * (log_p(i) + mean)) : 0;
      if (i == ids[row]) slope += d_lp[row];
      EXPECT_NEAR(at(d, t * vocab + i), slope * inverse, slack<T>(slope * inverse));
    }
  }
}

/// Rows that differ in what is asked of them, against `distribution` of core/sampler.h.
void sample_case(int64_t vocab, bool ties) {
  List<Sampling> asked;
  int turn = 0;
  for (const double temperature : {0.0, 1.0, 0.6, 1.5})
    for (const int64_t top_k : {int64_t{0}, int64_t{1}, int64_t{5}, vocab + 3})
      for (const double top_p : {1.0, 0.9, 0.3, 0.0})
        for (const double min_p : {0.0, 0.1})
          if (turn++ % 5 == 0) asked.push_back({temperature, top_p, top_k, min_p, {}, 1});
  const auto rows = static_cast<int64_t>(asked.size());
  auto logits = random<float>(rows * vocab, 5, 6);
  if (ties)
    for (float& x : logits) x = std::round(x);  // -0 among them
  List<Choice> choices;
  const List<float> u = numbers(static_cast<size_t>(rows), 9);
  for (size_t i = 0; i < asked.size(); i++) {
    const Sampling& s = asked[i];
    const bool greedy = s.temperature == 0;
    choices.push_back({(u[i] + 1) / 2, s.top_p, s.min_p, s.top_k,
                       static_cast<float>(greedy ? 1 : 1 / s.temperature), greedy});
  }
  List<Drawn> drawn(static_cast<size_t>(rows), Drawn{-2, 0});
  twice([&] { sample(rows, vocab, logits.data(), choices.data(), drawn.data(), nullptr); }, drawn);
  for (size_t i = 0; i < asked.size(); i++) {
    const std::span<const float> row(logits.data() + static_cast<int64_t>(i) * vocab,
                                     static_cast<size_t>(vocab));
    const List<double> p = distribution(row, asked[i]);
    const auto id = static_cast<size_t>(drawn[i].id);
    EXPECT(id < p.size() && p[id] > 0);
    double below = 0;
    for (size_t j = 0; j < id; j++) below += p[j];
    EXPECT(below <= choices[i].uniform + 1e-6 && choices[i].uniform <= below + p[id] + 1e-6);
    // The log-prob has the bits of `logp`.
    List<float> lp(1), entropy(1), stats(3);
    logp(1, vocab, row.data(), &drawn[i].id, choices[i].inverse, lp.data(), entropy.data(), stats.data(),
         nullptr);
    EXPECT(std::memcmp(&lp[0], &drawn[i].logp, sizeof(float)) == 0);
  }
}

TEST(cuda_norm) {
  norm_case<float>(3, 256, true, false);
  norm_case<float>(5, 37, true, true);
  norm_case<float>(1, 1000, false, false);
  norm_case<bf16>(3, 264, true, false);
  norm_case<bf16>(270, 8, false, true);
  norm_case<bf16>(2, 8200, true, false);  // more packs than threads
}
TEST(cuda_split) {
  split_case<float>(3, 4, 2, 16, true);
  split_case<float>(2, 3, 1, 128, false);
  split_case<bf16>(40, 2, 1, 64, true);
  split_case<bf16>(2, 2, 2, 250, true);
}
TEST(cuda_swiglu) {
  swiglu_case<float>(3, 64);
  swiglu_case<float>(5, 33);
  swiglu_case<bf16>(3, 64);
  swiglu_case<bf16>(5, 33);
}
TEST(cuda_adamw) {
  adamw_case<float>(1024, 1);
  adamw_case<bf16>(1024, 10);
  adamw_case<bf16>(1023, 3);
}
TEST(cuda_logp) {
  logp_case<float>(2, 4096, 1);
  logp_case<float>(3, 1001, 0.7f);
  logp_case<bf16>(2, 33, 1.3f);
}
TEST(cuda_sample) {
  sample_case(1111, false);
  sample_case(1540, true);
  sample_case(7, true);
}
TEST(cuda_sample_is_not_fooled) {
  for (const float odd : {NAN, INFINITY, -INFINITY}) {
    List<float> logits(40, 0.5f);
    logits[17] = odd;
    const List<Choice> choices{{0.5, 1, 0, 0, 1, 0}};
    List<Drawn> drawn(1);
    sample(1, 40, logits.data(), choices.data(), drawn.data(), nullptr);
    EXPECT(drawn[0].id == -1 && std::isnan(drawn[0].logp));
  }
}

}  // namespace
}  // namespace tarl::cuda

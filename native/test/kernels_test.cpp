// Every kernel of every instruction set that runs here, in fp32 and in bf16, against the obvious loop in
// double, on sizes that do not fit the vectors; and that a row's bits do not depend on its company.

#include "cpu/kernels.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "cpu/gemm.h"
#include "test.h"

using namespace tarl;

namespace {

template <class E>
std::vector<const Kernels<E>*> every() {
  std::vector<const Kernels<E>*> list{&kernels_generic<E>()};
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) list.push_back(&kernels_avx2<E>());
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
    list.push_back(&kernels_avx512<E>());
  if (__builtin_cpu_supports("avx512bf16")) list.push_back(&kernels_avx512_bf16<E>());
#endif
  return list;
}

float wide(float x) { return x; }
float wide(bf16 x) {
  const uint32_t bits = static_cast<uint32_t>(x.bits) << 16;
  float f;
  std::memcpy(&f, &bits, 4);
  return f;
}
template <class E>
E rounded(float x);
template <>
float rounded<float>(float x) {
  return x;
}
template <>
bf16 rounded<bf16>(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  return {static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
}

template <class E>
std::vector<E> elements(size_t n, uint32_t seed) {
  std::vector<E> list;
  for (const float x : numbers(n, seed)) list.push_back(rounded<E>(x));
  return list;
}

/// Bound for something that was rounded to E once and is about `size` large: `fine` for the fp32 arithmetic.
template <class E>
double near(double fine, double size) {
  return fine + (kSide<E> == 2 ? std::abs(size) / 256 : 0);
}

/// Memory for kernels that want it aligned.
struct Memory {
  std::unique_ptr<void, void (*)(void*)> data;
  explicit Memory(int64_t bytes) : data(std::aligned_alloc(64, round_up(bytes, 64)), std::free) {}
};

/// Attention of one query over rows of keys and values, and its gradients, in double.
struct Plain {
  std::vector<double> out, dq;
  std::vector<std::vector<double>> dk, dv;

  template <class E>
  Plain(const E* q, const std::vector<std::vector<E>>& k, const std::vector<std::vector<E>>& v, int64_t keys,
        const E* dout, double scale) {
    const size_t c = k[0].size();
    std::vector<double> p(keys);
    double sum = 0;
    for (int64_t j = 0; j < keys; j++) {
      double s = 0;
      for (size_t i = 0; i < c; i++) s += static_cast<double>(wide(q[i])) * wide(k[j][i]);
      sum += p[j] = std::exp(s * scale);
    }
    out.assign(c, 0);
    dq.assign(c, 0);
    dk.assign(k.size(), std::vector<double>(c));
    dv = dk;
    double delta = 0;
    std::vector<double> dp(keys);
    for (int64_t j = 0; j < keys; j++) {
      p[j] /= sum;
      for (size_t i = 0; i < c; i++) {
        out[i] += p[j] * wide(v[j][i]);
        dp[j] += static_cast<double>(wide(dout[i])) * wide(v[j][i]);
        dv[j][i] = p[j] * wide(dout[i]);
      }
      delta += p[j] * dp[j];
    }
    for (int64_t j = 0; j < keys; j++)
      for (size_t i = 0; i < c; i++) {
        const double ds = p[j] * (dp[j] - delta) * scale;
        dq[i] += ds * wide(k[j][i]);
        dk[j][i] = ds * wide(q[i]);
      }
  }
};

/// One head's keys or values in pages, both ways.
template <class E>
struct Pages {
  int64_t lanes_stride, rows_stride;
  std::vector<E> lanes, rows;
  Pages(const std::vector<std::vector<E>>& x, int64_t channels, int64_t pages)
      : lanes_stride(channels * 16),
        rows_stride(round_up(channels, 16) * 16),
        lanes(lanes_stride * pages),
        rows(rows_stride * pages) {
    constexpr int64_t side = kSide<E>;
    const int64_t cp = round_up(channels, 16);
    for (int64_t j = 0; j < static_cast<int64_t>(x.size()); j++)
      for (int64_t i = 0; i < channels; i++) {
        const int64_t slot = j % 16;
        lanes[j / 16 * lanes_stride + (i / side * 16 + slot) * side + i % side] = x[j][i];
        rows[j / 16 * rows_stride + (slot / side * cp + i) * side + slot % side] = x[j][i];
      }
  }
};

template <class E>
void check_layout(const Kernels<E>& kernel, const std::vector<std::vector<E>>& x, const Pages<E>& want,
                  int64_t c) {
  std::vector<E> flat, lanes(want.lanes_stride), rows(want.rows_stride);
  std::vector<int64_t> at;
  const int64_t n = static_cast<int64_t>(x.size());
  for (int64_t i = n; i-- > 0;) flat.insert(flat.end(), x[i].begin(), x[i].end());
  for (int64_t i = 0; i < n; i++) at.push_back(n - 1 - i);
  for (int64_t i = 0; i < n; i += 16) {
    kernel.lay_lanes(std::min<int64_t>(16, n - i), c, flat.data(), at.data() + i, c, lanes.data());
    kernel.lay_rows(std::min<int64_t>(16, n - i), c, flat.data(), at.data() + i, c, rows.data());
    EXPECT(std::equal(lanes.begin(), lanes.end(), want.lanes.begin() + i / 16 * want.lanes_stride));
    EXPECT(std::equal(rows.begin(), rows.end(), want.rows.begin() + i / 16 * want.rows_stride));
  }
}

template <class E>
void check_attention(const Kernels<E>& kernel, int64_t c, int64_t group, const std::vector<int64_t>& keys) {
  const int64_t n = group * static_cast<int64_t>(keys.size()),
                s = *std::max_element(keys.begin(), keys.end());
  const int64_t pages = (s + 15) / 16;
  std::vector<std::vector<E>> k, v;
  for (int64_t j = 0; j < s; j++) k.push_back(elements<E>(c, 100 + j)), v.push_back(elements<E>(c, 9000 + j));
  const auto q = elements<E>(n * c, 1), dout = elements<E>(n * c, 2);
  const Pages<E> kp(k, c, pages), vp(v, c, pages);
  check_layout(kernel, k, kp, c);
  // `group` queries to a token, which see as far.
  const int64_t tokens = n / group, cp = round_up(c, 16);
  std::vector<int64_t> at(tokens), ids(pages);
  for (int64_t i = 0; i < tokens; i++) at[i] = i;
  for (int64_t i = 0; i < pages; i++) ids[i] = i;
  const std::vector<const int64_t*> lists(tokens, ids.data());
  const float scale = 1.f / std::sqrt(static_cast<float>(c));
  const Memory scratch(std::max(kernel.attend_scratch(c), kernel.attend_backward_scratch(c)));
  std::vector<E> out(n * c), dq(n * c);
  std::vector<float> lse(n), dk(pages * 16 * cp), dv(pages * 16 * cp);
  const auto some = [&](int64_t first, int64_t count) {
    return Queries{count, group, c, at.data() + first, keys.data() + first, group * c, group};
  };
  const auto attend = [&](int64_t first, int64_t count, const int64_t* const* list, int64_t shared, E* to) {
    kernel.attend({some(first, count), list, shared, q.data(), kp.lanes.data(), vp.rows.data(),
                   kp.lanes_stride, vp.rows_stride, to, lse.data(), scale, scratch.data.get()});
  };
  attend(0, tokens, lists.data(), pages, out.data());
  kernel.attend_backward({some(0, tokens), ids.data(), q.data(), out.data(), dout.data(), lse.data(),
                          kp.lanes.data(), kp.rows.data(), vp.lanes.data(), kp.lanes_stride, kp.rows_stride,
                          dq.data(), dk.data(), dv.data(), 16 * cp, scale, scratch.data.get()});
  std::vector<std::vector<double>> sum_dk(s, std::vector<double>(c)), sum_dv = sum_dk;
  for (int64_t i = 0; i < n; i++) {
    const Plain plain(q.data() + i * c, k, v, keys[i / group], dout.data() + i * c, scale);
    for (int64_t x = 0; x < c; x++) {
      EXPECT_NEAR(wide(out[i * c + x]), plain.out[x], near<E>(2e-6, 1));
      EXPECT_NEAR(wide(dq[i * c + x]), plain.dq[x], near<E>(5e-6, 1));
      for (int64_t j = 0; j < s; j++) sum_dk[j][x] += plain.dk[j][x], sum_dv[j][x] += plain.dv[j][x];
    }
  }
  for (int64_t j = 0; j < s; j++)
    for (int64_t x = 0; x < c; x++) {
      EXPECT_NEAR(dk[j * cp + x], sum_dk[j][x], near<E>(1e-5, 2));
      EXPECT_NEAR(dv[j * cp + x], sum_dv[j][x], near<E>(1e-5, 2));
    }
  // A query's bits depend neither on the queries beside it nor on what they share.
  std::vector<E> alone(n * c);
  for (int64_t i = 0; i < tokens; i++) attend(i, 1, lists.data(), 0, alone.data());
  EXPECT(alone == out);
  const auto copy = ids;
  auto mixed = lists;
  for (int64_t i = 1; i < tokens; i += 3) mixed[i] = copy.data();
  for (int64_t shared = 0; shared <= pages; shared += 7) {
    std::vector<E> again(n * c);
    attend(0, tokens, mixed.data(), shared, again.data());
    EXPECT(again == out);
  }
}

template <class E>
void check_rows(const Kernels<E>& kernel, int64_t d) {
  const auto x = elements<E>(d, 1), add = elements<E>(d, 2), w = elements<E>(d, 3), dy = elements<E>(d, 4);
  std::vector<E> sum(d), y(d), dx(d);
  std::vector<float> dw(d);
  const float rstd = kernel.rms_norm(d, x.data(), add.data(), sum.data(), w.data(), 1e-6f, y.data());
  double square = 0, dot = 0;
  for (int64_t i = 0; i < d; i++) {
    EXPECT(sum[i] == rounded<E>(wide(x[i]) + wide(add[i])));
    square += std::pow(static_cast<double>(wide(sum[i])), 2);
  }
  const double r = 1 / std::sqrt(square / d + 1e-6);
  EXPECT_NEAR(rstd, r, 1e-5);
  kernel.rms_norm_backward(d, sum.data(), w.data(), rstd, dy.data(), add.data(), dx.data(), dw.data());
  for (int64_t i = 0; i < d; i++) dot += static_cast<double>(wide(sum[i])) * wide(w[i]) * wide(dy[i]);
  for (int64_t i = 0; i < d; i++) {
    const double s = wide(sum[i]), g = wide(dy[i]);
    const double want = wide(add[i]) + (g * wide(w[i]) - s * dot * r * r / d) * r;
    EXPECT_NEAR(wide(y[i]), wide(w[i]) * s * r, near<E>(1e-5, wide(y[i])));
    EXPECT_NEAR(wide(dx[i]), want, near<E>(2e-5, want));
    EXPECT_NEAR(dw[i], g * s * r, 1e-5);
  }

  if (d % 2 == 0) {
    const int64_t h = d / 2;
    const auto angle = numbers(h, 5);
    std::vector<float> cos(h), sin(h), share(d);
    for (int64_t i = 0; i < h; i++) cos[i] = std::cos(angle[i]), sin[i] = std::sin(angle[i]);
    for (const E* weight : {static_cast<const E*>(nullptr), w.data()}) {
      std::vector<double> normed(d), turned(d);
      double mean = 0, back = 0;
      for (int64_t i = 0; i < d; i++) mean += std::pow(static_cast<double>(wide(x[i])), 2) / d;
      const double rs = weight ? 1 / std::sqrt(mean + 1e-6) : 1;
      for (int64_t i = 0; i < d; i++) normed[i] = wide(x[i]) * rs * (weight ? wide(w[i]) : 1);
      const float got = kernel.head(d, x.data(), weight, 1e-6f, cos.data(), sin.data(), y.data());
      EXPECT_NEAR(got, rs, 1e-5);
      kernel.head_backward(d, x.data(), weight, got, cos.data(), sin.data(), dy.data(), dx.data(),
                           share.data());
      for (int64_t i = 0; i < h; i++) {
        EXPECT_NEAR(wide(y[i]), normed[i] * cos[i] - normed[i + h] * sin[i], near<E>(1e-5, 3));
        EXPECT_NEAR(wide(y[i + h]), normed[i + h] * cos[i] + normed[i] * sin[i], near<E>(1e-5, 3));
        turned[i] = wide(dy[i]) * cos[i] + wide(dy[i + h]) * sin[i];
        turned[i + h] = wide(dy[i + h]) * cos[i] - wide(dy[i]) * sin[i];
      }
      for (int64_t i = 0; i < d; i++) back += wide(x[i]) * turned[i] * wide(w[i]);
      for (int64_t i = 0; i < d; i++) {
        const double want =
            weight ? (turned[i] * wide(w[i]) - wide(x[i]) * back * rs * rs / d) * rs : turned[i];
        EXPECT_NEAR(wide(dx[i]), want, near<E>(2e-5, want));
        if (weight) EXPECT_NEAR(share[i], turned[i] * wide(x[i]) * rs, 1e-5);
      }
    }
  }

  const auto gu = elements<E>(2 * d, 6);
  std::vector<E> out(d), dgu(2 * d);
  kernel.swiglu(d, gu.data(), out.data());
  kernel.swiglu_backward(d, gu.data(), dy.data(), dgu.data());
  for (int64_t i = 0; i < d; i++) {
    const double g = wide(gu[i]), u = wide(gu[d + i]), sigma = 1 / (1 + std::exp(-g)), dout = wide(dy[i]);
    EXPECT_NEAR(wide(out[i]), g * sigma * u, near<E>(1e-6, 1));
    EXPECT_NEAR(wide(dgu[i]), dout * u * sigma * (1 + g * (1 - sigma)), near<E>(2e-6, 1));
    EXPECT_NEAR(wide(dgu[d + i]), dout * g * sigma, near<E>(1e-6, 1));
  }
}

template <class E>
void check_vocabulary(const Kernels<E>& kernel, int64_t d) {
  auto logits = numbers(d, 7);
  for (float& z : logits) z *= 20;
  const float inverse = 1.f / 0.7f;
  std::vector<double> blocks((d + kLogitBlock - 1) / kLogitBlock);
  const SoftmaxStats s = kernel.softmax_stats(d, logits.data(), inverse, blocks.data());
  double top = -1e9, total = 0, entropy = 0, of_blocks = 0;
  for (const float z : logits) top = std::max(top, static_cast<double>(z) * inverse);
  for (const float z : logits) total += std::exp(z * inverse - top);
  for (const float z : logits) {
    const double p = std::exp(z * inverse - top) / total;
    entropy -= p > 0 ? p * std::log(p) : 0;
  }
  for (const double sum : blocks) of_blocks += sum;
  EXPECT_NEAR(s.max * inverse + std::log(s.sum), top + std::log(total), 1e-5);
  EXPECT_NEAR(std::log(s.sum) - s.weighted / s.sum, entropy, 1e-5);
  EXPECT_NEAR(of_blocks / total, 1, 1e-6);
  std::vector<float> e(d);
  kernel.exponentials(d, logits.data(), inverse, s.max, e.data());
  std::vector<E> grad(2 * d);  // as long as the logits in either type, whose place it may take
  std::memcpy(grad.data(), logits.data(), d * 4);
  kernel.logp_backward(d, reinterpret_cast<const float*>(grad.data()), inverse, s, 3, 0.5f, -0.25f,
                       grad.data());
  for (int64_t j = 0; j < d; j++) {
    const double logp = logits[j] * inverse - top - std::log(total), p = std::exp(logp);
    const double want = (0.5 * ((j == 3) - p) + 0.25 * p * (logp + entropy)) * inverse;
    EXPECT_NEAR(e[j], std::exp(logits[j] * inverse - top), 1e-5);
    EXPECT_NEAR(wide(grad[j]), want, near<E>(1e-5, want));
  }
}

template <class E>
void check_optimizer(const Kernels<E>& kernel, int64_t n) {
  const auto grad = numbers(n, 1);
  auto master = numbers(n, 2), m = numbers(n, 3), v = numbers(n, 4);
  for (float& x : v) x = x * x;
  std::vector<E> value(n);
  const auto w0 = master, m0 = m, v0 = v;
  const AdamwRow a{0.5f, 0.9f, 0.99f, 1e-8f, 1e-2f, 3.f, 0.999f};
  E* const to = kSide<E> == 2 ? value.data() : reinterpret_cast<E*>(master.data());
  kernel.adamw(n, to, grad.data(), master.data(), m.data(), v.data(), a);
  double squares = 0;
  for (int64_t i = 0; i < n; i++) {
    const double g = grad[i] * 0.5, first = m0[i] * 0.9 + g * 0.1, second = v0[i] * 0.99 + g * g * 0.01;
    EXPECT_NEAR(m[i], first, 1e-6);
    EXPECT_NEAR(v[i], second, 1e-6);
    EXPECT_NEAR(master[i], w0[i] * 0.999 - 1e-2 * first / (std::sqrt(second * 3) + 1e-8), 1e-6);
    EXPECT(to[i] == rounded<E>(master[i]));
    squares += static_cast<double>(grad[i]) * grad[i];
  }
  EXPECT_NEAR(kernel.square(n, grad.data()), squares, 1e-9 * n);
}

/// One product by the kernels, without gemm: b [K, N] with strides.
template <class E>
std::vector<float> product(const Kernels<E>& kernel, int64_t m, int64_t n, int64_t k, const E* a, int64_t row,
                           int64_t column, const E* b, int64_t b_row, int64_t b_column) {
  const int64_t deep = round_up(k, kSide<E>), stride = deep * kernel.panel;
  const Memory left(kernel.left_stride(k) * m), right(round_up(n, kernel.panel) * deep * 4);
  E* const panels = static_cast<E*>(right.data.get());
  for (int64_t first = 0; first < n; first += kernel.panel)
    kernel.lay_right(k, std::min(kernel.panel, n - first), b + first * b_column, b_row, b_column,
                     panels + first / kernel.panel * stride);
  kernel.lay_left(m, k, a, row, column, left.data.get());
  std::vector<float> c(m * n);
  const int64_t laid = kernel.left_stride(k), own = row * static_cast<int64_t>(sizeof(E));
  kernel.product({m, k, n, left.data.get(), laid, panels, stride, nullptr, 0, c.data(), nullptr, n});
  if (kernel.reads_in_place(k, row, column)) {
    std::vector<float> same(m * n);
    kernel.product({m, k, n, a, own, panels, stride, nullptr, 0, same.data(), nullptr, n});
    EXPECT(same == c);
  }
  return c;
}

template <class E>
void check_product(const Kernels<E>& kernel) {
  if (kSide<E> == 1) EXPECT(kernel.reads_in_place(600, 600, 1));
  EXPECT(!kernel.reads_in_place(600, 1, 600));
  EXPECT(!kernel.reads_in_place(600, 4096, 1));
  for (const int64_t n : {1, 31, 33, 70, 150})
    for (const int64_t k : {1, 2, 8, 19, 37, 600}) {
      const auto a = elements<E>(kernel.tile * k, 11), b = elements<E>(n * k, 12);
      std::vector<E> a_turned(kernel.tile * k), b_turned(n * k);
      for (int64_t i = 0; i < kernel.tile; i++)
        for (int64_t x = 0; x < k; x++) a_turned[x * kernel.tile + i] = a[i * k + x];
      for (int64_t j = 0; j < n; j++)
        for (int64_t x = 0; x < k; x++) b_turned[x * n + j] = b[j * k + x];
      std::vector<float> all;
      for (int64_t m = kernel.tile; m > 0; m--) {
        const auto c = product<E>(kernel, m, n, k, a.data(), k, 1, b.data(), 1, k);
        if (m == kernel.tile) all = c;
        EXPECT(std::equal(c.begin(), c.end(), all.begin()));  // whatever rows it is with
        EXPECT(c == product<E>(kernel, m, n, k, a_turned.data(), 1, kernel.tile, b_turned.data(), n, 1));
      }
      for (int64_t i = 0; i < kernel.tile; i++)
        for (int64_t j = 0; j < n; j++) {
          double want = 0;
          for (int64_t x = 0; x < k; x++)
            want += static_cast<double>(wide(a[i * k + x])) * wide(b[j * k + x]);
          EXPECT_NEAR(all[i * n + j], want, 1e-4);
        }
    }
}

/// The whole product on the kernels picked here, over a pool.
template <class E>
void check_gemm(Pool& pool, int64_t m, int64_t n, int64_t k) {
  const auto a = elements<E>(m * k, 11), b = elements<E>(n * k, 12);
  const auto bias = numbers(n, 13);
  auto c = numbers(m * n, 14);
  const auto before = c;
  Packed<E> packed;
  packed.pack(pool, k, n, b.data(), 1, k);
  gemm<E>(pool, m, {a.data(), k, 1}, packed, {c.data(), nullptr, n, nullptr, true});
  std::vector<E> turned(m * k), again(m * n), alone(n);
  std::vector<float> in_full(m * n);
  for (int64_t i = 0; i < m; i++)
    for (int64_t x = 0; x < k; x++) turned[x * m + i] = a[i * k + x];
  gemm<E>(pool, m, {turned.data(), 1, m}, packed, {nullptr, again.data(), n, bias.data(), false});
  gemm<E>(pool, m, {a.data(), k, 1}, packed, {in_full.data(), nullptr, n, bias.data(), false});
  for (int64_t i = 0; i < m; i++) {
    gemm<E>(pool, 1, {a.data() + i * k, k, 1}, packed, {nullptr, alone.data(), n, bias.data(), false});
    for (int64_t j = 0; j < n; j++) {
      double want = 0;
      for (int64_t x = 0; x < k; x++) want += static_cast<double>(wide(a[i * k + x])) * wide(b[j * k + x]);
      EXPECT_NEAR(c[i * n + j], want + before[i * n + j], 2e-4);
      EXPECT_NEAR(in_full[i * n + j], want + bias[j], 2e-4);
      EXPECT(again[i * n + j] == rounded<E>(in_full[i * n + j]));  // rounded once, after the whole depth
      EXPECT(again[i * n + j] == alone[j]);
    }
  }
}

template <class E>
void check_all() {
  for (const Kernels<E>* kernel : every<E>()) {
    for (const int64_t d : {7, 16, 40, 130}) {
      check_rows(*kernel, d);
      check_vocabulary(*kernel, d);
      check_optimizer(*kernel, d);
    }
    check_vocabulary(*kernel, 2500);
    check_product(*kernel);
    for (const int64_t c : {8, 16, 24, 64, 136})
      check_attention(*kernel, c, 1, {1, 5, 16, 17, 36, 37, 2, 37, 37, 12, 13, 33, 4, 21, 30, 31, 32, 6, 7});
    check_attention(*kernel, 32, 3, {1, 255, 256, 257, 600, 599, 512, 513, 300, 2, 600, 511, 258});
    // Several groups of tiles in backward, some tiles of which see no key of the later blocks.
    std::vector<int64_t> keys;
    for (int64_t i = 0; i < 33; i++) keys.push_back(i % 10 < 5 ? 3 + i : 250 + 11 * i);
    check_attention(*kernel, 32, 3, keys);
  }
}

}  // namespace

TEST(kernels_in_fp32) { check_all<float>(); }
TEST(kernels_in_bf16) { check_all<bf16>(); }

TEST(matrix_product) {
  Pool pool(3);
  for (const int64_t m : {1, 2, 5, 12, 13, 100})
    for (const int64_t n : {2, 31, 33, 70})
      for (const int64_t k : {1, 19, 600, 1030}) {
        check_gemm<float>(pool, m, n, k);
        check_gemm<bf16>(pool, m, n, k);
      }
}

TEST(an_operand_for_which_there_was_no_memory_can_be_packed_again) {
  Pool pool(1);
  const std::vector<float> b = numbers(12, 3);
  Packed<float> packed;
  packed.pack(pool, 3, 4, b.data(), 4, 1);
  bool refused = false;
  try {
    packed.pack(pool, int64_t{1} << 48, 4, b.data(), 4, 1);
  } catch (const std::bad_alloc&) {
    refused = true;
  }
  EXPECT(refused);
  packed.pack(pool, 3, 4, b.data(), 4, 1);
  EXPECT(packed.panel(0)[0] == b[0]);
}

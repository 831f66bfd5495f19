// Every kernel of every instruction set that runs here, against the obvious loop, on sizes that do not fit
// the vectors.

#include <vector>

#include "cpu/gemm.h"
#include "core/sampler.h"
#include "test.h"

using namespace tarl;

namespace {

std::vector<const Kernels*> every() {
  std::vector<const Kernels*> list{&kernels_generic()};
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) list.push_back(&kernels_avx2());
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl"))
    list.push_back(&kernels_avx512());
#endif
  return list;
}

/// Attention of one query over rows of keys and values, and its gradients, in double.
struct Plain {
  std::vector<double> out, dq;
  std::vector<std::vector<double>> dk, dv;

  Plain(const float* q, const std::vector<std::vector<float>>& k, const std::vector<std::vector<float>>& v,
        int64_t keys, const float* dout, double scale) {
    const size_t c = k[0].size();
    std::vector<double> p(keys);
    double sum = 0;
    for (int64_t j = 0; j < keys; j++) {
      double s = 0;
      for (size_t i = 0; i < c; i++) s += static_cast<double>(q[i]) * k[j][i];
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
        out[i] += p[j] * v[j][i];
        dp[j] += static_cast<double>(dout[i]) * v[j][i];
        dv[j][i] = p[j] * dout[i];
      }
      delta += p[j] * dp[j];
    }
    for (int64_t j = 0; j < keys; j++)
      for (size_t i = 0; i < c; i++) {
        const double ds = p[j] * (dp[j] - delta) * scale;
        dq[i] += ds * k[j][i];
        dk[j][i] = ds * q[i];
      }
  }
};

}  // namespace

TEST(attention_and_its_gradient) {
  const int64_t s = 37, cp = 32;
  for (const Kernels* kernel : every())
    for (const int64_t c : {8, 16, 24, 32}) {
      const std::vector<int64_t> keys{1, 5, 16, 17, 36, 37, 2};
      const int64_t n = static_cast<int64_t>(keys.size()), pages = (s + kPage - 1) / kPage;
      const int64_t padded = round_up(c, kPage);
      std::vector<std::vector<float>> k, v, q, dout, out(n, std::vector<float>(c)), dq = out;
      for (int64_t j = 0; j < s; j++) k.push_back(numbers(c, 100 + j)), v.push_back(numbers(c, 200 + j));
      for (int64_t i = 0; i < n; i++) q.push_back(numbers(c, 300 + i)), dout.push_back(numbers(c, 400 + i));
      std::vector<std::vector<float>> kl(pages, std::vector<float>(16 * cp)), kr = kl, vl = kl, vr = kl,
                                                                              dk = kl, dv = kl;
      for (int64_t j = 0; j < s; j++)
        for (int64_t i = 0; i < c; i++) {
          kl[j / 16][i * 16 + j % 16] = kr[j / 16][j % 16 * padded + i] = k[j][i];
          vl[j / 16][i * 16 + j % 16] = vr[j / 16][j % 16 * padded + i] = v[j][i];
        }
      const auto read = [](std::vector<std::vector<float>>& rows) {
        std::vector<const float*> list;
        for (auto& row : rows) list.push_back(row.data());
        return list;
      };
      const auto write = [](std::vector<std::vector<float>>& rows) {
        std::vector<float*> list;
        for (auto& row : rows) list.push_back(row.data());
        return list;
      };
      std::vector<float> lse(n), scratch(attend_scratch(s, c));
      std::vector<float*> lse_at;
      for (float& x : lse) lse_at.push_back(&x);
      const float scale = 1.f / std::sqrt(static_cast<float>(c));
      const auto pq = read(q), pdout = read(dout), pkl = read(kl), pkr = read(kr), pvl = read(vl),
                 pvr = read(vr);
      const auto pout = write(out), pdq = write(dq), pdk = write(dk), pdv = write(dv);
      kernel->attend({n, c, pq.data(), pout.data(), lse_at.data(), keys.data(), pkl.data(), pvr.data(), scale,
                      scratch.data()});
      const auto read_out = read(out);
      kernel->attend_backward({n, c, pq.data(), read_out.data(), pdout.data(), lse_at.data(), pdq.data(),
                               keys.data(), pkl.data(), pkr.data(), pvl.data(), pdk.data(), pdv.data(), scale,
                               scratch.data()});
      std::vector<std::vector<double>> sum_dk(s, std::vector<double>(c)), sum_dv = sum_dk;
      for (int64_t i = 0; i < n; i++) {
        const Plain plain(q[i].data(), k, v, keys[i], dout[i].data(), scale);
        for (int64_t x = 0; x < c; x++) {
          EXPECT_NEAR(out[i][x], plain.out[x], 2e-6);
          EXPECT_NEAR(dq[i][x], plain.dq[x], 5e-6);
          for (int64_t j = 0; j < s; j++) sum_dk[j][x] += plain.dk[j][x], sum_dv[j][x] += plain.dv[j][x];
        }
      }
      for (int64_t j = 0; j < s; j++)
        for (int64_t x = 0; x < c; x++) {
          EXPECT_NEAR(dk[j / 16][j % 16 * padded + x], sum_dk[j][x], 1e-5);
          EXPECT_NEAR(dv[j / 16][j % 16 * padded + x], sum_dv[j][x], 1e-5);
        }
      // A query's bits do not depend on the block that it is in.
      std::vector<float> alone(c);
      for (int64_t i = 0; i < n; i++) {
        const float* one_q = q[i].data();
        float *one_out = alone.data(), *one_lse = &lse[0];
        kernel->attend(
            {1, c, &one_q, &one_out, &one_lse, &keys[i], pkl.data(), pvr.data(), scale, scratch.data()});
        EXPECT(alone == out[i]);
      }
    }
}

TEST(norm_rope_swiglu_and_vocabulary) {
  for (const Kernels* kernel : every())
    for (const int64_t d : {7, 16, 40, 130}) {
      const auto x = numbers(d, 1), add = numbers(d, 2), w = numbers(d, 3), dy = numbers(d, 4);
      std::vector<float> sum(d), y(d), dx(d), dw(d);
      const float rstd = kernel->rms_norm(d, x.data(), add.data(), sum.data(), w.data(), 1e-6f, y.data());
      double square = 0, dot = 0;
      for (int64_t i = 0; i < d; i++) square += std::pow(static_cast<double>(x[i]) + add[i], 2);
      const double r = 1 / std::sqrt(square / d + 1e-6);
      EXPECT_NEAR(rstd, r, 1e-5);
      kernel->rms_norm_backward(d, sum.data(), w.data(), rstd, dy.data(), dx.data(), dw.data());
      for (int64_t i = 0; i < d; i++) dot += static_cast<double>(sum[i]) * w[i] * dy[i];
      for (int64_t i = 0; i < d; i++) {
        EXPECT_NEAR(y[i], w[i] * sum[i] * r, 1e-5);
        EXPECT_NEAR(dx[i], (dy[i] * w[i] - sum[i] * dot * r * r / d) * r, 2e-5);
        EXPECT_NEAR(dw[i], dy[i] * sum[i] * r, 1e-5);
      }

      if (d % 2 == 0) {
        const auto angle = numbers(d / 2, 5);
        std::vector<float> cos(d / 2), sin(d / 2), turned = x;
        for (int64_t i = 0; i < d / 2; i++) cos[i] = std::cos(angle[i]), sin[i] = std::sin(angle[i]);
        kernel->rope(d, turned.data(), cos.data(), sin.data(), 1);
        EXPECT_NEAR(turned[0], x[0] * cos[0] - x[d / 2] * sin[0], 1e-6);
        EXPECT_NEAR(turned[d - 1], x[d - 1] * cos[d / 2 - 1] + x[d / 2 - 1] * sin[d / 2 - 1], 1e-6);
        kernel->rope(d, turned.data(), cos.data(), sin.data(), -1);
        for (int64_t i = 0; i < d; i++) EXPECT_NEAR(turned[i], x[i], 1e-6);
      }

      const auto gu = numbers(2 * d, 6);
      std::vector<float> out(d), dgu(2 * d);
      kernel->swiglu(d, gu.data(), out.data());
      kernel->swiglu_backward(d, gu.data(), dy.data(), dgu.data());
      for (int64_t i = 0; i < d; i++) {
        const double g = gu[i], u = gu[d + i], sigma = 1 / (1 + std::exp(-g));
        EXPECT_NEAR(out[i], g * sigma * u, 1e-6);
        EXPECT_NEAR(dgu[i], dy[i] * u * sigma * (1 + g * (1 - sigma)), 2e-6);
        EXPECT_NEAR(dgu[d + i], dy[i] * g * sigma, 1e-6);
      }

      auto logits = numbers(d, 7);
      for (float& z : logits) z *= 20;
      const float inverse = 1.f / 0.7f;
      const SoftmaxStats s = kernel->softmax_stats(d, logits.data(), inverse);
      double top = -1e9, total = 0, entropy = 0;
      for (const float z : logits) top = std::max(top, static_cast<double>(z) * inverse);
      for (const float z : logits) total += std::exp(z * inverse - top);
      for (const float z : logits) {
        const double p = std::exp(z * inverse - top) / total;
        entropy -= p > 0 ? p * std::log(p) : 0;
      }
      EXPECT_NEAR(s.max + std::log(s.sum), top + std::log(total), 1e-5);
      EXPECT_NEAR(std::log(s.sum) - s.weighted / s.sum, entropy, 1e-5);
      auto grad = logits;
      kernel->logp_backward(d, grad.data(), inverse, s, 3, 0.5f, -0.25f);
      for (int64_t j = 0; j < d; j++) {
        const double logp = logits[j] * inverse - top - std::log(total), p = std::exp(logp);
        EXPECT_NEAR(grad[j], (0.5 * ((j == 3) - p) + 0.25 * p * (logp + entropy)) * inverse, 1e-5);
      }
    }
}

TEST(matrix_product) {
  Pool pool(3);
  for (const int64_t m : {1, 2, 5, 12, 13, 100})
    for (const int64_t n : {1, 31, 33, 70})
      for (const int64_t k : {1, 19, 600}) {
        const auto a = numbers(m * k, 11), b = numbers(n * k, 12);
        auto c = numbers(m * n, 13);
        const auto before = c;
        Packed packed;
        packed.pack(pool, k, n / 2, b.data(), 1, k, 0, n);  // two parts that share a panel
        packed.pack(pool, k, n - n / 2, b.data() + n / 2 * k, 1, k, n / 2, n);
        gemm(pool, m, {a.data(), k, 1}, packed, c.data(), n, true);
        std::vector<float> turned(m * k), again(m * n);
        for (int64_t i = 0; i < m; i++)
          for (int64_t x = 0; x < k; x++) turned[x * m + i] = a[i * k + x];
        gemm(pool, m, {turned.data(), 1, m}, packed, again.data(), n, false);
        for (int64_t i = 0; i < m; i++)
          for (int64_t j = 0; j < n; j++) {
            double want = 0;
            for (int64_t x = 0; x < k; x++) want += static_cast<double>(a[i * k + x]) * b[j * k + x];
            EXPECT_NEAR(c[i * n + j], want + before[i * n + j], 1e-4);
            EXPECT_NEAR(again[i * n + j], want, 1e-4);
          }
      }
}

TEST(sampler) {
  const std::vector<float> logits{0.f, 1.f, 2.f, 2.f, -50.f};
  Sampling s;
  s.top_k = 1;  // ties are kept
  const std::vector<double> p = distribution(logits, s);
  EXPECT(p[2] == 0.5 && p[3] == 0.5 && p[1] == 0);
  EXPECT(draw(logits, s, 0.0).id == 2 && draw(logits, s, 0.9999999).id == 3);
  s.temperature = 0;
  EXPECT(draw(logits, s, 0.7).id == 2);
  for (const float wrong : {NAN, INFINITY})
    for (s.temperature = 0; s.temperature < 2; s.temperature++) {
      const Draw drawn = draw(std::vector<float>{0.f, wrong, 1.f}, s, 0.5);
      EXPECT(drawn.id == -1 && std::isnan(drawn.logp));
    }
  double mean = 0;
  for (uint64_t i = 0; i < 10000; i++) mean += uniform(42, i) / 10000;
  EXPECT_NEAR(mean, 0.5, 0.01);
}

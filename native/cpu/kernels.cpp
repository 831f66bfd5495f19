// Picks the kernels of the widest instruction set that the processor has and TARL_ISA allows.

#include "kernels.h"

#include <cstdlib>
#include <string>

namespace tarl {

namespace {

template <class E>
const Kernels<E>& pick() {
#if defined(__x86_64__)
  const char* asked = std::getenv("TARL_ISA");
  const std::string isa = asked ? asked : "";
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && isa != "generic";
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                      isa != "avx2";
  if (avx512 && __builtin_cpu_supports("avx512bf16") && isa != "avx512") return kernels_avx512_bf16<E>();
  if (avx512) return kernels_avx512<E>();
  if (avx2) return kernels_avx2<E>();
#endif
  return kernels_generic<E>();
}

}  // namespace

template <class E>
const Kernels<E>& kernels() {
  static const Kernels<E>& picked = pick<E>();
  return picked;
}

template const Kernels<float>& kernels<float>();
template const Kernels<bf16>& kernels<bf16>();

}  // namespace tarl

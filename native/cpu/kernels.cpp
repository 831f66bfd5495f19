// Picks the kernels of the widest instruction set that the processor has and TARL_ISA allows.

#include "kernels.h"

#include <cstdlib>
#include <string>

namespace tarl {

namespace {

const Kernels& pick() {
#if defined(__x86_64__)
  const char* asked = std::getenv("TARL_ISA");
  const std::string isa = asked ? asked : "";
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  if (avx512 && isa != "avx2" && isa != "generic") return kernels_avx512();
  if (avx2 && isa != "generic") return kernels_avx2();
#endif
  return kernels_generic();
}

}  // namespace

const Kernels& kernels() {
  static const Kernels& picked = pick();
  return picked;
}

}  // namespace tarl

// The kernels of kernels.inc for AVX-512 with its instruction for products of bf16.

#if defined(__x86_64__)
#define TARL_ISA avx512_bf16
#define TARL_VECTOR 16
#define TARL_TILE 12
#define TARL_PANEL 2
#define TARL_DOT
#include "kernels.inc"
#endif

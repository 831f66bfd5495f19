// The kernels of kernels.inc for AVX-512.

#if defined(__x86_64__)
#define TARL_ISA avx512
#define TARL_VECTOR 16
#define TARL_TILE 12
#define TARL_PANEL 2
#include "kernels.inc"
#endif

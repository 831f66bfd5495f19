// The kernels of kernels.inc for AVX2.

#if defined(__x86_64__)
#define TARL_ISA avx2
#define TARL_VECTOR 8
#define TARL_TILE 6
#define TARL_PANEL 2
#include "kernels.inc"
#endif

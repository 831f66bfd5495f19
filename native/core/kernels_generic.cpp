#define TARL_ISA generic
#define TARL_VECTOR 4
#define TARL_TILE 4
#include "kernels.inc"

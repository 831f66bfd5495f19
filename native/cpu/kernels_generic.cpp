// The kernels of kernels.inc in plain C++.

#define TARL_ISA generic
#define TARL_VECTOR 4
#define TARL_TILE 4
#define TARL_PANEL 2
#include "kernels.inc"

/* What nvcc defines, for a plain C compiler that reads CUDA's headers. */
#define __device_builtin__
#define __device_builtin_texture_type__
#define __device_builtin_surface_type__
#define __cudart_builtin__
#define __builtin_align__(n) __attribute__((aligned(n)))
#define __align__(n) __attribute__((aligned(n)))
#define __inline__ inline
#define __host__
#define __device__
#define CUDARTAPI
#define CUDA_CB

/* The CUDA runtime: memory is the processor's, kernels are only written down, and what CUDA forbids
   while a stream is captured fails. Parameters follow NVIDIA's CUDA Runtime API reference. */
#include <driver_types.h>
#include <pthread.h>
#include <sys/mman.h>

enum { OK = 0, OUT_OF_MEMORY = 2, OLD_DRIVER = 35, NO_DEVICE = 101, NO_CODE = 209, FORBIDDEN = 900 };
enum { PAGEABLE, DEVICE, PINNED };
enum { MOST_BLOCKS = 1 << 17, MOST_KERNELS = 1 << 18 };
#define GIB ((size_t)1 << 30)

typedef struct { unsigned x, y, z; } Sizes;
typedef struct { char *start; size_t bytes; int kind, gpu; } Block;
typedef struct { const void *function; const char *name; } Kernel;

static Block blocks[MOST_BLOCKS];
static Kernel kernels[MOST_KERNELS];
static int block_count, kernel_count, capturing, last_error;
static size_t in_use, peak;
static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;
static __thread int current_gpu;
static __thread struct { Sizes grid, block; size_t shared; void *stream; } configuration;

#define FORBID_IN_CAPTURE(call) \
    if (capturing) { note("illegal %s", call); return last_error = FORBIDDEN; }

/* --- Memory ---------------------------------------------------------------------------------- */

static int allocate(void **at, size_t bytes, int kind) {
    if (!bytes) bytes = 1;
    /* Zeros, so that results are the same each time; and no memory that nobody writes to. */
    *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (*at == MAP_FAILED) return OUT_OF_MEMORY;
    pthread_mutex_lock(&guard);
    int i = 0;
    while (i < block_count && blocks[i].start) i++;
    if (i == MOST_BLOCKS) abort();
    if (i == block_count) block_count++;
    blocks[i] = (Block){*at, bytes, kind, current_gpu};
    if (kind == DEVICE) in_use += bytes;
    if (in_use > peak) peak = in_use;
    pthread_mutex_unlock(&guard);
    return OK;
}

static int release(void *at) {
    pthread_mutex_lock(&guard);
    for (int i = 0; at && i < block_count; i++)
        if (blocks[i].start == at) {
            if (blocks[i].kind == DEVICE) in_use -= blocks[i].bytes;
            blocks[i].start = NULL;
            munmap(at, blocks[i].bytes);
            break;
        }
    pthread_mutex_unlock(&guard);
    return OK;
}

static Block block_of(const void *at) {
    for (int i = 0; i < block_count; i++)
        if (blocks[i].start && (char *)at >= blocks[i].start &&
            (char *)at < blocks[i].start + blocks[i].bytes)
            return blocks[i];
    return (Block){NULL, 0, PAGEABLE, 0};
}
static int kind_of(const void *at) { return block_of(at).kind; }

int cudaMalloc(void **at, size_t bytes) {
    FORBID_IN_CAPTURE("cudaMalloc")
    int status = allocate(at, bytes, DEVICE);
    note("malloc %zu peak %zu gpu %d", bytes, peak, current_gpu);
    return status;
}
int cudaFree(void *at) { FORBID_IN_CAPTURE("cudaFree") return release(at); }
int cudaMallocHost(void **at, size_t bytes) {
    FORBID_IN_CAPTURE("cudaMallocHost") return allocate(at, bytes, PINNED);
}
int cudaHostAlloc(void **at, size_t bytes, unsigned flags) {
    FORBID_IN_CAPTURE("cudaHostAlloc") return allocate(at, bytes, PINNED);
}
int cudaFreeHost(void *at) { return release(at); }
int cudaMallocFromPoolAsync(void **at, size_t bytes, void *pool, void *stream) {
    return cudaMalloc(at, bytes);
}
int cudaFreeAsync(void *at, void *stream) { return cudaFree(at); }
int cudaMemGetInfo(size_t *free_bytes, size_t *all) {
    *all = 80 * GIB;
    *free_bytes = 79 * GIB - in_use;
    return OK;
}
int cudaMemcpy(void *to, const void *from, size_t bytes, int direction) {
    FORBID_IN_CAPTURE("cudaMemcpy")
    memmove(to, from, bytes);
    return OK;
}
int cudaMemcpyAsync(void *to, const void *from, size_t bytes, int direction, void *stream) {
    /* A recorded copy from or to memory that is not pinned reads something else when replayed. */
    if (capturing && direction != cudaMemcpyDeviceToDevice &&
        (kind_of(to) == PAGEABLE || kind_of(from) == PAGEABLE))
        note("illegal copy of pageable memory");
    note("launch copy");
    memmove(to, from, bytes);
    return OK;
}
int cudaMemset(void *at, int value, size_t bytes) {
    FORBID_IN_CAPTURE("cudaMemset")
    memset(at, value, bytes);
    return OK;
}
int cudaMemsetAsync(void *at, int value, size_t bytes, void *stream) {
    note("launch fill");
    memset(at, value, bytes);
    return OK;
}
int cudaPointerGetAttributes(struct cudaPointerAttributes *found, const void *at) {
    memset(found, 0, sizeof *found);
    Block block = block_of(at);
    found->type = block.kind == DEVICE ? cudaMemoryTypeDevice
                  : block.kind == PINNED ? cudaMemoryTypeHost : cudaMemoryTypeUnregistered;
    found->device = block.gpu;
    found->devicePointer = found->hostPointer = (void *)at;
    return OK;
}

/* --- Kernels --------------------------------------------------------------------------------- */

long __cudaRegisterFatBinary(void *binary) { static void *handle[4]; return (long)handle; }
int __cudaRegisterFunction(void **binary, const char *function, char *device_function,
                           const char *name, int threads, void *a, void *b, void *c, void *d,
                           int *warp) {
    if (kernel_count == MOST_KERNELS) abort();
    kernels[kernel_count++] = (Kernel){function, name};
    return OK;
}

static int by_address(const void *a, const void *b) {
    const void *one = ((Kernel *)a)->function, *other = ((Kernel *)b)->function;
    return (one > other) - (one < other);
}
static const char *name_of(const void *function) {
    static int sorted;
    if (sorted != kernel_count) qsort(kernels, sorted = kernel_count, sizeof(Kernel), by_address);
    Kernel key = {function, NULL};
    Kernel *found = bsearch(&key, kernels, kernel_count, sizeof(Kernel), by_address);
    return found ? found->name : "unknown";
}
static int launched(const void *function) {
    if (setting("STUB_NO_CODE", 0)) return last_error = NO_CODE;
    if (capturing && setting("STUB_NO_RECORDING", 0)) return last_error = FORBIDDEN;
    note("launch kernel %s", name_of(function));
    return OK;
}
int __cudaPushCallConfiguration(Sizes grid, Sizes block, size_t shared, void *stream) {
    configuration.grid = grid, configuration.block = block;
    configuration.shared = shared, configuration.stream = stream;
    return OK;
}
int __cudaPopCallConfiguration(Sizes *grid, Sizes *block, size_t *shared, void **stream) {
    *grid = configuration.grid, *block = configuration.block;
    *shared = configuration.shared, *stream = configuration.stream;
    return OK;
}
int __cudaGetKernel(void **kernel, const void *function) { *kernel = (void *)function; return OK; }
int __cudaLaunchKernel(void *f, Sizes grid, Sizes block, void **values, size_t shared, void *stream) {
    return launched(f);
}
int cudaLaunchKernel(const void *f, Sizes grid, Sizes block, void **values, size_t shared, void *stream) {
    return launched(f);
}
int cudaLaunchCooperativeKernel(const void *f, Sizes grid, Sizes block, void **values, size_t shared,
                                void *stream) {
    return launched(f);
}
int cudaLaunchKernelExC(const void *configured, const void *f, void **values) { return launched(f); }
int cudaFuncGetAttributes(struct cudaFuncAttributes *found, const void *function) {
    memset(found, 0, sizeof *found);
    found->maxThreadsPerBlock = 1024;
    found->numRegs = 32;
    found->binaryVersion = found->ptxVersion = 90;
    found->maxDynamicSharedSizeBytes = 49152;
    return OK;
}
int cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *blocks_found, const void *function,
                                                           int threads, size_t shared, unsigned flags) {
    *blocks_found = 2;
    return OK;
}

/* --- Streams and captures --------------------------------------------------------------------- */

static int handle(void **made) { *made = calloc(1, 64); return OK; }
int cudaStreamCreate(void **stream) { return handle(stream); }
int cudaStreamCreateWithFlags(void **stream, unsigned flags) { return handle(stream); }
int cudaStreamSynchronize(void *stream) { FORBID_IN_CAPTURE("cudaStreamSynchronize") return OK; }
int cudaDeviceSynchronize(void) { FORBID_IN_CAPTURE("cudaDeviceSynchronize") return OK; }
int cudaEventCreate(void **event) { return handle(event); }
int cudaEventCreateWithFlags(void **event, unsigned flags) { return handle(event); }
int cudaEventSynchronize(void *event) { FORBID_IN_CAPTURE("cudaEventSynchronize") return OK; }
int cudaEventElapsedTime(float *milliseconds, void *start, void *end) {
    *milliseconds = 1;
    return OK;
}
int cudaStreamIsCapturing(void *stream, int *status) { *status = capturing; return OK; }
int cudaStreamBeginCapture(void *stream, int mode) {
    note("begin");
    capturing = 1;
    return OK;
}
int cudaStreamEndCapture(void *stream, void **graph) {
    note("end");
    capturing = 0;
    return handle(graph);
}
int cudaGraphInstantiate(void **launchable, void *graph, unsigned long long flags) {
    return handle(launchable);
}
int cudaGraphLaunch(void *launchable, void *stream) { note("replay"); return OK; }

/* --- The devices: H100s ----------------------------------------------------------------------- */

int cudaGetDeviceCount(int *count) { *count = setting("STUB_GPUS", 1); return OK; }
int cudaGetDevice(int *device) { *device = current_gpu; return OK; }
int cudaSetDevice(int device) {
    if (device < 0 || device >= setting("STUB_GPUS", 1)) return last_error = NO_DEVICE;
    current_gpu = device;
    return OK;
}
int cudaRuntimeGetVersion(int *version) { *version = 13000; return OK; }
int cudaDriverGetVersion(int *version) { *version = setting("STUB_DRIVER", 13000); return OK; }
int cudaGetDeviceProperties(struct cudaDeviceProp *found, int device) {
    if (setting("STUB_DRIVER", 13000) < 13000) return last_error = OLD_DRIVER;
    memset(found, 0, sizeof *found);
    strcpy(found->name, "a stub of an NVIDIA H100");
    found->totalGlobalMem = 80 * GIB;
    found->major = setting("STUB_GENERATION", 90) / 10;
    found->minor = setting("STUB_GENERATION", 90) % 10;
    found->multiProcessorCount = 132;
    found->warpSize = 32;
    found->regsPerBlock = found->regsPerMultiprocessor = 65536;
    found->sharedMemPerBlock = 49152;
    found->sharedMemPerBlockOptin = 232448;
    found->sharedMemPerMultiprocessor = 233472;
    found->l2CacheSize = 50 << 20;
    found->maxThreadsPerBlock = found->maxThreadsDim[0] = found->maxThreadsDim[1] = 1024;
    found->maxThreadsDim[2] = 64;
    found->maxThreadsPerMultiProcessor = 2048;
    found->maxGridSize[0] = 2147483647;
    found->maxGridSize[1] = found->maxGridSize[2] = 65535;
    return OK;
}
int cudaDeviceGetAttribute(int *value, int attribute, int device) {
    switch (attribute) {
        case cudaDevAttrComputeCapabilityMajor: *value = setting("STUB_GENERATION", 90) / 10; break;
        case cudaDevAttrComputeCapabilityMinor: *value = setting("STUB_GENERATION", 90) % 10; break;
        case cudaDevAttrMultiProcessorCount: *value = 132; break;
        case cudaDevAttrWarpSize: *value = 32; break;
        case cudaDevAttrMaxThreadsPerBlock: *value = 1024; break;
        case cudaDevAttrMaxThreadsPerMultiProcessor: *value = 2048; break;
        case cudaDevAttrMaxSharedMemoryPerBlock: *value = 49152; break;
        case cudaDevAttrMaxSharedMemoryPerBlockOptin: *value = 232448; break;
        case cudaDevAttrL2CacheSize: *value = 50 << 20; break;
        default: *value = 1;
    }
    return OK;
}
int cudaGetDriverEntryPointByVersion(const char *symbol, void **function, unsigned version,
                                     unsigned long long flags, int *status) {
    *function = NULL;
    if (status) *status = 1;
    return OK;
}

/* --- Errors ----------------------------------------------------------------------------------- */

int cudaGetLastError(void) { int error = last_error; last_error = OK; return error; }
int cudaPeekAtLastError(void) { return last_error; }
const char *cudaGetErrorName(int error) { return "cudaError"; }
const char *cudaGetErrorString(int error) {
    switch (error) {
        case OLD_DRIVER: return "CUDA driver version is insufficient for CUDA runtime version";
        case NO_CODE: return "no kernel image is available for execution on the device";
        case FORBIDDEN: return "operation not permitted when stream is capturing";
        default: return "an error of the stub";
    }
}

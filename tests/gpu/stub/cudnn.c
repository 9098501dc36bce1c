/* cuDNN: descriptors are empty, and every operation is written down. Its graph API is answered as
   cudnn_frontend 1.x asks: one engine without knobs, one plan, a workspace of 1 MiB. The numbers of
   attributes and types are those of NVIDIA's cudnn_graph.h. */

enum { TYPE_INT64 = 3, TYPE_BACKEND = 15, TYPE_BEHAVIOUR = 23 };
enum { ENGINE_KNOBS = 302, PLAN_WORKSPACE = 402, PLAN = 5 };
enum { WORKSPACE = 1 << 20 };

typedef struct { int kind; } Descriptor;

size_t cudnnGetVersion(void) { return 91701; }
size_t cudnnGetCudartVersion(void) { return 13000; }
const char *cudnnGetErrorString(int error) { return "an error of the stub"; }
void cudnnGetLastErrorString(char *message, size_t size) { if (size) message[0] = 0; }
int cudnnCreate(void **made) { *made = calloc(1, 64); return 0; }
int cudnnGetStream(void *handle, void **stream) { *stream = NULL; return 0; }

#define DESCRIPTOR(kind) int cudnnCreate##kind##Descriptor(void **made) { *made = calloc(1, 256); return 0; }
DESCRIPTOR(Activation)
DESCRIPTOR(Convolution)
DESCRIPTOR(Filter)
DESCRIPTOR(LRN)
DESCRIPTOR(Pooling)
DESCRIPTOR(ReduceTensor)
DESCRIPTOR(Tensor)

#define OPERATION(name) int name(void *handle) { note("launch " #name); return 0; }
OPERATION(cudnnActivationForward)
OPERATION(cudnnAddTensor)
OPERATION(cudnnConvolutionForward)
OPERATION(cudnnConvolutionBackwardData)
OPERATION(cudnnPoolingForward)
OPERATION(cudnnReduceTensor)
OPERATION(cudnnSoftmaxForward)
OPERATION(cudnnBackendExecute)

int cudnnGetReductionWorkspaceSize(void *handle, void *r, void *a, void *c, size_t *bytes) {
    *bytes = 1024;
    return 0;
}
int cudnnGetReductionIndicesSize(void *handle, void *r, void *a, void *c, size_t *bytes) {
    *bytes = 0;
    return 0;
}

int cudnnBackendCreateDescriptor(int kind, void **made) {
    Descriptor *descriptor = calloc(1, sizeof *descriptor);
    descriptor->kind = kind;
    *made = descriptor;
    return 0;
}
int cudnnBackendGetAttribute(void *descriptor, int name, int type, int64_t room, int64_t *count,
                             void *values) {
    int has_one = type == TYPE_BACKEND || type == TYPE_INT64 || type == TYPE_BEHAVIOUR;
    if (count) *count = has_one && name != ENGINE_KNOBS;
    if (!has_one || name == ENGINE_KNOBS || !values || room < 1) return 0;
    int is_workspace = ((Descriptor *)descriptor)->kind == PLAN && name == PLAN_WORKSPACE;
    if (type == TYPE_INT64) *(int64_t *)values = is_workspace ? WORKSPACE : 0;
    if (type == TYPE_BEHAVIOUR) *(int *)values = 0;
    return 0;
}

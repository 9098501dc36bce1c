/* NVIDIA's driver, as far as it is asked which GPUs there are. */

int cuInit(unsigned flags) { return 0; }
int cuDeviceGetCount(int *count) { *count = setting("STUB_GPUS", 1); return 0; }
int cuDeviceGetUuid(char *identity, int device) {
    memset(identity, 0, 16);
    identity[15] = device;
    return 0;
}
int cuDriverGetVersion(int *version) { *version = setting("STUB_DRIVER", 13000); return 0; }
int cuDeviceGetAttribute(int *value, int attribute, int device) {
    int generation = setting("STUB_GENERATION", 90);
    *value = attribute == 75 ? generation / 10 : generation % 10; /* CUdevice_attribute in cuda.h */
    return 0;
}

/* A libcuda of one kernel: as much of the driver API as adding numbers takes, over memory of the process. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef int CUresult;
typedef int CUdevice;
typedef uint64_t CUdeviceptr;

enum { INVALID_VALUE = 1, NOT_INITIALIZED = 3, NO_DEVICE = 100, INVALID_PTX = 218, INVALID_CONTEXT = 201, NOT_FOUND = 500 };

static int devices, held, is_initialized, has_context, fail_code;
static long wrong_index;
static char fail_call[64];
static int a_context, a_module, a_kernel;

/* --- the scene --- */

void fake_begin(int count) {
    devices = count;
    held = is_initialized = has_context = fail_code = 0;
    wrong_index = -1;
    fail_call[0] = 0;
}
void fake_fail(const char *call, int code) {
    strncpy(fail_call, call, sizeof fail_call - 1);
    fail_code = code;
}
void fake_wrong(long index) { wrong_index = index; }
int fake_held(void) { return held; }

#define ENTER(call) \
    if (strcmp(fail_call, call) == 0) return fail_code; \
    if (!is_initialized) return NOT_INITIALIZED
#define ENTER_CONTEXT(call) \
    ENTER(call); \
    if (!has_context) return INVALID_CONTEXT

/* --- the driver --- */

CUresult cuInit(unsigned flags) {
    if (strcmp(fail_call, "cuInit") == 0) return fail_code;
    if (flags) return INVALID_VALUE;
    if (!devices) return NO_DEVICE;
    is_initialized = 1;
    return 0;
}
CUresult cuGetErrorName(CUresult error, const char **name) {
    if (error != NO_DEVICE && error != INVALID_PTX) return INVALID_VALUE;
    *name = error == NO_DEVICE ? "CUDA_ERROR_NO_DEVICE" : "CUDA_ERROR_INVALID_PTX";
    return 0;
}
CUresult cuGetErrorString(CUresult error, const char **text) {
    if (error != NO_DEVICE && error != INVALID_PTX) return INVALID_VALUE;
    *text = error == NO_DEVICE ? "no CUDA-capable device is detected" : "a PTX JIT compilation failed";
    return 0;
}
CUresult cuDeviceGetCount(int *count) {
    ENTER("cuDeviceGetCount");
    *count = devices;
    return 0;
}
CUresult cuDeviceGet(CUdevice *device, int ordinal) {
    ENTER("cuDeviceGet");
    if (ordinal < 0 || ordinal >= devices) return INVALID_VALUE;
    *device = ordinal;
    return 0;
}
CUresult cuDeviceGetName(char *name, int length, CUdevice device) {
    ENTER("cuDeviceGetName");
    if (device) return INVALID_VALUE;
    strncpy(name, "NVIDIA Fake 1", (size_t)length);
    return 0;
}
CUresult cuDevicePrimaryCtxRetain(void **context, CUdevice device) {
    ENTER("cuDevicePrimaryCtxRetain");
    if (device) return INVALID_VALUE;
    held++;
    *context = &a_context;
    return 0;
}
CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device) {
    if (device) return INVALID_VALUE;
    held--;
    return 0;
}
CUresult cuCtxSetCurrent(void *context) {
    ENTER("cuCtxSetCurrent");
    if (context != &a_context) return INVALID_CONTEXT;
    has_context = 1;
    return 0;
}
CUresult cuModuleLoadData(void **module, const void *image) {
    ENTER_CONTEXT("cuModuleLoadData");
    if (!strstr(image, ".version") || !strstr(image, ".entry vector_add")) return INVALID_PTX;
    held++;
    *module = &a_module;
    return 0;
}
CUresult cuModuleUnload(void *module) {
    if (module != &a_module) return INVALID_VALUE;
    held--;
    return 0;
}
CUresult cuModuleGetFunction(void **function, void *module, const char *name) {
    ENTER_CONTEXT("cuModuleGetFunction");
    if (module != &a_module || strcmp(name, "vector_add")) return NOT_FOUND;
    *function = &a_kernel;
    return 0;
}
CUresult cuMemAlloc_v2(CUdeviceptr *address, size_t size) {
    ENTER_CONTEXT("cuMemAlloc_v2");
    held++;
    *address = (CUdeviceptr)calloc(1, size);
    return 0;
}
CUresult cuMemFree_v2(CUdeviceptr address) {
    held--;
    free((void *)address);
    return 0;
}
CUresult cuMemcpyHtoD_v2(CUdeviceptr to, const void *from, size_t size) {
    ENTER_CONTEXT("cuMemcpyHtoD_v2");
    memcpy((void *)to, from, size);
    return 0;
}
CUresult cuMemcpyDtoH_v2(void *to, CUdeviceptr from, size_t size) {
    ENTER_CONTEXT("cuMemcpyDtoH_v2");
    memcpy(to, (void *)from, size);
    return 0;
}
CUresult cuLaunchKernel(
    void *function, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX, unsigned blockY, unsigned blockZ,
    unsigned shared, void *stream, void **parameters, void **extra
) {
    ENTER_CONTEXT("cuLaunchKernel");
    if (function != &a_kernel || gridY != 1 || gridZ != 1 || blockY != 1 || blockZ != 1) return INVALID_VALUE;
    if (shared || stream || extra) return INVALID_VALUE;
    const uint32_t *left = *(uint32_t **)parameters[0], *right = *(uint32_t **)parameters[1];
    uint32_t *sum = *(uint32_t **)parameters[2], count = *(uint32_t *)parameters[3];
    for (uint64_t index = 0; index < (uint64_t)gridX * blockX && index < count; index++)
        sum[index] = left[index] + right[index];
    if (wrong_index >= 0) sum[wrong_index]++;
    return 0;
}
CUresult cuCtxSynchronize(void) {
    ENTER_CONTEXT("cuCtxSynchronize");
    return 0;
}
